"""Training of a method on images in memory, and evaluation of its student."""

import math
import time

import torch
import torch.nn.functional as F

from benchmarks.comparison.methods import Method
from benchmarks.in_memory.images import Images
from benchmarks.small_depthwise import use_small_depthwise
from mmlgd.evaluation import weighted_knn

#: Nearest images from which BINGO's positives are drawn, as in tools/build_bags.py.
_BAG = 5


def prepare(model: torch.nn.Module, images: Images) -> None:
    """Initialise a distiller, and bring it into the memory format of the images."""
    model.init_weights()
    model.build_text_banks()
    use_small_depthwise(model)
    model.to(memory_format=images.memory_format)


def train(
    model: torch.nn.Module,
    method: Method,
    images: Images,
    passes: int,
    batch: int,
    seed: int,
    adamw: float | None = None,
    last_size: int | None = None,
) -> float:
    """Train a model in place; return the CPU time in seconds.

    It includes the views and the teacher, as if they were not shared.
    ``adamw`` is a learning rate with which AdamW replaces the method's SGD. With
    ``last_size``, the student's images are enlarged to it in the last tenth.
    """
    generator = torch.Generator().manual_seed(seed)
    started = time.process_time()
    bags = _bags(images) if method.wrapper else None
    used = time.process_time() - started
    lr = adamw or method.lr * batch / 128
    if adamw:
        optimizer = torch.optim.AdamW(model.parameters(), lr, weight_decay=0.05)
    else:
        optimizer = torch.optim.SGD(
            model.parameters(), lr, momentum=0.9, weight_decay=1e-4
        )
    per_pass = len(images.pixels) // batch
    total, warm_up = passes * per_pass, min(60, passes * per_pass // 7)
    teachers = _teachers(model, images)
    model.train()
    for step in range(total):
        number, place = divmod(step, per_pass)
        if place == 0:
            order = torch.randperm(len(images.pixels), generator=generator)
            views, rows = images.view(number), None
            embedded_by = teachers if model.learns_from_store else []
            if embedded_by:
                rows = images.embeddings(number, teachers)
            used += images.shared_cost(number, embedded_by)
            if bags is not None:
                mates = images.view(number + passes)
                used += images.shared_cost(number + passes, [])
        started = time.process_time()
        chosen = order[place * batch : (place + 1) * batch]
        inputs = images.normalise(views[chosen])
        if step >= 0.9 * total:
            model.student_size = last_size
        if bags is None:
            stored = None if rows is None else rows[chosen]
            losses = model(inputs, mode='loss', teacher_embeddings=stored)
        else:
            drawn = torch.randint(_BAG, (batch,), generator=generator)
            positives = images.normalise(mates[bags[chosen, drawn]])
            losses = model([inputs, positives], mode='loss')
        if step < warm_up:
            rate = 0.125 + 0.875 * step / warm_up
        else:
            rate = 0.5 + 0.5 * math.cos(math.pi * (step - warm_up) / (total - warm_up))
        optimizer.param_groups[0]['lr'] = lr * rate
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        used += time.process_time() - started
    model.student_size = None
    return used


def _teachers(model: torch.nn.Module, images: Images) -> list[torch.nn.Module]:
    """The teachers of a model; sets the statistics of those after the first."""
    further = [one.teacher for one in getattr(model, 'further_teachers', ())]
    for number, teacher in enumerate(further, 1):
        statistics = model.feature_statistics[f'features_{number}']
        rows = F.normalize(images.embeddings(0, [teacher]), dim=1)
        statistics.fit(statistics.moments(rows), teacher.identity)
    return [images.teacher, *further]


def _bags(images: Images) -> torch.Tensor:
    """The nearest other images (N, 5) in the teacher's space."""
    rows = images.embed(images.pixels, images.teacher.encode_image)
    nearest = [(part @ rows.T).topk(_BAG + 1).indices for part in rows.split(500)]
    return torch.cat(nearest)[:, 1:]


class TeacherAsStudent:
    """A distiller's teacher, to be evaluated like its student."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.prediction_bank = model.prediction_bank
        self.embed = self.extract_feat = model.teacher.encode_image
        self.eval = model.eval


def evaluate(
    model: torch.nn.Module | TeacherAsStudent,
    labelled: Images,
    tested: Images,
    names: list[str],
) -> dict[str, float]:
    """Top-1 accuracy in percent: k-NN, a ridge regression on labels, and zero-shot.

    Args:
        model (nn.Module): A distiller; zero-shot is omitted if it has no text embeddings.
        labelled (Images): For k-NN and the regression.
        tested (Images): Those that are classified.
        names (list[str]): The classes, in the order of the text embeddings.
    """
    model.eval()
    known, truth = labelled.names_of(names), tested.names_of(names)
    features, queries = (
        one.embed(one.pixels, model.extract_feat) for one in (labelled, tested)
    )
    votes = weighted_knn(queries, features, known, len(names))
    mean, std = features.mean(dim=0), features.std(dim=0)
    # Relative: the features of random weights are of the order of 1e-9.
    std = std.clamp_min(1e-6 * std.max())
    inputs, queries = (
        F.pad((one - mean) / std, (0, 1), value=1.0).double()
        for one in (features, queries)
    )
    targets = F.one_hot(known, len(names)).double()
    # 100 is the best of 10, 100 and 1,000 on the validation images for all methods.
    gram = inputs.T @ inputs + 100 * torch.eye(inputs.shape[1], dtype=torch.float64)
    scores = queries @ torch.linalg.solve(gram, inputs.T @ targets)
    predictions = dict(knn=votes, probe=scores)
    if model.prediction_bank is not None:
        rows = tested.embed(tested.pixels, model.embed)
        predictions['zero_shot'] = rows @ model.prediction_bank.embeddings.T
    return {
        name: round(100 * (each.argmax(1) == truth).double().mean().item(), 2)
        for name, each in predictions.items()
    }
