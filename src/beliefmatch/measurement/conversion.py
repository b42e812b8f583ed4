"""Logits of networks as a caller has them, which may return probabilities, a single number, or several outputs."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from beliefmatch.networks.dtypes import dtype_of
from beliefmatch.networks.form_detection import detect_form
from beliefmatch.networks.inspection import check_same_classes
from beliefmatch.networks.output_forms import give_logits, hook_of, log_form
from beliefmatch.networks.outputs import logits_of
from beliefmatch.networks.passes import run_network
from beliefmatch.runs.schema.task import TaskName

ADVICE = "give a network that returns what comes before its sigmoid"
"""If outputs that are taken as logits are probabilities: a caller's network has no setting that would say so."""
NUM_EXAMPLES = 16
"""Examples that show what a network returns."""


@contextmanager
def giving_logits(teacher: nn.Module, student: nn.Module, inputs: Tensor, task: TaskName) -> Iterator[int]:
    """Let two networks give logits while the block lasts, whatever they return; those that were loaded do already.

    Args:
        teacher: maps (batch, *shape) to something that holds outputs of each class, label or number.
        student: likewise.
        inputs: (examples, *shape), some network inputs, by whose outputs their form is detected.
        task: what outputs predict.

    Yields:
        The number of classes, labels or numbers.

    Raises:
        NetworkError: one returns something else, or the two do not have the same number of classes.
    """
    batch = inputs[:NUM_EXAMPLES] if len(inputs) > 1 else inputs.repeat(2, *(1 for _ in inputs.shape[1:]))
    handles = [_convert(network, batch, role, task) for role, network in (("teacher", teacher), ("student", student))]
    try:
        first, second = (_run_for_values(network, batch).shape[1] for network in (teacher, student))
        check_same_classes(first, second, task)
        yield first
    finally:
        for handle in handles:
            if handle is not None:
                handle.remove()


def _convert(network: nn.Module, batch: Tensor, role: str, task: TaskName) -> torch.utils.hooks.RemovableHandle | None:
    """Register a hook that converts the outputs of a network in eval mode, if it needs one, and return its handle."""
    network.eval()
    if hook_of(network) is not None:
        return None
    with torch.enable_grad():
        # The graph tells a sigmoid. A leaf could not be changed in place.
        output = _run(network, batch.clone().requires_grad_().clone())
    values = _values_of(network, output, len(batch))
    form = detect_form(values, batch, partial(_run_for_values, network), role=role, task=task, advice=ADVICE)
    log_form(form, num_columns=values.shape[1], role=role, task=task)
    is_binary = task == "single_label" and values.shape[1] == 1
    return None if values is output and form == "logits" and not is_binary else give_logits(network, form, task)


def _run(network: nn.Module, batch: Tensor) -> Any:
    """Return the output of a network for a batch, in the floating type of its parameters."""
    return run_network(network, batch.to(dtype_of(network)))


@torch.no_grad()
def _run_for_values(network: nn.Module, batch: Tensor) -> Tensor:
    return _values_of(network, _run(network, batch), len(batch))


def _values_of(network: nn.Module, output: object, batch_size: int) -> Tensor:
    """Return what an output of a network holds of each class, label or number, (batch, columns)."""
    return logits_of(output, network=type(network).__name__, batch_size=batch_size)
