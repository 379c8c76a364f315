"""The page of `make demo-web`: in Chromium, and what its builder refuses."""

import functools
import json
import subprocess
import tarfile
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
import torch
from mmengine.runner import Runner

from demo.web import build, runtime
from demo.web.build import Picture, build_page
from mmlgd.apis import ZeroShotClassifier
from mmlgd.errors import ConfigError, DataError, DependencyError
from tests.browser import IS_REQUIRED, Browser, needs_browser
from tests.runs import toy_run_cfg, write_images
from tests.toys import NAMES, ToyTeacher

SETS = {'Animals': NAMES, 'Things': ['lamp', 'tree', 'cat']}
TEMPERATURE = 0.1
RESIZE = dict(type='Resize', scale=(18, 16), interpolation='bilinear')
PACK = dict(type='mmpretrain.PackInputs')
SHARP = dict(student_temperature=TEMPERATURE, test_pipeline=[RESIZE, PACK])
GRAY = [dict(type='mmlgd.GrayToBGR'), RESIZE, PACK]
STUDENTS = dict(
    colour=SHARP,
    gray=dict(SHARP, test_pipeline=GRAY),
    bgr=dict(SHARP, to_rgb=False),
)
#: Heights and widths: enlarged, reduced, halved, equal, and a photo.
SIZES = [
    *[(5, 7), (28, 28), (40, 17), (32, 36), (16, 18)],
    *[(17, 90), (64, 64), (100, 75), (300, 200), (1, 1)],
]


def smooth(rng, height, width):
    """A smooth picture in colour."""
    coarse = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.fixture(scope='module')
def checkpoints(tmp_path_factory):
    """Checkpoints of a toy student with the metadata of :data:`STUDENTS`.

    Without the mean of its embeddings, they depend much on the picture.
    """
    folder = tmp_path_factory.mktemp('run')
    Runner.from_cfg(toy_run_cfg(write_images(folder / 'images'), folder)).train()
    contents = torch.load(folder / 'epoch_2.pth', weights_only=True)
    state, rng = contents['state_dict'], np.random.default_rng(0)
    images = np.stack([smooth(rng, 16, 18) for _ in range(50)])
    mean, std = (torch.tensor(contents['meta'][f'image_{k}']) for k in ('mean', 'std'))
    inputs = ((torch.tensor(images) - mean) / std).permute(0, 3, 1, 2)
    convolution = [state[f'backbone.conv.{key}'] for key in ('weight', 'bias')]
    maps = torch.conv2d(inputs, *convolution, stride=2, padding=1).relu()
    first, last = (
        [state[f'projector.layers.{i}.{key}'] for key in ('weight', 'bias')]
        for i in (0, 2)
    )
    hidden = torch.nn.functional.linear(maps.mean((2, 3)), *first).relu()
    state['projector.layers.2.bias'] -= torch.nn.functional.linear(hidden, *last).mean(
        0
    )
    for name, meta in STUDENTS.items():
        changed = dict(contents, meta={**contents['meta'], **meta})
        torch.save(changed, folder / f'{name}.pth')
    return folder


@pytest.fixture(scope='module')
def site(checkpoints, tmp_path_factory):
    """Address and folder of the pages, one for each checkpoint."""
    if not runtime.is_fetched() and not IS_REQUIRED:
        pytest.skip('needs onnxruntime-web: run `make web-runtime` once')
    root = tmp_path_factory.mktemp('site')
    rng = np.random.default_rng(1)
    images = [smooth(rng, 12, 12) for _ in range(20)]
    for name in STUDENTS:
        build_page(
            checkpoints / f'{name}.pth',
            root / name,
            SETS,
            images,
            [Picture(f'example {i}', image) for i, image in enumerate(images[:2])],
            teacher=ToyTeacher(),
        )

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = functools.partial(Quiet, directory=str(root))
    with ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{server.server_address[1]}', root
        server.shutdown()


@pytest.fixture(scope='module')
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp('profile')) as browser:
        yield browser


def read_scores(browser):
    """The table: scores of both models by name, in the order of the page."""
    rows = browser.evaluate(
        "[...document.querySelectorAll('#scores tbody tr')].map(row =>"
        "[row.querySelector('th').textContent,"
        " ...[...row.querySelectorAll('data')].map(each => Number(each.value))])"
    )
    return {name: scores for name, *scores in rows}


def status(browser):
    return browser.evaluate("document.getElementById('status').textContent")


def wait_for_status(browser, text):
    browser.wait_for(
        f"document.getElementById('status').textContent.includes({json.dumps(text)})"
    )


