"""The launch scripts: two gloo processes, ports, nodes and Slurm's command line."""

import socket
import sys

import pytest
import torch

from tests.toy_tool_run import TOOLS, run_tool

# Each rank writes its final weights, since checkpoints are of rank 0 alone.
DUMP_HOOK = """
import os
import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

@HOOKS.register_module()
class DumpEachRank(Hook):
    def after_train(self, runner):
        state = dict(
            wrapper=type(runner.model).__name__,
            broadcast_buffers=runner.model.broadcast_buffers,
            find_unused_parameters=runner.model.find_unused_parameters,
            weights=dict(runner.model.module.named_parameters()),
            means=runner.model.module.backbone.bn1.running_mean)
        torch.save(state, f'rank{os.environ["RANK"]}.pth')
"""


@pytest.mark.slow
def test_two_processes_train_one_model_over_gloo(toy_config, tmp_path):
    (tmp_path / 'dump_each_rank.py').write_text(DUMP_HOOK)
    config = tmp_path / 'c.py'
    config.write_text(
        f'_base_ = [{str(toy_config)!r}]\n'
        "custom_imports = dict(imports=['dump_each_rank'])\n"
        "custom_hooks = [dict(type='DumpEachRank')]\n"
        'find_unused_parameters = True\n'
    )
    result = run_tool(
        *('bash', TOOLS / 'dist_train.sh', config, 2, '--no-validate'),
        cwd=tmp_path,
        PYTHONPATH=str(tmp_path),
        CUDA_VISIBLE_DEVICES='-1',
    )
    assert result.returncode == 0, result.stderr
    assert (
        result.stdout.count('2 process(es) run on the CPU and communicate over gloo')
        == 1
    )
    first, second = (torch.load(tmp_path / f'rank{rank}.pth') for rank in (0, 1))
    assert first['wrapper'] == 'AnyDeviceDDP'
    assert first['find_unused_parameters'] is True
    assert first['broadcast_buffers'] is False
    for name, weight in first['weights'].items():
        assert torch.equal(weight, second['weights'][name]), name
    # The ranks saw different images, so equal weights were not for free.
    assert not torch.equal(first['means'], second['means'])


