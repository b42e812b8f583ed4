"""Numbers of a regression in units of the teacher's own standard deviation, while a run lasts.

A loss must not depend on the unit that a teacher's numbers have, nor on which of several has the largest. So the
teacher's are converted by a hook, and the student learns converted ones: its last layer is multiplied by the units when
the run ends, since steps of one size could not take fresh weights to prices in dollars. When it begins that layer is
divided by them, unless its numbers are nearer to the teacher's as they are: so the weights of a teacher keep what they
know, and fresh ones, which know no unit, keep their size. Where there is no such layer, a hook converts them.

Mean and deviation are those of what the teacher gives for procedural inputs, dead leaves and textures, such as `best`
makes: they are there before any source starts, for every source alike, and nearer to real inputs than noise.
"""

import logging
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from beliefmatch.functional.dead_leaves import dead_leaves
from beliefmatch.functional.textures import textures
from beliefmatch.log_once import log_once
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.inspection import Inspection
from beliefmatch.networks.modes import evaluating
from beliefmatch.networks.passes import run_padded
from beliefmatch.networks.teacher import Teacher
from beliefmatch.sources.pool import as_inputs, pixel_range

logger = logging.getLogger(__name__)

NUM_EXAMPLES = 64
"""Of each of the two kinds. They give a deviation to a tenth of itself, which is all that a unit needs."""
CHUNK = 16
LEAST = 1e-6
"""Deviation of an output, as a fraction of its size, below which it is constant, and its unit is 1."""


@dataclass(frozen=True, kw_only=True)
class Units:
    """Mean and standard deviation of each number of a regression."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    """Above 0."""


@dataclass(frozen=True, kw_only=True)
class UnitsHook:
    """A forward hook that converts a network's numbers, unless its layer `folded` does so itself."""

    units: Units
    folded: str | None
    """Name of the layer whose weights are in units; empty for the network as a whole."""

    def __call__(self, _network: nn.Module, _inputs: tuple[Any, ...], output: Tensor) -> Tensor | None:
        """Compute numbers (batch, outputs) in units; None leaves them."""
        if self.folded is not None:
            return None
        # Filled on the device one by one: a copy from the host could not be captured.
        mean, deviation = (
            torch.stack([output.new_full((), value) for value in values])
            for values in (self.units.mean, self.units.deviation)
        )
        return (output - mean) / deviation


def standardise(teacher: Teacher, student: nn.Module, inspection: Inspection) -> None:
    """Let both networks of a regression give numbers in units of the teacher's deviation, until `undo_units`.

    Args:
        teacher: on the CPU; changed by a hook.
        student: on the CPU; its last layer is converted in place, where it is linear.
        inspection: of the student.
    """
    if teacher.task.name != "regression":
        return
    found = _hook_of(teacher.module)
    units = measure_units(teacher) if found is None else found.units
    if found is None:
        teacher.module.register_forward_hook(UnitsHook(units=units, folded=None))
        numbers = ", ".join(
            f"{mean:.4g} ± {deviation:.3g}"
            for mean, deviation in list(zip(units.mean, units.deviation, strict=True))[:8]
        )
        log_once(
            logger,
            logging.INFO,
            "the teacher's numbers for procedural inputs: %s; losses are in units of that deviation",
            numbers,
        )
    if _hook_of(student) is not None:
        return
    folded = _foldable(student, inspection)
    if folded is not None and _knows_units(teacher, student, units):
        _scale(student.get_submodule(folded), units, divide=True)
    student.register_forward_hook(UnitsHook(units=units, folded=folded))


def undo_units(network: nn.Module) -> None:
    """Let a network give its own numbers again."""
    for key, hook in list(network._forward_hooks.items()):
        if isinstance(hook, UnitsHook):
            del network._forward_hooks[key]
            if hook.folded is not None:
                _scale(network.get_submodule(hook.folded), hook.units, divide=False)


def measure_units(teacher: Teacher) -> Units:
    """Compute mean and deviation of the teacher's numbers for seeded procedural inputs."""
    numbers = _run(teacher.module, procedural_inputs(teacher.spec, teacher.dtype))
    mean, deviation = numbers.mean(dim=0), numbers.std(dim=0)
    is_constant = deviation <= LEAST * mean.abs().clamp_min(LEAST)
    deviation = torch.where(is_constant, 1.0, deviation)
    return Units(mean=tuple(mean.tolist()), deviation=tuple(deviation.tolist()))


def procedural_inputs(spec: InputSpec, dtype: torch.dtype) -> Tensor:
    """Draw as many dead leaves as textures by a fixed seed, (2 * 64, *spec.shape), network inputs."""
    random = torch.Generator().manual_seed(0)
    drawn = [
        dead_leaves(NUM_EXAMPLES, spec.shape, random, dtype),
        textures(NUM_EXAMPLES, spec.shape, random, dtype, curve_fraction=0.5),
    ]
    return as_inputs(torch.cat(drawn), pixel_range(spec, torch.device("cpu"), dtype))


def _hook_of(network: nn.Module) -> UnitsHook | None:
    return next((hook for hook in network._forward_hooks.values() if isinstance(hook, UnitsHook)), None)


def _knows_units(teacher: Teacher, student: nn.Module, units: Units) -> bool:
    """Whether a student's numbers are nearer to the converted ones of the teacher if they are converted as well."""
    inputs = procedural_inputs(teacher.spec, teacher.dtype)
    wanted, numbers = (_run(network, inputs) for network in (teacher.module, student))
    converted = (numbers - torch.tensor(units.mean)) / torch.tensor(units.deviation)
    return bool((converted - wanted).square().mean() <= (numbers - wanted).square().mean())


def _run(network: nn.Module, inputs: Tensor) -> Tensor:
    """Run a network in eval mode, (inputs, outputs), 64 bits."""
    with evaluating(network), torch.no_grad():
        return torch.cat([run_padded(network, part) for part in inputs.split(CHUNK)]).double()


def _foldable(student: nn.Module, inspection: Inspection) -> str | None:
    """Return the name of the layer that gives a student's numbers, if its weights and bias can take other units."""
    if inspection.head is None:
        return None
    layer = cast("nn.Linear", student.get_submodule(inspection.head))
    bias = cast("Tensor | None", layer.bias)
    uses = sum(parameter is layer.weight for module in student.modules() for parameter in module._parameters.values())
    fits = bias is not None and len(layer.weight) == inspection.num_outputs and uses == 1
    return inspection.head if fits else None


def _scale(layer: nn.Module, units: Units, *, divide: bool) -> None:
    """Convert weight and bias of a layer to units, or back."""
    weight, bias = cast("Tensor", layer.weight), cast("Tensor", layer.bias)
    mean, deviation = (
        torch.tensor(each, device=bias.device, dtype=torch.float64) for each in (units.mean, units.deviation)
    )
    shape = (-1, *(1 for _ in weight.shape[1:]))
    with torch.no_grad():
        if divide:
            weight.copy_(weight / deviation.view(shape))
            bias.copy_((bias - mean) / deviation)
        else:
            weight.copy_(weight * deviation.view(shape))
            bias.copy_(bias * deviation + mean)
