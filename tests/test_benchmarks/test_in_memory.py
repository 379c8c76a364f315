import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from benchmarks.comparison.methods import read_method
from benchmarks.in_memory import __main__ as program
from benchmarks.in_memory.images import Images
from benchmarks.in_memory.report import COST, draw, report
from benchmarks.in_memory.training import evaluate
from mmlgd.errors import ConfigError
from mmlgd.pixels.codec import PixelCodec


def row(method, seed, zero_shot, cost=1, passes=1):
    figures = dict(zero_shot=zero_shot, knn=50.0, probe=50.0)
    return dict(method=method, passes=passes, seed=seed, **figures, cost=cost)


def test_differences_are_paired_by_seed():
    rows = [
        *(row('LGD', seed, value) for seed, value in ((0, 40.0), (1, 60.0), (2, 10.0))),
        # No LGDPlus for seed 2; those of LGD have the other order.
        *(row('LGDPlus', seed, value) for seed, value in ((1, 63.0), (0, 41.0))),
        row('LGD', 0, 70.0, passes=5),
    ]
    result = dict(title='T', images=1000, split='val', rows=rows)
    result['provenance'] = dict(machine='M', commit='C', command='python -m x')
    lines = report(result, 'LGDPlus').splitlines()
    # Gaps 1 and 3: 2.0 with a deviation of sqrt(2).
    assert (
        '| LGD | 1 | 3 | 36.7 ± 25.2 (2.0 ± 1.4) | 50.0 ± 0.0 (0.0 ± 0.0)'
        in '\n'.join(lines)
    )
    assert any(line.startswith('| LGDPlus | 1 | 2 | 52.0 ± 15.6 |') for line in lines)
    assert any(line.startswith('| LGD | 5 | 1 | 70.0 |') for line in lines)


def test_an_older_cost_and_a_method_without_names(tmp_path):
    without = row('Other', 0, 0.0)
    del without['zero_shot']
    rows = [row('LGD', 0, 40.0), row('LGD', 0, 60.0, cost=5, passes=5), without]
    origin = dict(machine='M', commit='C', command='python -m x')
    result = dict(title='T', images=1000, split='val', rows=rows, provenance=origin)
    text = report(result, 'LGD')
    assert '| Other | 1 | 1 | – | 50.0 (0.0) | 50.0 (0.0) | 1 |' in text
    assert 'training: the student; for BINGO' in text
    assert 'In brackets: LGD minus the method' in text
    assert 'In brackets' not in report(result, 'a method without rows')
    text = report(dict(result, cost=COST), 'LGD')
    assert 'CPU time of a training: views, teacher and student.' in text
    draw(result, tmp_path / 'curves.svg')
    # The titles are paths in the SVG, but matplotlib comments them.
    drawn = (tmp_path / 'curves.svg').read_text()
    assert all(f'<!-- {title} -->' in drawn for title in ('zero-shot', 'Other'))


class Probe(torch.nn.Module):
    """A student whose features are its mean colours, in the names' space."""

    def __init__(self, names):
        super().__init__()
        self.prediction_bank = SimpleNamespace(
            category_names=names, embeddings=torch.eye(3)
        )

    def extract_feat(self, images):
        return images.mean(dim=(2, 3))

    embed = extract_feat


class Colours(Images):
    """Images of one colour each; labels count in the order red, green, blue."""

    def __init__(self, labels):
        self.labels = torch.tensor(labels)
        self.pixels = torch.eye(3)[self.labels][..., None, None].expand(-1, -1, 2, 2)
        self.dataset = SimpleNamespace(metainfo=dict(classes=['red', 'green', 'blue']))
        self.normalise = lambda images: images.float()


def test_labels_are_matched_with_names_by_their_text():
    # The student's second axis is blue, the third is green.
    model = Probe(['red', 'blue', 'green'])
    labelled = Colours([0, 1, 2] * 10)
    names = model.prediction_bank.category_names
    found = evaluate(model, labelled, Colours([0, 1, 1, 2]), names)
    assert found == dict(zero_shot=25.0, knn=100.0, probe=100.0)


def test_the_probe_does_not_depend_on_the_scale_of_the_features():
    class Faint(Probe):
        def extract_feat(self, images):
            return 1e-9 * super().extract_feat(images)

    # A probe that does not see the features predicts the most frequent class.
    labelled = Colours([0] * 2000 + [1] * 500 + [2] * 500)
    tested = Colours([0, 1, 1, 2])
    names = ['red', 'green', 'blue']
    assert evaluate(Faint(names), labelled, tested, names)['probe'] == 100


