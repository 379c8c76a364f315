"""Parts of the benchmark on numbers made by hand."""

import pytest
import torch

from mmlgd.errors import ConfigError


@pytest.fixture
def benchmark(load, file, tmp_path):
    return load('benchmarks.plan').load_benchmark(file, tmp_path / 'out')


def test_mean_and_deviation_by_hand(load):
    summarize = load('benchmarks.report').summarize
    # Deviations from 82: -2, 1, 1; squares 6 over n - 1 = 2.
    found = summarize([80.0, 83.0, 83.0])
    assert found['mean'] == 82 and found['std'] == pytest.approx(3**0.5)
    assert summarize([7.0]) == dict(mean=7, std=None, values=[7])


def test_table_by_hand(load, benchmark):
    report = load('benchmarks.report')
    measure = dict(mean=82.04, std=3**0.5, values=[80, 83])
    names = [name for _, name, _, _ in report.columns_of(benchmark)]
    assert names == ['zero_shot', 'probe_50', 'probe_100', 'knn']
    measures = dict(
        zero_shot=None,
        probe_50=measure,
        probe_100=dict(mean=9.96, std=None, values=[9.96]),
        knn='not run',
        cpu_seconds=dict(mean=99.6, std=0.4, values=[99, 100]),
    )
    rows = [dict(title='A', seeds=[0, 1], measures=measures)]
    assert report.markdown_table(benchmark, rows) == (
        '| method | zero-shot | probe 50 % | probe 100 % | k-NN | cost (s) |\n'
        '|---|---:|---:|---:|---:|---:|\n'
        '| A | – | 82.0 ± 1.7 | 10.0 (1 of 2) | not run | 100 ± 0 |\n'
    )


def test_the_cost_includes_what_a_method_prepares(load, benchmark):
    runs, report = load('benchmarks.runs'), load('benchmarks.report')
    for seed, seconds in ((0, 100.0), (1, 104.0)):
        run = runs.Run(benchmark, benchmark.methods['lgd'], seed)
        training = dict(
            iterations=4, batch_size=8, cpu_seconds=seconds, preparation_seconds=30.0
        )
        state = dict(config=run.identity, code='c', commit='1', evaluations={})
        run.write(dict(state, training=training))
    rows = report.collect(benchmark, 'test')
    row = next(row for row in rows if row['method'] == 'lgd')
    assert row['measures']['cpu_seconds']['values'] == [130, 134]
    made = dict(command='c', commit='1', date='d')
    text = report.document(benchmark, rows, 'test', made)
    assert '4 iterations of 8 images' in text and 'one state of the code: yes' in text


def test_a_file_for_tuning_reports_the_validation_images(load, file, tmp_path):
    plan = load('benchmarks.plan')
    assert plan.load_benchmark(file).split == 'test'
    file.write_text(file.read_text() + "split = 'val'\n")
    assert plan.load_benchmark(file).split == 'val'
    file.write_text(file.read_text() + "split = 'train'\n")
    with pytest.raises(ConfigError, match='no split train'):
        plan.load_benchmark(file)


def test_options_and_seed_reach_the_config(load, benchmark, tmp_path):
    methods, fingerprints = load('benchmarks.methods'), load('benchmarks.fingerprints')
    method = benchmark.methods['mimicry']
    cfg = methods.run_config(method, 3, tmp_path)
    assert cfg.randomness.seed == cfg.train_dataloader.dataset.seed == 3
    other = methods.Method(
        'mimicry', 'M', method.config, options={'model.loss_weight': 2.0}
    )
    changed = methods.run_config(other, 3, tmp_path)
    assert (cfg.model.loss_weight, changed.model.loss_weight) == (10, 2)
    digests = [fingerprints.fingerprint(each) for each in (cfg, changed)]
    assert digests[0] != digests[1]
    # Where a run lies is no part of what it is.
    moved = methods.run_config(method, 3, tmp_path / 'elsewhere')
    assert fingerprints.fingerprint(moved) == digests[0]


def two_rate_data(best_on_test: bool) -> dict:
    """One feature; its sign tells the class, save where a split says otherwise."""
    x = torch.tensor([[-1.0], [1.0]]).repeat(10, 1)
    labels = torch.tensor([0, 1]).repeat(10)
    test_labels = labels if best_on_test else 1 - labels
    return dict(train=(x, labels), val=(x, labels), test=(x, test_labels))


def test_the_rate_is_chosen_on_the_validation_images(load):
    evaluate = load('benchmarks.evaluate_run')
    # At a rate of nearly 0 the probe stays at its random start; 1 separates.
    rates = [1e-9, 1.0]
    found = evaluate.probe(two_rate_data(True), 100, epochs=5, rates=rates, seed=0)
    assert found == dict(top1=100, rate=1.0)
    # Test images that contradict do not change the choice, though it costs all.
    found = evaluate.probe(two_rate_data(False), 100, epochs=5, rates=rates, seed=0)
    assert found == dict(top1=0, rate=1.0)


def test_probes_average_their_draws(load, monkeypatch):
    evaluate = load('benchmarks.evaluate_run')
    seeds = []

    def probe(data, percent, epochs, rates, seed):
        seeds.append((percent, epochs, seed))
        return dict(top1=50.0 + seed % 100, rate=1.0)

    monkeypatch.setattr(evaluate, 'probe', probe)
    settings = dict(rates=[1], percentages={'1': dict(draws=3, epochs=4)})
    found = evaluate.probe_all({}, settings, seed=2)
    assert found['1']['top1'] == 51
    # Runs of different seeds never share a draw.
    assert seeds == [(1, 4, 200), (1, 4, 201), (1, 4, 202)]


def test_neighbours_vote(load):
    evaluate = load('benchmarks.evaluate_run')
    bank = torch.eye(2).repeat(4, 1)
    labels = torch.tensor([0, 1]).repeat(4)
    queries = torch.tensor([[1.0, 0.1], [0.1, 1.0], [1.0, 0.2], [0.9, 0.0]])
    data = dict(train=(bank, labels), val=(queries, torch.tensor([0, 1, 0, 1])))
    assert evaluate.vote(data, 'val', k=4) == dict(top1=75)


def test_the_figure_takes_what_is_missing(tmp_path):
    from mmlgd.visualization import draw_costs

    def measure(*values):
        return dict(mean=sum(values) / len(values), std=None, values=list(values))

    whole = dict(a=measure(80, 82), b='not run', cpu_seconds=measure(100, 120))
    untrained = dict(a=measure(60), b=None, cpu_seconds=None)
    rows = [
        dict(title='LGD', measures=whole),
        dict(title='random', measures=untrained),
        dict(title='SEED', measures=dict(a='failed', b=None, cpu_seconds='failed')),
    ]
    draw_costs(rows, dict(a='zero-shot', b='k-NN'), tmp_path / 'f.svg')
    drawn = (tmp_path / 'f.svg').read_text()
    assert '<!-- LGD -->' in drawn and '<!-- random -->' in drawn
    assert '<!-- SEED -->' not in drawn
    # One panel: nobody has the other measure.
    assert '<!-- zero-shot -->' in drawn and '<!-- k-NN -->' not in drawn
    assert drawn.count('<!-- training cost (s of one core) -->') == 1
