"""Inspecting a network by two passes of noise: its classes, form of outputs, layers, cost and gradients."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from beliefmatch.errors import NetworkError, first_line
from beliefmatch.networks.cost import count_macs
from beliefmatch.networks.form_detection import detect_form
from beliefmatch.networks.gradients import has_gradient, why_no_gradient
from beliefmatch.networks.heads import find_head
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.output_forms import OutputForm, check_form, hook_of, log_form
from beliefmatch.networks.output_kinds import OutputKind, resolve_kind, warn_of_unknown_kind
from beliefmatch.networks.pairs import last_feature_maps
from beliefmatch.networks.recording import (
    NUM_ORDINARY,
    SIZES,
    Recording,
    noise_for,
    record,
    record_noise,
    values_of,
)
from beliefmatch.networks.taps import why_untappable
from beliefmatch.runs.schema.task import DESCRIPTIONS, TaskName


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """Metadata of a network. Names of layers hold for copies of the network, too."""

    num_classes: int
    """Of a classifier at least 2: a network with a single output has two classes. Otherwise labels or numbers."""
    num_outputs: int
    """Columns of what its forward pass returns."""
    task: TaskName
    """What the outputs predict."""
    outputs: OutputForm
    """Form of what its forward pass returns."""
    returns_logits: bool
    """Whether it returns a tensor of logits (batch, classes) by itself, so that nothing has to be converted."""
    head: str | None
    """Name of the linear layer or convolution whose output is what the network returns; empty if it is that layer
    itself; None if there is none."""
    batch_norms: tuple[str, ...]
    """Names of the batch-norm layers with running statistics that a batch passes; an auxiliary head's do not count."""
    feature_maps: Mapping[tuple[int, ...], str]
    """By resolution the module whose output is the last feature map; see `pairs.last_feature_maps`."""
    shapes: Mapping[str, tuple[int, ...]]
    """By name of each module that ran once and gave a tensor: its shape without the batch axis. Empty where nothing in
    the network can be tapped."""
    macs: int
    """Multiply-accumulates for one example."""
    takes_any_batch: bool
    """Whether a batch of any size passes at once, rather than in pieces of the one size that a program takes."""
    why_no_gradient: str | None
    """None: a gradient of the outputs reaches the inputs. Otherwise why there is none, as far as that is known."""
    statistics_have_gradient: bool
    """Whether a gradient of what enters the batch-norm layers reaches the inputs."""
    dtype: torch.dtype
    """Of its parameters, and so of its inputs."""

    @property
    def layer_in_32_bits(self) -> str | None:
        """Return the name of the layer that computes in 32 bits under autocast, empty for the network as a whole.

        It is the layer that computes the logits. A network that ends in a sigmoid works in 32 bits as a whole: in 16 it
        gives 1 for every logit above 6, and no log-odds can be computed of that.
        """
        return "" if self.outputs == "sigmoid" else self.head


def inspect(
    network: nn.Module, spec: InputSpec, *, role: str, outputs: OutputKind | None = None, task: TaskName | None = None
) -> Inspection:
    """Return what seeded noise shows of a network in eval mode.

    One pass, with a graph, gives nearly all; a second one, of one example, counts multiply-accumulates. A third runs
    where the first fails, where values may be probabilities or logits, or where a program may take any batch although
    it names a size. The network does not change, except that such a program takes all examples at once afterwards.

    Args:
        network: maps (batch, *spec.shape) to something that holds its outputs for each class.
        spec: of its inputs.
        role: what to call it in errors and in the log, and in the names of flags: teacher or student.
        outputs: kind of its outputs, where the user or its configuration gives it; None: detected, see `detect_form`.
        task: what a student's outputs predict: what its teacher's do. None: what their kind says.

    Raises:
        NetworkError: it fails on inputs of this shape, or does not return finite outputs (batch, columns), or they
            cannot be of the form that the user gives.
    """
    recording, failure = record_noise(network, spec, role=role)
    values = _check_finite(values_of(recording), role)
    task, form = _find_form(network, spec, values, role=role, outputs=outputs, task=task)
    num_outputs = values.shape[1]
    tapped = why_untappable(network) is None
    batch_norms = recording.batch_norm_inputs if tapped else {}
    return Inspection(
        num_classes=max(2, num_outputs) if task == "single_label" else num_outputs,
        num_outputs=num_outputs,
        task=task,
        outputs=form,
        returns_logits=form == "logits"
        and values is recording.forward_output
        and (num_outputs > 1 or task != "single_label"),
        head=find_head(recording),
        # In the order of the network, in which their gaps are summed.
        batch_norms=tuple(name for name, _ in network.named_modules() if name in batch_norms),
        feature_maps=last_feature_maps(recording) if tapped else {},
        shapes=_shapes_in(recording) if tapped else {},
        macs=_count_macs(network, spec, role),
        takes_any_batch=not getattr(network, "runs_in_pieces", False),
        why_no_gradient=why_no_gradient(recording, values, failure, spec),
        statistics_have_gradient=_statistics_have_gradient(recording),
        dtype=recording.inputs.dtype,
    )