def open_page(browser, address):
    browser.open(address)
    wait_for_status(browser, 'for test image “example 0”')
    assert not browser.errors


def write_pictures(folder):
    """Ten pictures of the sizes above."""
    rng, paths = np.random.default_rng(2), []
    for number, (height, width) in enumerate(SIZES):
        paths.append(folder / f'picture_{number}.png')
        cv2.imwrite(str(paths[-1]), smooth(rng, height, width))
    return paths


def scores_of(onnx_file, classifier, names, path):
    """Scores of onnxruntime, for the pixels that the test pipeline gives."""
    session = onnxruntime.InferenceSession(str(onnx_file))
    pixels = classifier.pipeline(cv2.imread(str(path))).numpy()
    pixels = pixels[::-1] if classifier.record.to_rgb else pixels
    (embedding,) = session.run(None, {'images': pixels[None]})
    rows = ToyTeacher().encode_text(
        [text.format(name) for name in names for text in classifier_templates()]
    )
    rows = torch.nn.functional.normalize(rows.view(len(names), -1, 16).mean(1), dim=1)
    return torch.softmax(torch.tensor(embedding) @ rows.T / TEMPERATURE, 1)[0].numpy()


def classifier_templates():
    from mmlgd.datasets.category_names import load_templates

    return load_templates('imagenet')


@needs_browser
@pytest.mark.slow
@pytest.mark.parametrize('student', STUDENTS)
def test_scores_equal_those_of_python(browser, site, checkpoints, tmp_path, student):
    address, root = site
    open_page(browser, f'{address}/{student}/')
    classifier = ZeroShotClassifier(checkpoints / f'{student}.pth')
    names, all_scores = classifier.category_names, []
    for path in write_pictures(tmp_path):
        browser.choose_files('#file', [path])
        wait_for_status(browser, path.name)
        found = read_scores(browser)
        assert list(found) == sorted(names, key=lambda name: -found[name][0])
        scores = np.array([found[name] for name in names])
        # A value that is rounded the other way changes an int8 output by a level.
        for column, (model, tolerance) in enumerate(
            (('float32', 1e-3), ('int8', 1e-2))
        ):
            file = root / student / f'{model}.onnx'
            expected = scores_of(file, classifier, names, path)
            assert np.abs(scores[:, column] - expected).max() < tolerance, (path, model)
        all_scores.append(scores)
    # They depend on the picture.
    assert np.ptp(all_scores, axis=0).max() > 0.03
    # Nothing was loaded from elsewhere, and nothing sent.
    assert all(url.startswith((address, 'blob:')) for url in browser.requests)
    assert not browser.errors


@needs_browser
@pytest.mark.slow
def test_a_photo_is_turned_upright(browser, site, checkpoints, tmp_path):
    """A JPEG with an orientation, as phones write; Chromium and OpenCV decode alike."""
    from PIL import Image

    rng = np.random.default_rng(3)
    image = smooth(rng, 90, 60)
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / 'photo.jpg'
    Image.fromarray(image).save(path, exif=exif, quality=95)
    open_page(browser, f'{site[0]}/colour/')
    browser.choose_files('#camera', [path])
    wait_for_status(browser, 'photo.jpg')
    classifier = ZeroShotClassifier(
        checkpoints / 'colour.pth', NAMES, teacher=ToyTeacher()
    )
    expected = classifier.scores(path)[0].numpy()
    found = read_scores(browser)
    found = [found[name][0] for name in classifier.category_names]
    size = "(({width, height}) => [width, height])(document.getElementById('shown'))"
    assert browser.evaluate(size) == [90, 60]
    assert np.abs(found - expected).max() < 1e-2


@needs_browser
@pytest.mark.slow
def test_one_file_works_without_a_server(browser, site):
    address, root = site
    open_page(browser, f'{address}/colour/')
    expected = read_scores(browser)
    open_page(browser, (root / 'colour/one_file.html').as_uri())
    found = read_scores(browser)
    assert list(found) == list(expected)
    for name, scores in expected.items():
        assert found[name] == pytest.approx(scores, abs=1e-6)
    first, *others = browser.requests
    assert first.endswith('one_file.html')
    assert all(url.startswith(('blob:', 'data:')) for url in others)


