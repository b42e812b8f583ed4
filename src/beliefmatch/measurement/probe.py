"""Inputs that no training used, made from a teacher alone, with all that the teacher says of them.

They are procedural images as in `sources.procedural_pool`, a family after the other, with the weights that training
draws them by: all classes of the teacher evenly, or what looks like its training data more often. One probe serves
every student of a teacher. `measurement.agreement_estimates` asks a student about it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.nn.functional import interpolate, pad

from beliefmatch.functional.micro_batches import parts_of
from beliefmatch.networks.taps import Outputs
from beliefmatch.networks.teacher import Teacher
from beliefmatch.sources.importance_weights import ImportanceWeights, make_importance_weights
from beliefmatch.sources.procedural_pool import ProceduralPool, fill_pool

SEED = 3_141_592_653
"""Of a probe: a training has it only if its user asks for it."""
CHUNK = 256
"""Inputs that pass a network at once."""
MIN_EFFECTIVE = 0.1
"""Effective sample size of the weights at least, as part of the inputs: a fraction must not hang on a handful."""
DIRECTIONS = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if down or right]
"""In which images are moved, by one pixel."""
NUDGE = 0.1
"""Standard deviation of the noise by which an input without height and width is moved."""
TRIMMED = 8
"""A crop is smaller than its image by this part of each side: one divided by it, but at least one pixel."""


@dataclass(frozen=True, kw_only=True)
class ProbeOutputs:
    """What one network says of a probe."""

    logits: Tensor
    """(inputs, classes), float32."""
    moved_logits: Tensor
    """(inputs, classes), of the same inputs, moved a little."""
    cropped_logits: Tensor | None
    """(inputs, classes), of crops of the same inputs. None: they are no images."""
    moments: Tensor | None
    """(inputs, moments), see `functional.batch_norm_moments`, of the network's own layers. None: it has none."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """Inputs with the teacher's outputs for them."""

    inputs: Tensor
    """(inputs, *shape), network inputs."""
    moved: Tensor
    """(inputs, *shape), each moved by a pixel, or a little noise where there are no pixels."""
    cropped: Tensor | None
    """(inputs, *shape), a crop of each, stretched to the size of the image. None: they are no images."""
    families: Mapping[str, Tensor]
    """(inputs,), bool: leaves and areas, curves where inputs are images, refined where the teacher has batch-norm."""
    weights: Mapping[str, Tensor]
    """(inputs,), sum 1. balanced: classes alone. entropy: of maximum entropy, where the teacher has batch-norm."""
    weights_without: Mapping[str, Tensor]
    """(inputs,), by family: the best kind of weights if the family were not there; 0 for its inputs."""
    teacher: ProbeOutputs


def make_probe(teacher: Teacher, *, count: int, fabric: Fabric, seed: int = SEED, refining_steps: int = 30) -> Probe:
    """Make inputs of each family and ask the teacher about them.

    It costs one pass of the teacher for each input, another for each that is moved and for each crop, and for each
    refined input three for each step.

    Args:
        teacher: that students are compared with.
        count: inputs of each family.
        fabric: device and precision; a single process.
        seed: of all noise.
        refining_steps: by which inputs are refined.
    """
    made = {
        name: _make_family(source, teacher, count, seed + number, fabric)
        for number, (name, source) in enumerate(_sources(teacher, refining_steps).items())
    }
    inputs = torch.cat(list(made.values()))
    random = torch.Generator(device=inputs.device).manual_seed(seed)
    moved, cropped = _move(inputs, random), _crop(inputs, random)
    rows = torch.arange(len(inputs), device=inputs.device) // count
    families = {name: rows == number for number, name in enumerate(made)}
    importance = make_importance_weights(len(inputs), teacher, inputs.device, weighted=True, seed=seed)
    for part in parts_of(torch.arange(len(inputs), device=inputs.device), CHUNK):
        importance.note(part, inputs[part], teacher, fabric)
    weights = {"balanced": _solve(importance, None, weighted=False)}
    if importance.moments is not None:
        weights["entropy"] = _solve(importance, None, weighted=True)
    return Probe(
        inputs=inputs,
        moved=moved,
        cropped=cropped,
        families=families,
        weights=weights,
        weights_without={name: _solve(importance, ~held_out, weighted=True) for name, held_out in families.items()},
        teacher=ask(teacher, inputs, moved, cropped),
    )


def ask(network: Teacher, inputs: Tensor, moved: Tensor, cropped: Tensor | None) -> ProbeOutputs:
    """Run a network, teacher or student, on inputs, on the same moved, and on crops: two or three passes for each.

    Args:
        network: in eval mode; a student is wrapped as a teacher is.
        inputs: (inputs, *shape).
        moved: (inputs, *shape).
        cropped: (inputs, *shape). None: the inputs are no images.
    """
    with torch.no_grad():
        read = [network.outputs(part, tap_batch_norms=True) for part in parts_of(inputs, CHUNK)]
        moments = [network.batch_norm_moments(each) for each in read] if network.batch_norms else []
        after = [network.outputs(part) for part in parts_of(moved, CHUNK)]
        of_crops = [] if cropped is None else [network.outputs(part) for part in parts_of(cropped, CHUNK)]
    return ProbeOutputs(
        logits=_logits(read),
        moved_logits=_logits(after),
        cropped_logits=_logits(of_crops) if of_crops else None,
        moments=torch.cat(moments) if moments else None,
    )


def _logits(read: list[Outputs]) -> Tensor:
    return torch.cat([each.logits for each in read]).float()


def _sources(teacher: Teacher, refining_steps: int) -> dict[str, ProceduralPool]:
    """Return by name what makes each family."""
    alone = ProceduralPool(
        warm_up=0, refined_fraction=0.0, leaf_fraction=0.0, curve_fraction=0.0, weighted_fraction=0.0, augmentation=None
    )
    found = {"leaves": replace(alone, leaf_fraction=1.0), "areas": alone}
    if len(teacher.spec.shape) == 3:
        found["curves"] = replace(alone, curve_fraction=1.0)
    usual = ProceduralPool(
        warm_up=0, match_normalisation=False, augmentation=None, weighted_fraction=0.0, making_steps=refining_steps
    )
    if usual.resolve(teacher).refined_fraction:
        found["refined"] = replace(usual, refined_fraction=1.0)
    return found


def _make_family(source: ProceduralPool, teacher: Teacher, count: int, seed: int, fabric: Fabric) -> Tensor:
    """Make so many inputs by a source, (count, *shape)."""
    made_batch = min(count, CHUNK)
    num_rounds = -(-count // made_batch)
    source = replace(source, made_batch=made_batch)
    state = fill_pool(source, teacher, fabric, rounds=num_rounds, batch_size=made_batch, seed=seed)
    return state.pool.read(torch.arange(count, device=fabric.device)).float()


def _move(inputs: Tensor, random: torch.Generator) -> Tensor:
    """Move images by a pixel, each in one of eight directions, with their edge repeated; add noise to other inputs."""
    if inputs.dim() != 4:
        return inputs + NUDGE * torch.randn(inputs.shape, generator=random, device=inputs.device)
    height, width = inputs.shape[2:]
    padded, moved = pad(inputs, (1, 1, 1, 1), mode="replicate"), torch.empty_like(inputs)
    drawn = torch.randint(len(DIRECTIONS), (len(inputs),), generator=random, device=inputs.device)
    for number, (down, right) in enumerate(DIRECTIONS):
        rows = drawn == number
        moved[rows] = padded[rows, :, 1 + down : 1 + down + height, 1 + right : 1 + right + width]
    return moved


def _crop(inputs: Tensor, random: torch.Generator) -> Tensor | None:
    """Cut a window from each image, at a place of its own, and stretch it to the size of the image; no other inputs."""
    if inputs.dim() != 4:
        return None
    size = list(inputs.shape[2:])
    windows = [max(1, side - max(1, side // TRIMMED)) for side in size]
    rows, columns = (
        torch.randint(side - window + 1, (len(inputs), 1), generator=random, device=inputs.device)
        + torch.arange(window, device=inputs.device)
        for side, window in zip(size, windows, strict=True)
    )
    images = torch.arange(len(inputs), device=inputs.device)[:, None, None]
    cut = inputs.movedim(1, -1)[images, rows[:, :, None], columns[:, None, :]].movedim(-1, 1)
    return interpolate(cut, size=size, mode="bilinear", align_corners=False)


def _solve(importance: ImportanceWeights, kept: Tensor | None, *, weighted: bool) -> Tensor:
    """Compute the weights of all inputs, or of those that are kept, (inputs,)."""
    rows = torch.arange(len(importance.classes), device=importance.classes.device)
    rows = rows if kept is None else rows[kept]
    part = replace(
        importance,
        classes=importance.classes[rows],
        moments=None if importance.moments is None else importance.moments[rows],
        multipliers=torch.zeros_like(importance.multipliers),
        largest=torch.zeros_like(importance.largest),
    )
    held = torch.tensor(len(rows), device=rows.device)
    if weighted:
        part.solve(len(rows), MIN_EFFECTIVE)
    found = torch.zeros(len(importance.classes), device=rows.device)
    found[rows] = part.probabilities(held, 1.0 if weighted else 0.0).float()
    return found
