"""Packaging of mmlgd.

Beside the package, an installation carries ``mmlgd/.mim/`` with the configs, the
tools and the model index, where mmengine looks for ``mmlgd::`` bases and mim for
tools: copied into a wheel, linked in an editable installation.
"""

import os
import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
MIM_ENTRIES = ('configs', 'tools', 'model-index.yml')


def version() -> str:
    """The version that ``mmlgd/version.py`` states, without importing mmlgd."""
    scope: dict[str, str] = {}
    exec((ROOT / 'mmlgd/version.py').read_text(), scope)
    return scope['__version__']


def requirements(name: str) -> list[str]:
    """The requirement lines of ``requirements/<name>.txt``, comments left out."""
    lines = (ROOT / f'requirements/{name}.txt').read_text().splitlines()
    stripped = (line.partition('#')[0].strip() for line in lines)
    return [line for line in stripped if line]


def long_description() -> str:
    """The README as an index of packages shows it.

    Without pictures, their captions and links to files, which are not there.
    """
    text = (ROOT / 'README.md').read_text(encoding='utf-8')
    relative = r'\((?!https?://)[^)]*\)'
    text = re.sub(rf'!\[[^]]*\]{relative}\n+(\*[^*]+\*\n+)?', '', text)
    return re.sub(rf'\[([^]]*)\]{relative}', r'\1', text)


def place(source: Path, target: Path, link: bool) -> None:
    """Put ``source`` at ``target``, as a relative link or as a copy."""
    if target.is_symlink() or target.is_file():
        target.unlink()
    elif target.is_dir():
        shutil.rmtree(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    if link:
        try:
            target.symlink_to(os.path.relpath(source, target.parent))
            return
        except OSError:  # file systems and Windows accounts without links
            pass
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns('__pycache__'))
    else:
        shutil.copy2(source, target)


class BuildWithMim(build_py):
    """``build_py`` that also provides ``mmlgd/.mim``."""

    def run(self) -> None:
        super().run()
        package = ROOT if self.editable_mode else Path(self.build_lib)
        for entry in MIM_ENTRIES:
            target = package / 'mmlgd/.mim' / entry
            place(ROOT / entry, target, link=self.editable_mode)


EXTRAS = {
    name: requirements(name)
    for name in (
        'tests',
        'export',
        'export_openvino',
        'optional',
        'remote',
        'docs',
    )
}
# The tests compare exported files with the model.
EXTRAS['tests'] += [*EXTRAS['export'], *EXTRAS['export_openvino']]
EXTRAS['all'] = sorted({line for lines in EXTRAS.values() for line in lines})
# Not among all: these converters ask for many packages, or for one release of torch.
for extra in ('export_coreml', 'export_executorch', 'export_litert', 'export_ncnn'):
    EXTRAS[extra] = requirements(extra)

setup(
    name='mmlgd',
    version=version(),
    description='Language-guided distillation of CLIP-like teachers, for OpenMMLab',
    long_description=long_description(),
    long_description_content_type='text/markdown',
    author='mmlgd authors',
    license='Apache-2.0',
    license_files=['LICENSE'],
    keywords=['computer vision', 'knowledge distillation', 'CLIP', 'pre-training'],
    classifiers=[
        'Development Status :: 4 - Beta',
        'Environment :: GPU :: NVIDIA CUDA',
        'Intended Audience :: Developers',
        'Intended Audience :: Science/Research',
        'Operating System :: POSIX :: Linux',
        'Programming Language :: Python :: 3',
        *(f'Programming Language :: Python :: 3.{minor}' for minor in range(10, 14)),
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
        'Topic :: Scientific/Engineering :: Image Recognition',
        'Typing :: Typed',
    ],
    project_urls={
        'Paper': 'https://arxiv.org/abs/2406.11689',
        'Publication': 'https://doi.org/10.1109/TMM.2024.3410532',
    },
    python_requires='>=3.10',
    packages=find_packages(include=['mmlgd', 'mmlgd.*']),
    package_data={'mmlgd': ['**/*.txt', '**/*.json', 'py.typed', 'report/templates/*']},
    # For a fresh environment. Set-ups with forks or operators use --no-deps.
    install_requires=requirements('runtime') + requirements('lite'),
    extras_require=EXTRAS,
    entry_points={'console_scripts': ['mmlgd = mmlgd.cli.main:main']},
    cmdclass={'build_py': BuildWithMim},
    zip_safe=False,
)