def test_views_pass_through_a_codec_with_their_colours_in_place():
    images = Colours([0])
    view = torch.tensor([200, 90, 20], dtype=torch.uint8)[:, None, None].expand(3, 8, 8)
    images._codec = None
    assert torch.equal(images._stored(view), view)
    images._codec = PixelCodec('jpeg', 90, 8, 8)
    found = images._stored(view)
    assert (found.float() - view.float()).abs().max() <= 3
    assert not torch.equal(found, view)


@pytest.mark.slow
def test_what_does_not_apply_is_refused(file, tmp_path, monkeypatch):
    file.write_text(file.read_text().replace("'supervised']", "'lgd', 'supervised']"))
    command = ['in_memory', str(file), '--out', str(tmp_path / 'x.json')]
    for options, message in (
        (['--passes', '0'], '--passes must be at least 1'),
        (['--adamw', '0.1'], '--adamw does not apply to supervised'),
        (['--methods', 'lgb'], 'unknown method lgb'),
    ):
        monkeypatch.setattr(sys, 'argv', [*command, *options])
        with pytest.raises(ConfigError, match=message):
            program.main()
    text = file.read_text() + '\nbatch_size = 5000\n'
    file.write_text(text)
    monkeypatch.setattr(sys, 'argv', [*command, '--methods', 'lgd'])
    with pytest.raises(ConfigError, match='fewer than a batch'):
        program.main()
    monkeypatch.setattr(sys, 'argv', ['in_memory', str(tmp_path / 'none.json')])
    with pytest.raises(ConfigError, match='none.json does not exist'):
        program.main()


def test_an_unknown_reference_is_refused(tmp_path, monkeypatch):
    origin = dict(machine='M', commit='C', command='python -m x')
    file = tmp_path / 'x.json'
    rows = [row('LGD', 0, 40.0)]
    result = dict(title='T', images=9, split='val', rows=rows, provenance=origin)
    file.write_text(json.dumps(result))
    monkeypatch.setattr(sys, 'argv', ['in_memory', str(file), '--reference', 'LGDD'])
    with pytest.raises(ConfigError, match="unknown reference LGDD.*mean 'LGD'"):
        program.main()


def test_a_length_of_a_file_is_refused():
    method = read_method('lgd', dict(iterations=1290), Path('b.py'))
    options = SimpleNamespace(passes=[1], **dict.fromkeys(program._IN_MEMORY))
    with pytest.raises(ConfigError, match='iterations=1290.*is that of --passes'):
        program._check([method], options)


def test_a_missing_environment_is_found_before_any_training():
    method = read_method('lightly_train', {}, Path('b.py'))
    method.program = dict(method.program, python='no/such/python')
    options = SimpleNamespace(passes=[1], **dict.fromkeys(program._IN_MEMORY))
    with pytest.raises(ConfigError, match='no/such/python, the environment of'):
        program._check([method], options)


@pytest.mark.slow
def test_methods_train_on_the_same_views_and_finished_rows_stay(
    file, tmp_path, monkeypatch, capsys
):
    out = tmp_path / 'out/result.json'
    command = ['in_memory', str(file), '--seeds', '0', '--out', str(out)]
    command += ['--split', 'test', '--methods', 'lgd', 'lgd_plus', 'bingo']
    file.write_text(
        file.read_text().replace(
            "'supervised']",
            "'lgd_plus', 'bingo', 'seed', 'teacher', 'untrained', 'supervised']",
        )
    )
    monkeypatch.setattr(sys, 'argv', command)
    program.main()
    first = json.loads(out.read_text())
    assert [one['method'] for one in first['rows']] == ['LGD', 'LGDPlus', 'BINGO']
    assert all(0 <= one['zero_shot'] <= 100 for one in first['rows'])
    more = ['seed', 'supervised', 'untrained', 'teacher']
    monkeypatch.setattr(sys, 'argv', [*command, *more])
    program.main()
    second = json.loads(out.read_text())
    assert second['rows'][:3] == first['rows']
    added = {one['method']: one for one in second['rows'][3:]}
    assert [*added] == ['SEED', 'supervised, all labels', 'random weights', 'teacher']
    names = [name for name, one in added.items() if 'zero_shot' in one]
    assert names == ['SEED', 'teacher']
    assert [one['passes'] for one in added.values()] == [1, 1, 0, 0]
    assert added['supervised, all labels']['cost'] > 0
    monkeypatch.setattr(sys, 'argv', [*command, '--images', '8'])
    with pytest.raises(
        ConfigError, match=r"cannot be mixed with those of .*'images': 8"
    ):
        program.main()
    assert json.loads(out.read_text()) == second
    monkeypatch.setattr(sys, 'argv', ['in_memory', str(out)])
    program.main()
    assert '| SEED | 1 | 1 |' in capsys.readouterr().out
    assert '| SEED | 1 | 1 |' in out.with_suffix('.md').read_text()