@needs_browser
@pytest.mark.slow
def test_pixels_are_those_of_opencv(browser, site):
    open_page(browser, f'{site[0]}/gray/')
    rng = np.random.default_rng(4)
    for number in range(40):
        height, width, new_height, new_width = rng.integers(1, 60, 4).tolist()
        if number % 5 == 0:
            height, width = 2 * new_height, 2 * new_width
        image = rng.integers(0, 256, (height, width, 4), dtype=np.uint8)
        found = browser.evaluate(
            "import('./pixels.js').then(({resize, toGray}) => {"
            f'const image = {{data: Uint8Array.from({image.ravel().tolist()}),'
            f'  width: {width}, height: {height}, channels: 4}};'
            f'const small = resize(image, {new_width}, {new_height});'
            'return [[...small.data], [...toGray(image).data]]})'
        )
        expected = cv2.resize(image, (new_width, new_height))
        assert found[0] == expected.ravel().tolist(), image.shape
        gray = cv2.cvtColor(image[..., :3], cv2.COLOR_RGB2GRAY)
        assert found[1] == gray.ravel().tolist()


@needs_browser
@pytest.mark.slow
def test_the_set_of_names_is_changed_by_keyboard(browser, site):
    open_page(browser, f'{site[0]}/colour/')
    assert set(read_scores(browser)) == set(NAMES)
    browser.evaluate("document.getElementById('set').focus()")
    browser.press('T', 84, 't')  # the first option with this letter
    browser.wait_for("document.querySelectorAll('#scores tbody tr').length === 3")
    before = read_scores(browser)
    assert set(before) == set(SETS['Things'])
    browser.press('Tab', 9)
    for letter in 'bir':
        browser.press(letter, ord(letter.upper()), letter)
    boxes = (
        "[...document.querySelectorAll('#boxes label')].filter(each => !each.hidden)"
    )
    shown = browser.evaluate(f'{boxes}.map(each => each.textContent)')
    assert shown == ['bird']
    for _ in range(3):  # two buttons, and the box
        browser.press('Tab', 9)
    browser.press(' ', 32, ' ')
    after = read_scores(browser)
    assert set(after) == {*before, 'bird'}
    for column in (0, 1):
        assert sum(scores[column] for scores in after.values()) == pytest.approx(1)
        # Ratios of the others stay.
        assert after['lamp'][column] * before['tree'][column] == pytest.approx(
            after['tree'][column] * before['lamp'][column], rel=1e-4
        )
    chosen = "document.getElementById('set').selectedOptions[0].textContent"
    assert browser.evaluate(chosen) == 'Own choice'
    browser.evaluate("document.getElementById('none').click()")
    assert status(browser) == 'Choose at least one name.'
    assert not read_scores(browser)
    browser.evaluate("document.getElementById('all').click()")
    assert list(read_scores(browser)) == ['bird']


@needs_browser
@pytest.mark.slow
def test_examples_are_chosen_by_keyboard(browser, site):
    open_page(browser, f'{site[0]}/colour/')
    before = read_scores(browser)
    labels = []
    for _ in range(3):  # the two files, without the camera of phones, and examples
        browser.press('Tab', 9)
        labels.append(
            browser.evaluate(
                '(e => e.labels?.[0]?.textContent ?? e.title)(document.activeElement)'
            )
        )
    assert labels == ['choose a file', 'example 0', 'example 1']
    browser.press('Enter', 13, '\r')
    wait_for_status(browser, 'for test image “example 1”')
    assert read_scores(browser) != before
    pressed = "document.querySelector('#examples [aria-pressed=true]').title"
    assert browser.evaluate(pressed) == 'example 1'


@needs_browser
@pytest.mark.slow
def test_only_gray_students_offer_to_invert(browser, site, tmp_path):
    hidden = "document.getElementById('negative-row').hidden"
    open_page(browser, f'{site[0]}/colour/')
    assert browser.evaluate(hidden)
    open_page(browser, f'{site[0]}/gray/')
    assert not browser.evaluate(hidden)
    image = np.random.default_rng(5).integers(0, 256, (16, 18), dtype=np.uint8)
    for name, pixels in (('plain.png', image), ('negative.png', 255 - image)):
        cv2.imwrite(str(tmp_path / name), pixels)
    browser.choose_files('#file', [tmp_path / 'negative.png'])
    wait_for_status(browser, 'negative.png')
    expected = read_scores(browser)
    browser.choose_files('#file', [tmp_path / 'plain.png'])
    wait_for_status(browser, 'plain.png')
    plain = read_scores(browser)
    browser.evaluate("document.getElementById('negative').click()")
    browser.wait_for(
        "Number(document.querySelector('#scores data').value) !== "
        f'{max(scores[0] for scores in plain.values())}'
    )
    assert read_scores(browser) == expected != plain


