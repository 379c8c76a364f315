"""The notebooks run from top to bottom, with fewer images and steps than by default."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / 'notebooks'
#: Notebook -> its parameters in this test.
SMALL = dict(
    quick_start='NUM_IMAGES, EPOCHS = 32, 1',
    own_names="""
from demo.fashion_mnist import write_pictures
PICTURES = write_pictures(OUT / 'pictures', 'train', 32)
NAMES = ['trouser', 'ankle boot', 'bag']
TEACHER = 'demo/teacher/fashion-clip.pt'
EPOCHS = 1
""",
    student_to_detector='NUM_IMAGES, EPOCHS, NUM_SCENES, ITERATIONS = 32, 1, 8, 2',
)


def slow(test):
    """Marks a test that executes a notebook: half a minute on an idle core."""
    return pytest.mark.slow(pytest.mark.timeout(900)(test))


def read(name):
    return nbformat.read(NOTEBOOKS / f'{name}.ipynb', as_version=4)


def parameters(notebook):
    """The cell that a test replaces."""
    (found,) = (
        cell for cell in notebook.cells if 'parameters' in cell.metadata.get('tags', ())
    )
    return found


@pytest.fixture
def executed(tmp_path, monkeypatch):
    """Runs a notebook; returns it with its outputs, and its output folder."""

    def run(name):
        monkeypatch.setenv('PYTHONPATH', str(ROOT))
        monkeypatch.setenv('OMP_NUM_THREADS', '1')
        notebook = read(name)
        cell = parameters(notebook)
        # A parameter that the notebook no longer has would change nothing.
        for given in re.findall('[A-Z_]{4,}', SMALL[name]):
            assert re.search(rf'\b{given}\b', cell.source), given
        cell.source = f'OUT = Path({str(tmp_path)!r})\n{SMALL[name]}'
        options = dict(timeout=600, kernel_name='python3')
        place = {'metadata': {'path': str(NOTEBOOKS)}}
        NotebookClient(notebook, resources=place, **options).execute()
        return notebook, tmp_path

    return run


def results(notebook):
    """Text of each cell's value, where it has one."""
    return [
        output.data['text/plain']
        for cell in notebook.cells
        for output in cell.get('outputs', ())
        if output.output_type == 'execute_result'
    ]


@slow
def test_quick_start(executed):
    notebook, out = executed('quick_start')
    found = results(notebook)
    assert found[0] == '32'
    assert found[1].startswith('Distillation(config=')
    assert found[2].count("('") == 8  # a name and a score for each picture
    assert (out / 'run/report.html').is_file()
    assert notebook.cells[-4].outputs[-1].data['image/png']


@slow
def test_own_names(executed):
    notebook, out = executed('own_names')
    found = results(notebook)
    assert found[0].startswith('Estimate(')
    names = re.findall(r"'([a-z]+)'", found[1])
    assert len(names) == 8 and set(names) <= {'shoe', 'bag', 'garment'}
    assert found[2].startswith('((8, 128)')
    assert (out / 'labels/review.html').is_file()


@slow
def test_student_to_detector(executed):
    notebook, out = executed('student_to_detector')
    assert (out / 'detector/iter_2.pth').is_file()
    printed = str(notebook.cells)
    assert 'bbox_mAP' in printed
    assert (out / 'found.png').stat().st_size > 10_000


def test_notebooks_are_stored_without_outputs():
    assert {path.stem for path in NOTEBOOKS.glob('*.ipynb')} == {*SMALL}
    for name in SMALL:
        notebook = read(name)
        nbformat.validate(notebook)
        for cell in notebook.cells:
            assert not cell.get('outputs') and not cell.get('execution_count')


def test_links_of_the_notebooks_exist():
    for name in SMALL:
        text = '\n'.join(cell.source for cell in read(name).cells)
        for link in re.findall(r'\]\(([^)#]+)', text):
            assert (NOTEBOOKS / link).is_file(), (name, link)