def _shapes_in(recording: Recording) -> dict[str, tuple[int, ...]]:
    """Return the shape of what each module gave, but for those that ran more than once."""
    shared = recording.shared_modules
    return {each.name: tuple(each.output.shape[1:]) for each in recording.modules if each.name not in shared}


def count_classes(network: nn.Module, spec: InputSpec, *, role: str) -> int:
    """Count the classes of a network in one pass.

    Raises:
        NetworkError: it fails on inputs of this shape, or does not return finite logits (batch, classes).
    """
    recording, _ = record_noise(network, spec, role=role)
    return _check_finite(values_of(recording, converted=True), role).shape[1]


def check_same_classes(teacher: int, student: int, task: TaskName = "single_label") -> None:
    """Check that two networks have the same number of classes, labels or numbers.

    Raises:
        NetworkError: they do not.
    """
    if student != teacher and task != "single_label":
        raise NetworkError(
            f"the teacher is {DESCRIPTIONS[task]}, and has {teacher} outputs; the student has {student}, and they must "
            "be equal"
        )
    if student != teacher:
        binary = "; a network with one output knows two" if 2 in (teacher, student) else ""
        raise NetworkError(f"the teacher knows {teacher} classes and the student {student}; they must be equal{binary}")


def _check_finite(values: Tensor, role: str) -> Tensor:
    """Return values (batch, columns), if those of ordinary inputs are finite."""
    if not bool(values[:NUM_ORDINARY].isfinite().all()):
        raise NetworkError(f"the {role} returns values that are not finite: are its weights whole?")
    return values


def _find_form(
    network: nn.Module,
    spec: InputSpec,
    values: Tensor,
    *,
    role: str,
    outputs: OutputKind | None,
    task: TaskName | None,
) -> tuple[TaskName, OutputForm]:
    """Return what values (batch, columns) predict and their form: what the user gives, or what is detected."""
    if known := hook_of(network):
        return known.task, known.form
    num_columns = values.shape[1]
    of_kind, given = resolve_kind(outputs, num_columns=num_columns, role=role)
    task = task or of_kind
    if given is None or task == "regression":
        noise = noise_for(network, spec, num_examples=NUM_ORDINARY)
        run = lambda batch: values_of(record(network, batch, gradient=False))  # noqa: E731
        form = detect_form(values, noise, run, role=role, task=task)
    else:
        finite = values.detach()
        check_form(finite[finite.isfinite().all(dim=1)], given, role=role)
        form = "sigmoid" if given == "probabilities" and num_columns == 1 else given
    log_form(form, num_columns=num_columns, role=role, task=task)
    if outputs is None:
        warn_of_unknown_kind(form, num_columns=num_columns, role=role)
    return task, form


def _statistics_have_gradient(recording: Recording) -> bool:
    """Whether a gradient of what entered any batch-norm layer reaches the inputs."""
    with suppress(Exception):  # A backward pass may fail in any way.
        return any(has_gradient(each, recording.inputs) for each in recording.batch_norm_inputs.values())
    return False


def _count_macs(network: nn.Module, spec: InputSpec, role: str) -> int:
    try:
        return count_macs(network, spec)
    except Exception as error:
        # It took several examples.
        raise NetworkError(
            f"the {role} takes batches of {len(SIZES)} examples, but not of one or two: does its code name that "
            f"number, as x.view({len(SIZES)}, -1) does? Let it take any, as x.flatten(1) does ({first_line(error)})"
        ) from error