@pytest.mark.slow
def test_torchrun_without_launcher_trains_one_model(toy_config, tmp_path):
    with socket.create_server(('127.0.0.1', 0)) as server:
        port = server.getsockname()[1]
    result = run_tool(
        *(sys.executable, '-m', 'torch.distributed.run', '--nproc_per_node=2'),
        *(f'--master_port={port}', TOOLS / 'train.py', toy_config, '--no-validate'),
        cwd=tmp_path,
        CUDA_VISIBLE_DEVICES='-1',
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.count('2 processes were started by torchrun') == 1
    assert '4 images: 2 on each of 2 ranks' in result.stdout
    work_dir = tmp_path / 'work_dirs' / 'toy'
    state = torch.load(work_dir / 'epoch_2.pth', weights_only=False)
    # Eight images in batches of two on each of two ranks: two steps an epoch.
    assert state['meta']['iter'] == 4
    assert len(list(work_dir.glob('*/vis_data'))) == 1


def test_a_taken_port_stops_the_launch_with_one_sentence(tmp_path):
    with socket.create_server(('127.0.0.1', 0)) as server:
        port = str(server.getsockname()[1])
        command = ('bash', TOOLS / 'dist_train.sh', 'c.py', 2)
        result = run_tool(*command, cwd=tmp_path, PORT=port)
    assert result.returncode == 2
    assert result.stdout == ''
    assert result.stderr.startswith(f'error: Port {port} cannot be used for this run: ')
    assert result.stderr.count('\n') == 1


def test_wrong_calls_say_what_is_missing(tmp_path):
    def stderr(*command, **variables):
        result = run_tool('bash', *command, cwd=tmp_path, **variables)
        assert result.returncode == 2
        return result.stderr

    assert 'usage' in stderr(TOOLS / 'dist_train.sh')
    assert 'CHECKPOINT' in stderr(TOOLS / 'dist_test.sh', 'c.py', '2')
    assert "not 'two'" in stderr(TOOLS / 'dist_train.sh', 'c.py', 'two')
    nodes = stderr(TOOLS / 'dist_train.sh', 'c.py', '2', NNODES='2', NODE_RANK='0')
    assert 'MASTER_ADDR' in nodes


def fake(folder, name: str) -> str:
    """A program that prints its arguments and the port it was given."""
    path = folder / name
    path.write_text('#!/bin/sh\necho "$@" "port=$MASTER_PORT"\n')
    path.chmod(0o755)
    return str(path)


def test_a_second_node_joins_the_first(tmp_path):
    result = run_tool(
        *('bash', TOOLS / 'dist_test.sh', 'c.py', 'e.pth', '8', '--out', 'a b.pkl'),
        cwd=tmp_path,
        PYTHON=fake(tmp_path, 'python'),
        **dict(NNODES='2', NODE_RANK='1', MASTER_ADDR='10.0.0.1', PORT='29511'),
    )
    assert result.stdout.startswith(
        '-m mmlgd.utils.torchrun --nnodes=2 --node_rank=1 --master_addr=10.0.0.1 '
        f'--master_port=29511 --nproc_per_node=8 {TOOLS}/test.py c.py e.pth '
        '--out a b.pkl --launcher pytorch'
    )


def test_elastic_launch_passes_the_rendezvous_and_restarts(tmp_path):
    result = run_tool(
        *('bash', TOOLS / 'dist_train.sh', 'c.py', '8', '--amp'),
        cwd=tmp_path,
        PYTHON=fake(tmp_path, 'python'),
        **dict(NNODES='2:4', RDZV_ENDPOINT='10.0.0.1:29511', RDZV_ID='run7'),
        MAX_RESTARTS='5',
    )
    assert result.stdout.startswith(
        '-m mmlgd.utils.torchrun --nnodes=2:4 --rdzv-backend=c10d '
        '--rdzv-endpoint=10.0.0.1:29511 --rdzv-id=run7 --max-restarts=5 '
        f'--nproc_per_node=8 {TOOLS}/train.py c.py --amp --launcher pytorch'
    )


def test_restarts_on_one_machine_need_no_endpoint_and_get_an_identity(tmp_path):
    def command():
        result = run_tool(
            *('bash', TOOLS / 'dist_train.sh', 'c.py', '2'),
            cwd=tmp_path,
            PYTHON=fake(tmp_path, 'python'),
            MAX_RESTARTS='1',
        )
        return result.stdout.split()

    first, second = command(), command()
    assert {'--nnodes=1', '--rdzv-endpoint=localhost:0', '--max-restarts=1'} <= {*first}
    identity = next(part for part in first if part.startswith('--rdzv-id='))
    assert len(identity) > len('--rdzv-id=')
    # Otherwise a later launch would pass for a restart of this one.
    assert identity not in second


@pytest.mark.parametrize(
    ('variables', 'said'),
    [
        (dict(NNODES='4:2', RDZV_ENDPOINT='a:1'), 'MIN is greater than MAX'),
        (dict(NNODES='2:', RDZV_ENDPOINT='a:1'), "MIN:MAX, not '2:'"),
        (dict(MAX_RESTARTS='x', RDZV_ENDPOINT='a:1'), "not 'x'"),
        (dict(NNODES='2:4'), 'needs RDZV_ENDPOINT'),
        (dict(NNODES='2', MAX_RESTARTS='3'), 'needs RDZV_ENDPOINT'),
        (dict(NNODES='2:4', RDZV_ENDPOINT='a:1'), 'needs RDZV_ID'),
    ],
)
def test_wrong_elastic_settings_are_named(tmp_path, variables, said):
    command = ('bash', TOOLS / 'dist_train.sh', 'c.py', '2')
    result = run_tool(
        *command, cwd=tmp_path, PYTHON=fake(tmp_path, 'python'), **variables
    )
    assert result.returncode == 2
    assert said in result.stderr


def test_slurm_asks_for_the_gpus_and_tasks(tmp_path):
    fake(tmp_path, 'srun')
    result = run_tool(
        *('bash', TOOLS / 'slurm_train.sh', 'gpu', 'job', 'c.py', 'w', '--amp'),
        cwd=tmp_path,
        PATH=f'{tmp_path}:/usr/bin:/bin',
        PYTHON='python3',
        **dict(GPUS='4', PORT='23456', SRUN_ARGS='--time 1 --qos x'),
    )
    assert result.stdout == (
        '-p gpu --job-name=job --gres=gpu:4 --ntasks=4 --ntasks-per-node=4 '
        '--cpus-per-task=5 --kill-on-bad-exit=1 --signal=USR1@120 --time 1 --qos x python3 -u '
        f'{TOOLS}/train.py c.py --work-dir w --amp --launcher slurm port=23456\n'
    )


def test_slurm_signals_a_training_but_not_a_test(tmp_path):
    fake(tmp_path, 'srun')

    def command(script, *arguments, **variables):
        return run_tool(
            *('bash', TOOLS / script, 'gpu', 'job', 'c.py', 'w', *arguments),
            cwd=tmp_path,
            PATH=f'{tmp_path}:/usr/bin:/bin',
            PYTHON='python3',
            **variables,
        ).stdout

    assert '--signal' not in command('slurm_test.sh')
    assert '--signal=USR1@300 ' in command('slurm_train.sh', SIGNAL='USR1@300')
    assert '--signal' not in command('slurm_train.sh', SIGNAL='')
