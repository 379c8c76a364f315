"""The benchmark of the input pipeline, in runs of a second."""

import json
import statistics

import numpy as np
import pytest
import torch
from PIL import Image

from mmlgd.datasets import SeededViews, UnlabeledImages
from mmlgd.errors import ConfigError, DataError

SIDES = {
    'ours',
    'torchvision',
    'torchvision_blur',
    'torchvision_tensors',
    'mmpretrain',
}
QUICK = ['--rounds', '2', '--views', '1', '--warm-up', '0']


@pytest.fixture
def folder(tmp_path):
    """Two single-colour JPEGs, one of them rotated by EXIF."""
    folder = tmp_path / 'images'
    folder.mkdir()
    for number, size in enumerate([(90, 70), (70, 90)]):
        Image.new('RGB', size, (200, 80 * number, 30)).save(folder / f'{number}.jpg')
    return folder


@pytest.fixture
def run(load, tmp_path, capsys):
    """Run the tool; returns its JSON and its output."""

    def run_it(*options):
        out = tmp_path / 'out.json'
        load('data_path').main([*QUICK, '--out', str(out), *options])
        return json.loads(out.read_text()), capsys.readouterr().out

    return run_it


def test_figures_follow_from_the_times(run, load, monkeypatch):
    pictures = [Image.new('RGB', (90, 70), colour) for colour in ('red', 'gray')]
    module = load('data_path')
    monkeypatch.setattr(module, 'photographs', lambda: (pictures, 'two colours'))

    told, printed = run('--sizes', '80x60', '120x90')

    assert told['clock'] == 'cpu' and told['threads'] == 1 and told['commit']
    assert [row['median_size'] for row in told['rows']] == ['80x60', '120x90']
    assert 'two colours' in told['images'] and told['images'] in printed
    for row in told['rows']:
        seconds = row['times']['cpu']
        assert set(seconds) == set(row['over_ours']) == set(row['stages_ms']) == SIDES
        for side, values in seconds.items():
            speeds = [row['images'] / value for value in values]
            stated_speed = row['images_per_second'][side]['median']
            assert stated_speed == pytest.approx(statistics.median(speeds))
            ratios = [value / ours for value, ours in zip(values, seconds['ours'])]
            stated_ratio = row['over_ours'][side]['median']
            assert stated_ratio == pytest.approx(statistics.median(ratios))
            assert f'{stated_ratio:.2f}' in printed
        assert 'seed' in row['stages_ms']['ours']
        assert 'seed' not in row['stages_ms']['torchvision']


def test_own_images_can_be_used(run, folder):
    told, _ = run('--images', str(folder), '--number', '1')

    (row,) = told['rows']
    assert told['images'] == str(folder)
    assert (row['images'], row['median_size']) == (1, '90x70')


def test_a_file_that_is_not_an_image_is_named(run, folder):
    (folder / '0.jpg').write_bytes(b'no image')

    with pytest.raises(DataError, match=r'0\.jpg.*--images'):
        run('--images', str(folder))


@pytest.mark.parametrize('size', ['500', '500x', '0x4', 'axb', '1x2x3'])
def test_invalid_sizes_are_refused(run, size):
    with pytest.raises(ConfigError, match=f'--sizes.*500x375.*{size}'):
        run('--sizes', size)


def test_all_variants_make_views_of_the_same_kind(load, folder):
    made = load('view_pipelines').pipelines()
    assert set(made) == SIDES
    for pipeline in made.values():
        view = pipeline(str(folder / '0.jpg'))
        assert view.shape == (3, 224, 224) and view.dtype == torch.uint8
        stages = pipeline.stages(str(folder / '0.jpg'))
        assert set(stages) >= {'decode', 'crop', 'jitter', 'gray', 'blur', 'flip'}
        assert min(stages.values()) >= 0


def test_ours_are_the_views_of_training(load, folder):
    module = load('view_pipelines')
    cfg = module.Config.fromfile(module.CONFIG)
    pipeline = module.pipelines()['ours']
    dataset = SeededViews(
        UnlabeledImages(str(folder), pipeline=cfg.train_pipeline), seed=0
    )
    for view in range(1, 5):
        ours = pipeline(str(folder / '0.jpg'))
        assert torch.equal(ours, dataset[view * len(dataset)]['inputs'])


def test_large_images_are_mosaics_of_their_own_scale(load, tmp_path):
    module = load('pictures')
    colours = [(250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 0), (0, 0, 0)]
    pictures = [Image.new('RGB', (700, 400), colour) for colour in colours]

    paths = module.write_jpegs(tmp_path, pictures, (1000, 750), 95)

    assert len(paths) == 5
    with Image.open(paths[1]) as image:
        assert image.size == (1000, 750)
        pixels = np.asarray(image).astype(int)
    tiles = [pixels[y, x] for y in (180, 560) for x in (250, 750)]
    np.testing.assert_allclose(tiles, colours[1:], atol=4)


def test_noise_stands_in_for_photographs(load, monkeypatch):
    module = load('pictures')
    monkeypatch.setattr(module, 'find_spec', lambda name: None)

    pictures, origin = module.photographs()

    assert 'noise' in origin
    assert {picture.size for picture in pictures} == {(500, 375)}
    pixels = np.asarray(pictures[0]).astype(float)
    # As in photographs, neighbouring pixels are similar; for white noise it is 1.1
    # times.
    assert np.abs(np.diff(pixels, axis=1)).mean() < pixels.std() / 2
