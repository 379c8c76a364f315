"""The programs that the documentation calls: who runs them, and their parsers."""

import argparse
import importlib
import importlib.util
import inspect
import re
import sys
from types import ModuleType
from unittest import mock

from mmlgd.cli.main import COMMANDS
from tests.test_docs.commands import ROOT

#: Program to the test file that runs it on data of this repository. The same commands in
#: the documentation name images, checkpoints and machines of the reader.
RUN_BY = {
    'mmlgd align-teacher': 'test_cli/test_align_teacher.py',
    'mmlgd autolabel': 'test_cli/test_image_commands.py',
    'mmlgd build-text-bank': 'test_models/test_teachers/test_tokenizers.py',
    'mmlgd classify': 'test_cli/test_image_commands.py',
    'mmlgd distill': 'test_cli/test_distill.py',
    'mmlgd embed': 'test_cli/test_image_commands.py',
    'mmlgd export': 'test_export/test_formats.py',
    'mmlgd index-shards': 'test_cli/test_index_shards.py',
    'mmlgd info': 'test_cli/test_image_commands.py',
    'mmlgd list': 'test_cli/test_image_commands.py',
    'mmlgd probe': 'test_cli/test_image_commands.py',
    'mmlgd report': 'test_report/test_page.py',
    'mmlgd teacher-temperature': 'test_apis/test_teacher_temperature.py',
    'mmlgd train': 'test_tools/test_train.py',
    'tools/align_teacher.py': 'test_cli/test_align_teacher.py',
    'tools/analysis_tools/analyze_logs.py': 'test_tools/test_analysis.py',
    'tools/analysis_tools/benchmark_latency.py': 'test_tools/test_analysis.py',
    'tools/analysis_tools/confusion_matrix.py': 'test_tools/test_analysis.py',
    'tools/analysis_tools/get_flops.py': 'test_tools/test_get_flops.py',
    'tools/analysis_tools/knn.py': 'test_cli/test_knn.py',
    'tools/build_bags.py': 'test_cli/test_build_bags.py',
    'tools/build_stored_views.py': 'test_cli/test_build_stored_views.py',
    'tools/collect_env.py': 'test_utils/test_collect_env.py',
    'tools/dataset_converters/check_datasets.py': 'test_tools/test_dataset_converters.py',
    'tools/dataset_converters/convert_stored_views.py': (
        'test_tools/test_convert_stored_views.py'
    ),
    'tools/dist_test.sh': 'test_tools/test_dist.py',
    'tools/dist_train.sh': 'test_tools/test_dist.py',
    'tools/misc/offline_wheels.py': 'test_tools/test_offline_wheels.py',
    'tools/misc/print_config.py': 'test_tools/test_analysis.py',
    'tools/model_converters/publish_model.py': 'test_tools/test_analysis.py',
    'tools/slurm_train.sh': 'test_tools/test_dist.py',
    'tools/test.py': 'test_tools/test_test.py',
    'tools/train.py': 'test_tools/test_train.py',
    'tools/visualization/browse_dataset.py': 'test_tools/test_analysis.py',
    'tools/visualization/vis_cam.py': 'test_tools/test_analysis.py',
    'tools/visualization/vis_scheduler.py': 'test_tools/test_analysis.py',
    'tools/visualization/vis_tsne.py': 'test_tools/test_analysis.py',
    'benchmarks.comparison': 'test_benchmarks/test_comparison.py',
    'benchmarks.in_memory': 'test_benchmarks/test_in_memory.py',
    'benchmarks.gpu_acceptance': 'test_benchmarks/test_gpu_acceptance.py',
    'benchmarks.speed.bank_update': 'test_benchmarks/test_step_benchmarks.py',
    'benchmarks.speed.data_path': 'test_benchmarks/test_data_path.py',
    'benchmarks.speed.profile_step': 'test_benchmarks/test_step_benchmarks.py',
    'benchmarks.speed.scaling': 'test_benchmarks/test_step_benchmarks.py',
    'benchmarks.speed.shards': 'test_benchmarks/test_step_benchmarks.py',
    'benchmarks.speed.stored_pixels': 'test_benchmarks/test_step_benchmarks.py',
    'benchmarks.speed.train_step': 'test_benchmarks/test_step_benchmarks.py',
    'benchmarks.speed.view_store': 'test_benchmarks/test_step_benchmarks.py',
    'benchmarks.speed.worker_memory': 'test_benchmarks/test_step_benchmarks.py',
    'demo.cifar10_from_npm': 'test_demo/test_scripts.py',
    'demo.emoji': 'test_demo/test_emoji.py',
    'demo.make_demo_data': 'test_demo/test_fashion_mnist.py',
    'demo.probe': 'test_demo/test_probe.py',
    'demo.scenes': 'test_demo/test_scripts.py',
    'demo.transfer': 'test_demo/test_transfer.py',
    'demo.web.build': 'test_demo/test_web.py',
    'demo/evaluate_teacher.py': 'test_demo/test_scripts.py',
    'demo/image_demo.py': 'test_tools/test_analysis.py',
    'demo/train_teacher.py': 'test_demo/test_scripts.py',
}
#: Programs that no test runs, and why.
NOT_RUN = {
    'benchmarks.students': 'trains each student for minutes; its parts have tests',
    'benchmarks.speed.compile_backbone': '.ci/run runs it, in `make gpu-check`',
    'demo.run': '.ci/run runs it, as `make demo`',
    'make': '.ci/run runs demo, env, gpu-check, lint and test; they take minutes',
}
#: Programs of others in the blocks, which are not checked: what they need, or are.
OTHER_PROGRAMS = {
    'a network': 'apt-get git mim pip pre-commit',
    'docker or a cluster': 'docker kubectl module scontrol',
    'nothing of this repository': 'python tensorboard',
    'the shell': '. OUTPUT [ cd done exit export find head mkdir shuf sleep sort split which',
}
#: Words that stand for a value which has to be one of several.
PLACEHOLDERS = {'mmlgd export': {'NAME': 'timm'}}


