"""Students that would fit a teacher: smaller ones of its family, and small ones for its inputs."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from torch import nn

from beliefmatch.errors import BeliefMatchError
from beliefmatch.networks.cost import Cost, cost_of, measure_latency
from beliefmatch.networks.inspection import inspect
from beliefmatch.networks.loading import timm
from beliefmatch.networks.loading.network import make_network
from beliefmatch.networks.loading.packages import require
from beliefmatch.networks.teacher import Teacher

MOST = 5
"""Students that are suggested."""
BATCH_SIZE, NUM_TIMED = 64, 3
"""Of the larger batch whose latency is measured, and how often."""


@dataclass(frozen=True, kw_only=True)
class SuggestedStudent:
    """A network with what it costs."""

    architecture: str
    cost: Cost
    latency: float
    """Seconds of one example, median."""
    batch_latency: float
    """Seconds of a batch of 64, median."""


def suggest_students(architecture: str, teacher: Teacher) -> list[SuggestedStudent]:
    """Build smaller networks that take the teacher's inputs, and measure all of them in turns.

    Args:
        architecture: the teacher's name.
        teacher: inspected, on the CPU.

    Returns:
        The teacher first, then students by their number of multiply-accumulates, largest first; those of the teacher's
        family, which can start from its weights, before others.
    """
    whole = cost_of(teacher.module, teacher.inspection.macs)
    names, networks, costs = [architecture], [teacher.module], [whole]
    for name, network, cost in islice(smaller_networks(architecture, teacher), MOST):
        names.append(name)
        networks.append(network)
        costs.append(cost)
    latencies = measure_latency(networks, teacher.spec)
    of_batches = measure_latency(networks, teacher.spec, batch_size=BATCH_SIZE, num_timed=NUM_TIMED)
    return [
        SuggestedStudent(architecture=name, cost=cost, latency=latency, batch_latency=of_batch)
        for name, cost, latency, of_batch in zip(names, costs, latencies, of_batches, strict=True)
    ]


def smaller_networks(architecture: str, teacher: Teacher) -> Iterator[tuple[str, nn.Module, Cost]]:
    """Yield networks that take the teacher's inputs and are smaller, of its family first: name, network and cost."""
    whole = cost_of(teacher.module, teacher.inspection.macs)
    return (found for name in _names(architecture, teacher) if (found := _fit(name, teacher, whole)) is not None)


def _fit(name: str, teacher: Teacher, whole: Cost) -> tuple[str, nn.Module, Cost] | None:
    """Build a network and inspect it; None: it does not take these inputs, or is not smaller than the teacher."""
    try:
        network = make_network(name, in_channels=teacher.spec.shape[0], num_classes=teacher.inspection.num_outputs)
        inspection = inspect(network, teacher.spec, role="student", task=teacher.task.name)
    except BeliefMatchError:
        return None
    cost = cost_of(network, inspection.macs)
    smaller = cost.parameters < whole.parameters and cost.macs < whole.macs
    return (name, network, cost) if smaller and inspection.num_classes == teacher.num_classes else None


def _names(architecture: str, teacher: Teacher) -> Iterator[str]:
    """Yield names without repetition: of the family first, then small networks for such inputs."""
    yield from dict.fromkeys((*of_family(architecture), *_for_inputs(teacher.spec.shape)))


def of_family(architecture: str) -> list[str]:
    """Return names of smaller networks of a family, largest first: narrower and shallower ones."""
    if match := re.fullmatch(r"wide_resnet_(\d+)_(\d+)(_raw)?", architecture):
        depths = [depth for depth in (40, 28, 22, 16) if depth <= int(match[1])]
        factors = [factor for factor in (8, 4, 2, 1) if factor <= int(match[2])]
        return [f"wide_resnet_{depth}_{factor}{match[3] or ''}" for factor in factors for depth in depths]
    if match := re.fullmatch(r"cifar_resnet_(\d+)(_b)?", architecture):
        return [f"cifar_resnet_{depth}{match[2] or ''}" for depth in (110, 56, 44, 32, 20) if depth < int(match[1])]
    if match := re.fullmatch(r"lenet_5((?:_bn)?(?:_tanh)?)", architecture):
        return [f"lenet_5_half{match[1]}"]
    if match := re.fullmatch(r"(convnet|fcn)_(\d+)", architecture):
        return [f"{match[1]}_{int(match[2]) // part}" for part in (2, 4) if int(match[2]) >= part]
    if re.fullmatch(r"mlp(_\d+)+", architecture):
        widths = [int(width) for width in architecture.split("_")[1:]]
        return ["_".join(["mlp", *(str(max(1, width // part)) for width in widths)]) for part in (2, 4)]
    return _of_timm(architecture) if architecture.startswith(timm.PREFIX) else []


def _of_timm(architecture: str) -> list[str]:
    """Return timm's names that differ in their first number alone, which is smaller, such as resnet18 of resnet50."""
    name = re.split(r"[.?]", architecture.removeprefix(timm.PREFIX))[0]
    if not (match := re.search(r"\d+", name)):
        return []
    try:
        models = require("timm", install="beliefmatch[timm]").list_models()
    except BeliefMatchError:
        return []
    pattern = re.compile(re.escape(name[: match.start()]) + r"(\d+)" + re.escape(name[match.end() :]))
    sizes = {int(found[1]) for model in models if (found := pattern.fullmatch(model))}
    smaller = sorted((size for size in sizes if size < int(match[0])), reverse=True)
    return [f"{timm.PREFIX}{name[: match.start()]}{size}{name[match.end() :]}" for size in smaller]


def _for_inputs(shape: tuple[int, ...]) -> tuple[str, ...]:
    """Return small networks of ours for vectors, signals or images."""
    if len(shape) == 1:
        return ("mlp_128_64", "mlp_64", "mlp_32", "mlp_16")
    if len(shape) == 2:
        return ("fcn_32", "fcn_8")
    return ("wide_resnet_16_2", "cifar_resnet_20", "wide_resnet_16_1", "lenet_5_half", "convnet_32", "convnet_8")
