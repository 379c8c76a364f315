"""The Dockerfile and the Kubernetes manifest name what exists; nothing builds an image."""

import fnmatch
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mmlgd.engine.hooks import PreemptionHook
from tests.toy_tool_run import run_tool

ROOT = Path(__file__).resolve().parents[2]
MANIFEST = ROOT / 'docker/kubernetes/indexed_job.yaml'
INSTRUCTIONS = {'ARG', 'CMD', 'COPY', 'ENV', 'FROM', 'RUN', 'WORKDIR'}


def instructions(**given):
    """(instruction, argument) of the Dockerfile, its build arguments filled in."""
    text = (ROOT / 'docker/Dockerfile').read_text()
    lines = [line for line in text.splitlines() if not line.startswith('#')]
    values = {}
    for line in '\n'.join(lines).replace('\\\n', ' ').splitlines():
        if line.strip():
            name, argument = line.split(maxsplit=1)
            if name == 'ARG':
                key, _, default = argument.partition('=')
                values[key] = given.get(key, default.strip('"'))
            for key, value in values.items():
                argument = argument.replace(f'${{{key}}}', value)
            assert '${' not in argument, f'{argument}: an unknown build argument'
            yield name, argument


def stages(**given):
    """Stage -> (its base, its instructions)."""
    found = {}
    for name, argument in instructions(**given):
        if name == 'FROM':
            base, _, stage = argument.partition(' AS ')
            found[stage or 'final'] = base, []
        elif found:
            list(found.values())[-1][1].append((name, argument))
    return found


def ignored(path):
    """Whether .dockerignore keeps a path of the repository out of the build."""
    lines = (ROOT / '.dockerignore').read_text().splitlines()
    patterns = [line for line in lines if line and not line.startswith('#')]
    parts = Path(path).parts
    heads = ['/'.join(parts[: end + 1]) for end in range(len(parts))]
    return any(
        fnmatch.fnmatch(head, pattern.removeprefix('**/'))
        or (pattern.startswith('**/') and fnmatch.fnmatch(head, f'*/{pattern[3:]}'))
        for pattern in patterns
        for head in heads
    )


@pytest.mark.parametrize(
    ('device', 'base', 'force'),
    [('cpu', 'ubuntu:24.04', 0), ('cuda', 'nvidia/cuda', 1)],
)
def test_the_device_chooses_the_stage_that_compiles_mmcv(device, base, force):
    found = stages(DEVICE=device)
    first, _ = found['build']
    assert first == f'build-{device}'
    assert found[first][0].startswith(base)
    environment = [text for name, text in found[first][1] if name == 'ENV']
    # The variable that tools/setup_env.py and mmcv's setup read.
    assert f'FORCE_CUDA={force} ' in environment[0]
    # The virtual environment of the first stage links to the second one's Python.
    release = re.search(r'ubuntu:?(\d+\.\d+)', found['final'][0])[1]
    assert found[first][0].endswith(f'ubuntu{":" if device == "cpu" else ""}{release}')


def test_the_image_is_of_the_cuda_release_of_the_pinned_torch():
    import torch

    pins = (ROOT / 'constraints.txt').read_text().splitlines()
    is_pinned = f'torch=={torch.__version__.partition("+")[0]}' in pins
    if torch.version.cuda is None or not is_pinned:
        pytest.skip('the installed torch is not the pinned one with CUDA')
    (base, _), *_ = (found for name, found in stages().items() if name == 'build-cuda')
    assert base.startswith(f'nvidia/cuda:{torch.version.cuda}.')