class Parsed(BaseException):
    """Ends a program once its command line is parsed.

    Attributes:
        options (Namespace): The parsed options.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__()
        self.options = options


def program_and_arguments(words: tuple[str, ...]) -> tuple[str, list[str]]:
    """The program of a command, as in :data:`RUN_BY`, and its arguments."""
    name, *rest = words
    name = name.rpartition('/')[2]
    if name == 'mmlgd' and not rest[0].startswith('-'):
        name = f'mmlgd {rest.pop(0)}'
    elif name == 'python':
        name = rest.pop(0)
        name = rest.pop(0) if name == '-m' else name
    elif name not in ('mmlgd', 'make'):  # launchers
        start = next(i for i, word in enumerate(rest) if word.startswith('tools/'))
        name, rest = rest[start], rest[start + 1 :]
    known = PLACEHOLDERS.get(name, {})
    return name, [known.get(word, word) for word in rest]


def parse(name: str, arguments: list[str], whole: bool) -> argparse.Namespace:
    """Parse arguments with the program's own parser, without running the program.

    Args:
        name (str): Of :func:`program_and_arguments`.
        arguments (list[str]): Its arguments; '...' stands for some that are not shown.
        whole (bool): Whether required arguments must be there.

    Raises:
        SystemExit: The parser refuses the arguments; its message is printed.
    """
    whole = whole and '...' not in arguments
    arguments = [word for word in arguments if word != '...']
    if name == 'mmlgd export' and not whole and '--format' not in arguments:
        arguments += ['--format', 'onnx']  # defines most options
    if name.endswith('.sh'):
        name, arguments = _launched(name, arguments)
    module = _module(name)
    takes_options = 'args' in inspect.signature(module.main).parameters
    main = module.parse_args if takes_options else module.main
    parse_args = argparse.ArgumentParser.parse_args
    parse_known = argparse.ArgumentParser.parse_known_args

    def stop(self, *args, **kwargs):
        raise Parsed(parse_args(self, *args, **kwargs))

    def tolerate(self, *args, **kwargs):
        if not whole:
            for action in self._actions:
                action.required = False
        return parse_known(self, *args, **kwargs)

    with (
        mock.patch.object(argparse.ArgumentParser, 'parse_args', stop),
        mock.patch.object(argparse.ArgumentParser, 'parse_known_args', tolerate),
        mock.patch.object(sys, 'argv', [name, *arguments]),
    ):
        try:
            main(*([arguments] if inspect.signature(main).parameters else []))
        except Parsed as parsed:
            return parsed.options
    raise AssertionError(f'{name} ran without parsing its options')


def make_targets() -> set[str]:
    """The targets of the Makefile."""
    return set(
        re.findall(r'^([a-z-]+):', (ROOT / 'Makefile').read_text(), re.MULTILINE)
    )


def module_of_variable(variable: str) -> str:
    """The module whose arguments a variable of the Makefile holds."""
    text = (ROOT / 'Makefile').read_text()
    return re.search(rf'-m (\S+) \$\({variable}\)', text)[1]


def _launched(script: str, arguments: list[str]) -> tuple[str, list[str]]:
    """The command that a launcher of tools/ starts."""
    name = 'train' if 'train' in script else 'test'
    if 'slurm' in script:
        _, _, *rest = arguments
        if name == 'train':
            rest[1:1] = ['--work-dir']
    else:
        position = {'train': 1, 'test': 2}[name]
        rest = arguments[:position] + arguments[position + 1 :]
        assert int(arguments[position]) > 0, 'number of processes'
    return f'tools/{name}.py', rest


def _module(name: str) -> ModuleType:
    """The module of a program; its ``main`` is what runs."""
    if name.startswith('mmlgd '):
        return importlib.import_module(COMMANDS[name.split()[1]][0])
    if not name.endswith('.py'):
        spec = importlib.util.find_spec(name)
        is_package = spec.submodule_search_locations is not None
        return importlib.import_module(f'{name}.__main__' if is_package else name)
    spec = importlib.util.spec_from_file_location('documented', ROOT / name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
