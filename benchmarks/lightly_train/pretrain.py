"""Trains a run of a benchmark with LightlyTrain, as its run.py configures.

    ENVIRONMENT/bin/python -m benchmarks.lightly_train.pretrain FOLDER

``program`` in run.py has ``images``, a folder, and ``options`` of
``lightly_train.pretrain``. Student, teacher, seed, batch size, number of iterations and
normalisation are those of the run. Writes what a training of mmlgd writes: a checkpoint,
``backbone.pth`` and ``training_cost.json``.
"""

import json
import math
import os
import sys
import time
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import set_random_seed
from torch import Tensor, nn

from benchmarks.backbone_file import save_backbone
from benchmarks.small_depthwise import use_small_depthwise
from mmlgd.models.student import Student
from mmlgd.models.teachers import BaseTeacher
from mmlgd.registry import MODELS
from mmlgd.utils.atomic import write_atomically


class StudentWrapper(nn.Module):
    """A student's backbone in the interface that LightlyTrain expects."""

    def __init__(self, student: Student) -> None:
        super().__init__()
        self.backbone, self.neck = student.backbone, student.neck
        self._width = student.feature_dims

    def get_model(self) -> nn.Module:
        return self.backbone

    def feature_dim(self) -> int:
        return self._width

    def forward_features(self, x: Tensor) -> dict[str, Tensor]:
        maps = self.backbone(x.contiguous(memory_format=torch.channels_last))
        return dict(features=maps[-1])

    def forward_pool(self, x: dict[str, Tensor]) -> dict[str, Tensor]:
        pooled = self.neck((x['features'],))[-1]
        return dict(pooled_features=pooled[..., None, None])


class TeacherWrapper(nn.Module):
    """A teacher's embeddings of images and of locations, which have the same width."""

    def __init__(self, teacher: BaseTeacher) -> None:
        super().__init__()
        self.teacher = teacher

    def get_model(self) -> nn.Module:
        return self.teacher

    def feature_dim(self) -> int:
        return self.teacher.embed_dims

    def forward_features(self, x: Tensor) -> dict[str, Tensor]:
        image, _, locations = self.teacher.encode_spatial(x, dense=True)
        return dict(features=locations, cls_token=image)

    def forward_pool(self, x: dict[str, Tensor]) -> dict[str, Tensor]:
        return dict(pooled_features=x['cls_token'][..., None, None])


def pretrain(cfg: Config, model: nn.Module, folder: Path) -> dict:
    """Train the model's backbone; iterations, CPU time and wall time.

    Args:
        cfg (Config): Config of the run.
        model (nn.Module): Its distiller.
        folder (Path): Its work directory.
    """
    # Otherwise the package sends usage statistics to its makers.
    os.environ['LIGHTLY_TRAIN_EVENTS_DISABLED'] = '1'
    import lightly_train

    program, teacher = cfg.program.to_dict(), model.teacher
    options, images = program['options'], Path(program['images'])
    batch_size, steps = cfg.train_dataloader.batch_size, cfg.train_cfg.max_iters
    count = sum(1 for path in images.rglob('*') if path.is_file())
    normalise = dict(
        mean=[value / 255 for value in teacher.image_mean],
        std=[value / 255 for value in teacher.image_std],
    )
    size = teacher.image_size
    begin = time.process_time(), time.monotonic()
    lightly_train.pretrain(
        out=folder / 'lightly_train',
        data=images,
        model=StudentWrapper(model),
        seed=cfg.randomness.seed,
        batch_size=batch_size,
        epochs=math.ceil(steps / (count // batch_size)),
        num_workers=0,
        devices=1,
        precision='32-true',
        overwrite=True,
        loggers=dict(tensorboard=None),
        callbacks=dict(model_checkpoint=None),
        **{
            **options,
            'method_args': dict(
                options['method_args'], teacher=TeacherWrapper(teacher)
            ),
            'transform_args': dict(
                options.get('transform_args', {}),
                image_size=(size, size),
                normalize=normalise,
            ),
            'trainer_args': dict(max_steps=steps),
        },
    )
    return dict(
        iterations=steps,
        cpu_seconds=round(time.process_time() - begin[0], 2),
        wall_seconds=round(time.monotonic() - begin[1], 2),
    )


def main() -> None:
    folder = Path(sys.argv[1])
    cfg = Config.fromfile(folder / 'run.py')
    torch.set_num_threads(int(os.environ.get('OMP_NUM_THREADS', 1)))
    init_default_scope(cfg.default_scope)
    set_random_seed(cfg.randomness.seed)
    model = MODELS.build(cfg.model)
    model.init_weights()
    model.to(memory_format=torch.channels_last)
    # As in the other trainings, for a comparable cost.
    use_small_depthwise(model.backbone)
    cost = pretrain(cfg, model, folder)
    model.cpu()
    steps = cost['iterations']
    torch.save(dict(state_dict=model.state_dict()), folder / f'iter_{steps}.pth')
    (folder / 'last_checkpoint').write_text(str(folder / f'iter_{steps}.pth'))
    save_backbone(model, folder / 'backbone.pth')
    write_atomically(folder / 'training_cost.json', json.dumps(cost) + '\n')


if __name__ == '__main__':
    main()