def test_every_copied_source_and_every_script_exists_and_is_not_ignored():
    found = stages()
    commands = []
    for _, steps in found.values():
        for name, argument in steps:
            assert name in INSTRUCTIONS, name
            if name == 'COPY':
                *options, source, _target = argument.split()
                for option in options:
                    stage = re.fullmatch(r'--from=(\S+)', option)[1]
                    assert stage in found
                assert options or (ROOT / source).exists()
            elif name == 'RUN':
                commands += [step.split() for step in argument.split('&&')]
            elif name == 'CMD':
                commands.append(json.loads(argument))
    programs = {command[0] for command in commands}
    assert programs <= {'apt-get', 'rm', 'python3', 'python'}
    scripts = [command[1:] for command in commands if command[0].startswith('python')]
    assert [script[0] for script in scripts] == [
        'tools/setup_env.py',
        'tools/collect_env.py',
    ]
    for script, *options in scripts:
        assert not ignored(script)
        result = subprocess.run(
            [sys.executable, ROOT / script, *options, '--help'], capture_output=True
        )
        assert result.returncode == 0, result.stderr


def test_the_build_gets_all_tracked_files_and_none_of_this_machine():
    command = ['git', '-C', ROOT, 'ls-files']
    tracked = subprocess.run(command, capture_output=True, text=True).stdout.split('\n')
    if not tracked[0]:
        pytest.skip('not a git checkout')
    assert not [path for path in tracked if path and ignored(path)]
    for path in ('.git/HEAD', '.venv/bin/python', 'work_dirs/a/epoch_1.pth'):
        assert ignored(path)
    assert ignored('mmlgd/models/__pycache__/student.pyc')


@pytest.fixture
def manifest():
    service, job = yaml.safe_load_all(MANIFEST.read_text())
    return service, job, job['spec']['template']['spec']


def environment(pod):
    return {each['name']: each for each in pod['containers'][0]['env']}


def test_the_job_ignores_preempted_pods(manifest):
    _, job, pod = manifest
    container = pod['containers'][0]['name']
    rule = job['spec']['podFailurePolicy']['rules'][0]
    assert rule['action'] == 'Ignore'
    assert rule['onExitCodes'] == dict(
        containerName=container, operator='In', values=[PreemptionHook().exit_code]
    )
    # The policy is refused with any other.
    assert pod['restartPolicy'] == 'Never'
    mounts = {each['name'] for each in pod['containers'][0]['volumeMounts']}
    assert mounts == {each['name'] for each in pod['volumes']}


def test_pods_meet_at_pod_0(manifest):
    service, job, pod = manifest
    name, port = service['metadata']['name'], service['spec']['ports'][0]['port']
    assert pod['subdomain'] == name
    assert service['spec']['clusterIP'] == 'None'
    label = service['spec']['selector']['batch.kubernetes.io/job-name']
    assert label == job['metadata']['name']
    assert job['spec']['completionMode'] == 'Indexed'
    endpoint = environment(pod)['RDZV_ENDPOINT']['value']
    assert endpoint == f'{job["metadata"]["name"]}-0.{name}:{port}'
    most = environment(pod)['NNODES']['value'].partition(':')[2]
    assert job['spec']['completions'] == job['spec']['parallelism'] == int(most)


def test_the_container_launches_a_config_with_its_variables(manifest, tmp_path):
    container = manifest[2]['containers'][0]
    program, script = container['command']
    config, gpus, *options = container['args']
    assert (ROOT / config).exists()
    assert int(gpus) == container['resources']['limits']['nvidia.com/gpu']
    python = tmp_path / 'python'
    python.write_text('#!/bin/sh\necho "$@"\n')
    python.chmod(0o755)
    variables = {
        name: each.get('value', 'uid-of-the-job')
        for name, each in environment(manifest[2]).items()
    }
    result = run_tool(
        *(program, ROOT / script, config, gpus, *options),
        cwd=tmp_path,
        **{**variables, 'PYTHON': str(python)},
    )
    assert result.stdout.split()[2:] == [
        '--nnodes=2:4',
        '--rdzv-backend=c10d',
        '--rdzv-endpoint=mmlgd-train-0.mmlgd:29500',
        '--rdzv-id=uid-of-the-job',
        '--max-restarts=10',
        '--nproc_per_node=8',
        f'{ROOT}/tools/train.py',
        config,
        *options,
        '--launcher',
        'pytorch',
    ]