@needs_browser
@pytest.mark.slow
def test_what_is_not_an_image_is_reported(browser, site, tmp_path):
    open_page(browser, f'{site[0]}/colour/')
    before = read_scores(browser)
    (tmp_path / 'notes.png').write_text('not an image')
    browser.choose_files('#file', [tmp_path / 'notes.png'])
    wait_for_status(browser, 'notes.png is not an image')
    assert read_scores(browser) == before


@needs_browser
@pytest.mark.slow
def test_a_missing_file_is_reported(browser, site):
    address, root = site
    model = root / 'bgr/int8.onnx'
    content = model.read_bytes()
    model.unlink()
    browser.open(f'{address}/bgr/')
    wait_for_status(browser, 'cannot be started: int8.onnx')
    model.write_bytes(content)


@needs_browser
@pytest.mark.slow
def test_the_page_fits_a_phone_and_follows_its_colours(browser, site):
    brightness = []
    for dark in (False, True):
        browser.show_as(360, 740, phone=True, dark=dark)
        open_page(browser, f'{site[0]}/gray/')
        assert browser.evaluate('document.documentElement.scrollWidth') <= 360
        camera = "document.querySelector('label[for=camera]').offsetHeight"
        assert browser.evaluate(camera) >= 40
        shot = np.frombuffer(browser.screenshot(), np.uint8)
        brightness.append(cv2.imdecode(shot, cv2.IMREAD_COLOR).mean())
    browser.show_as(1100, 900, phone=False)
    assert brightness[0] > 180 > 80 > brightness[1]


def test_a_folder_with_other_files_is_kept(tmp_path):
    (tmp_path / 'thesis.txt').touch()
    with pytest.raises(ConfigError, match='contains other files'):
        build_page('none.pth', tmp_path, SETS, [], [])
    assert (tmp_path / 'thesis.txt').is_file()


@pytest.mark.parametrize(
    'step',
    [
        dict(type='mmpretrain.CenterCrop', crop_size=16),
        dict(RESIZE, backend='pillow'),
        dict(RESIZE, interpolation='bicubic'),
        dict(RESIZE, keep_ratio=True),
        dict(RESIZE, scale=(20, 20)),
    ],
)
def test_other_test_pipelines_are_refused(checkpoints, tmp_path, step):
    pipeline = [step, PACK] if step['type'] == 'Resize' else [RESIZE, step, PACK]
    if step == dict(RESIZE, scale=(20, 20)):
        pipeline = [RESIZE, step, PACK]
    contents = torch.load(checkpoints / 'colour.pth', weights_only=True)
    contents['meta']['test_pipeline'] = pipeline
    torch.save(contents, tmp_path / 'x.pth')
    with pytest.raises(ConfigError, match='only resize pictures bilinearly'):
        build_page(
            tmp_path / 'x.pth', tmp_path / 'out', SETS, [], [], teacher=ToyTeacher()
        )
    assert not (tmp_path / 'out').exists()


def test_a_missing_checkpoint_names_the_demo(tmp_path):
    with pytest.raises(build.CheckpointError, match='none.pth .*run `make demo`'):
        build.main([str(tmp_path / 'none.pth'), '--out', str(tmp_path / 'out')])


def test_the_runtime_needs_npm(tmp_path, monkeypatch):
    monkeypatch.setenv('PATH', str(tmp_path))
    with pytest.raises(DependencyError, match='npm is not installed'):
        runtime.fetch_runtime(tmp_path)


def test_another_package_is_refused(tmp_path, monkeypatch):
    """npm gives a package whose files were changed, then fails."""

    def pack(command, cwd, **options):
        with tarfile.open(Path(cwd) / 'x.tgz', 'w:gz') as archive:
            for member, _ in runtime.FILES.values():
                path = tmp_path / 'changed'
                path.write_text('changed')
                archive.add(path, member)
        return subprocess.CompletedProcess(command, 0, '', '')

    monkeypatch.setattr(runtime.shutil, 'which', lambda name: name)
    monkeypatch.setattr(runtime.subprocess, 'run', pack)
    with pytest.raises(DataError, match='is not the expected file'):
        runtime.fetch_runtime(tmp_path / 'cache')
    failed = subprocess.CompletedProcess([], 1, '', 'ENOTFOUND')
    monkeypatch.setattr(runtime.subprocess, 'run', lambda *args, **options: failed)
    with pytest.raises(DependencyError, match='ENOTFOUND'):
        runtime.fetch_runtime(tmp_path / 'cache')
    assert not runtime.is_fetched(tmp_path / 'cache')
