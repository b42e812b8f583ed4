"""Transition curves and mean transition error: Micaelli & Storkey 2019, section 4.3.

From an example on which two networks agree, gradient steps lead the one that guides to every other class in turn;
the other follows. Where both cross the boundary alike they believe alike, off the data too. Which network guides
changes the number, so a result always says it.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, softmax

from beliefmatch.checks import NUM_SEEDS, check_numbers
from beliefmatch.errors import ExamplesError, SettingsError
from beliefmatch.measurement.predictions import BATCH_SIZE, Predictions, predict
from beliefmatch.networks.dtypes import device_of, dtype_of
from beliefmatch.networks.examples import AbstractExamples, examples_of
from beliefmatch.networks.gradients import check_gradient
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.passes import run_padded
from beliefmatch.networks.placement import to_format_of
from beliefmatch.setting_names import Setting

NUM_STEPS = 100
STEP_SIZE = 1.0
CPU_MEMORY_BUDGET = 128 * 2**20
GPU_MEMORY_BUDGET = 4 * 2**30

Guide = Literal["student", "teacher"]


@dataclass(frozen=True, kw_only=True)
class TransitionPlan:
    """How to walk. Defaults: the paper's."""

    num_images: int = 1000
    """Examples to begin from, chosen at random among those on which both networks agree."""
    guided_by: Guide = "student"
    """Which network's gradient leads the way."""
    num_steps: int = NUM_STEPS
    step_size: float = STEP_SIZE
    """In network inputs per unit of gradient."""
    seed: int = 0
    """Of the choice of examples."""
    memory_budget: int | None = None
    """Bytes that the activations of one batch may take. None: see `transition_curves`."""

    def __post_init__(self) -> None:
        check_numbers(self)
        if not 0 <= self.seed < NUM_SEEDS:
            raise SettingsError(f"seed of transition curves must be at least 0 and below 2**32; got {self.seed}")
        if self.memory_budget is not None and self.memory_budget < 1:
            raise SettingsError(f"memory_budget of transition curves must be above 0; got {self.memory_budget}")
        for name in ("num_images", "num_steps", "step_size"):
            if not 0 < getattr(self, name) < math.inf:
                raise SettingsError(f"{name} of transition curves must be above 0; got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class TransitionCurves:
    """Probabilities of the class sought, recorded before each step."""

    guided_by: str
    """Which network's gradient led the way, such as student."""
    guide: Tensor = field(repr=False)
    """(examples, classes - 1, steps): probability that the network which guides gives to the class sought."""
    follower: Tensor = field(repr=False)
    """(examples, classes - 1, steps): probability that the other gives to it at the same position."""

    @property
    def error(self) -> float:
        """Mean transition error: mean over examples, classes and steps of the gap between both probabilities."""
        return float(self.error_by_example().mean())

    @property
    def error_interval(self) -> tuple[float, float]:
        """The error less and plus two standard errors over examples, as far as both lie in [0, 1]."""
        margin = float(_two_standard_errors(self.error_by_example()))
        return max(0.0, self.error - margin), min(1.0, self.error + margin)

    def error_by_example(self) -> Tensor:
        """Mean gap of each example, (examples,)."""
        return (self.guide - self.follower).abs().mean(dim=(1, 2))

    def mean_curves(self) -> tuple[Tensor, Tensor]:
        """Mean curve of guide and follower over examples and classes, (steps,) each."""
        return self.guide.mean(dim=(0, 1)), self.follower.mean(dim=(0, 1))

    def two_standard_errors(self) -> tuple[Tensor, Tensor]:
        """Two standard errors of both mean curves, (steps,) each; examples are independent, classes of one are not."""
        return _two_standard_errors(self.guide.mean(dim=1)), _two_standard_errors(self.follower.mean(dim=1))


def measure_transition(
    teacher: nn.Module,
    student: nn.Module,
    spec: InputSpec,
    examples: AbstractExamples | Tensor,
    plan: TransitionPlan,
    *,
    predictions: Predictions | None = None,
) -> TransitionCurves:
    """Compute the transition curves of examples on which both networks agree. See `transition_curves`.

    Args:
        teacher: maps (batch, *spec.shape) to logits.
        student: likewise, on the same device.
        spec: of the inputs of both.
        examples: to begin from; or a tensor, see `measure_pair`.
        plan: how to walk.
        predictions: of both on these examples, where they are known.

    Raises:
        ExamplesError: fewer examples than asked for have the agreement of both.
        NetworkError: no gradient reaches the inputs of the guide.
    """
    guide, follower = (student, teacher) if plan.guided_by == "student" else (teacher, student)
    other = "teacher" if plan.guided_by == "student" else "student"
    needed_by = f"leads from class to class: try {Setting('guided_by', other)}"
    check_gradient(guide, spec, role=plan.guided_by, needed_by=needed_by)
    device, dtype = device_of(guide), dtype_of(guide)
    data = examples_of(examples)
    predictions = predictions or predict(teacher, student, spec, data, batch_size=BATCH_SIZE)
    chosen = choose(predictions.alike, num_examples=plan.num_images, seed=plan.seed)
    # The chosen alone become network inputs: all of them at once may be more than there is room for.
    inputs = data.to_inputs(spec, chosen, device=device).to(dtype)
    return transition_curves(
        guide,
        follower,
        inputs,
        predictions.teacher_class[chosen].to(device),
        guided_by=plan.guided_by,
        num_steps=plan.num_steps,
        step_size=plan.step_size,
        memory_budget=plan.memory_budget,
    )


def _two_standard_errors(values: Tensor) -> Tensor:
    return 2 * values.std(dim=0, correction=min(1, len(values) - 1)) / len(values) ** 0.5


def transition_curves(
    guide: nn.Module,
    follower: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    *,
    guided_by: str = "student",
    num_steps: int = NUM_STEPS,
    step_size: float = STEP_SIZE,
    memory_budget: int | None = None,
) -> TransitionCurves:
    """Compute the way of every example to every other class.

    Each step subtracts `step_size` times the gradient of the cross-entropy between the guide's belief and the class
    sought. Nothing is clamped: positions are network inputs, which are not bound to pixels.

    Args:
        guide: network whose gradient leads, put in eval mode. Its parameters get no gradients.
        follower: network that is compared, put in eval mode.
        inputs: (examples, *shape), network inputs, on the networks' device.
        labels: (examples,), the class that both networks start from; see `choose`.
        guided_by: what to call the guide.
        num_steps: probabilities recorded for each curve.
        step_size: in network inputs per unit of gradient.
        memory_budget: bytes that the activations of one batch may take. Default: 128 MiB on a CPU, whose caches like
            small batches, and 4 GiB elsewhere.

    Returns:
        Curves whose second axis runs over the classes label + 1, label + 2, … modulo the number of classes.
    """
    guide, follower = guide.eval(), follower.eval()
    inputs = to_format_of((guide, follower), inputs)
    with torch.no_grad():
        num_classes = run_padded(guide, inputs[:1]).shape[1]
    offsets = torch.arange(1, num_classes, device=inputs.device)
    targets = (labels[:, None] + offsets) % num_classes
    starts = torch.arange(len(inputs), device=inputs.device).repeat_interleave(num_classes - 1)
    if memory_budget is None:
        memory_budget = CPU_MEMORY_BUDGET if inputs.device.type == "cpu" else GPU_MEMORY_BUDGET
    size = max(1, memory_budget // bytes_per_example(guide, inputs[:1]))
    walk_both = partial(_walk, guide, follower, num_steps=num_steps, step_size=step_size)
    walked = [
        walk_both(inputs[rows], sought)
        for rows, sought in zip(starts.split(size), targets.flatten().split(size), strict=True)
    ]
    shape = (len(inputs), num_classes - 1, num_steps)
    found = [torch.cat(curves, dim=1).T.reshape(shape) for curves in zip(*walked, strict=True)]
    return TransitionCurves(guided_by=guided_by, guide=found[0], follower=found[1])


def _walk(
    guide: nn.Module, follower: nn.Module, positions: Tensor, sought: Tensor, *, num_steps: int, step_size: float
) -> tuple[Tensor, Tensor]:
    """Return the probabilities of both on the way of each position to its class, (steps, batch) each."""
    recorded: tuple[list[Tensor], list[Tensor]] = [], []
    for reached, logits in walk(guide, positions, sought, num_steps=num_steps, step_size=step_size):
        with torch.no_grad():
            for curve, belief in zip(
                recorded, (logits, run_padded(follower, reached.to(dtype_of(follower)))), strict=True
            ):
                curve.append(softmax(belief, dim=1).gather(1, sought[:, None]).squeeze(1))
    return torch.stack(recorded[0]), torch.stack(recorded[1])


def walk(
    guide: nn.Module, positions: Tensor, sought: Tensor, *, num_steps: int, step_size: float
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the positions on the way to the classes sought, and the guide's logits there, before each step.

    Call it with gradients enabled.

    Args:
        guide: network whose gradient leads, in eval mode.
        positions: (walks, *shape), network inputs to begin from.
        sought: (walks,), the class that each walk leads to.
        num_steps: positions of each walk, its first among them.
        step_size: in network inputs per unit of gradient.

    Yields:
        Positions (walks, *shape) and logits (walks, classes), both without a graph.
    """
    for step in range(num_steps):
        positions = positions.detach().requires_grad_(step + 1 < num_steps)
        logits = run_padded(guide, positions)
        yield positions.detach(), logits.detach()
        if positions.requires_grad:
            (gradient,) = torch.autograd.grad(cross_entropy(logits, sought, reduction="sum"), positions)
            positions = positions - step_size * gradient


def bytes_per_example(network: nn.Module, example: Tensor) -> int:
    """Return the bytes that autograd keeps of one example between forward and backward pass.

    Args:
        network: in eval mode.
        example: (1, *shape), network input.
    """
    kept: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        logits = run_padded(network, example.detach().requires_grad_())
    own = {parameter.untyped_storage().data_ptr() for parameter in (*network.parameters(), *network.buffers())}
    del logits
    kept_bytes = sum(size for pointer, size in kept.items() if pointer not in own)
    # The example passed twice.
    return kept_bytes // 2 or example.element_size() * example.numel()


def choose(alike: Tensor, *, num_examples: int, seed: int) -> Tensor:
    """Return examples chosen at random among those on which both networks agree.

    Args:
        alike: (n,), whether they do.
        num_examples: how many to choose.
        seed: of the choice.

    Returns:
        (num_examples,), their indices, on the device of `alike`.

    Raises:
        ExamplesError: there are fewer.
    """
    candidates = alike.nonzero().squeeze(1)
    if len(candidates) < num_examples:
        raise ExamplesError(
            f"{num_examples} examples on which both networks agree were asked for; there are {len(candidates)}: ask "
            "for fewer, or give more examples"
        )
    order = torch.randperm(len(candidates), generator=torch.Generator().manual_seed(seed))[:num_examples]
    return candidates[order.to(candidates.device)]
