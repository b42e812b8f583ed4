"""Labels of examples: classes, labels of which several are true, or numbers."""

import torch
from torch import Tensor

from beliefmatch.errors import ExamplesError
from beliefmatch.functional.upcast import upcast
from beliefmatch.networks.dtypes import dtype_name
from beliefmatch.runs.schema.task import TaskName


def read_labels(labels: Tensor, count: int) -> Tensor:
    """Return labels in the type that is kept: int64, or floats of 32 bits or more where they are numbers.

    Args:
        labels: (count,) or (count, columns).
        count: number of examples.

    Raises:
        ExamplesError: they are of another shape or type, below 0 where they are integers of one column, or not finite.
    """
    if labels.is_complex() or (labels.dtype == torch.bool and labels.dim() == 1):
        raise ExamplesError(f"labels have dtype {dtype_name(labels)}, expected integers")
    if labels.dim() not in (1, 2) or len(labels) != count or labels.numel() == 0:
        raise ExamplesError(
            f"labels have shape {tuple(labels.shape)}, expected ({count},), one for each example; or ({count}, labels) "
            "for a multi-label network"
        )
    if labels.is_floating_point():
        if not bool(labels.isfinite().all()):
            raise ExamplesError("labels have values that are not finite: leave these examples out, or mend them")
        return upcast(labels)
    labels = labels.long()
    if labels.dim() == 1 and int(labels.min()) < 0:
        raise ExamplesError(
            f"labels go down to {int(labels.min())}, expected 0 and above; numbers of a regression are floats"
        )
    return labels


def check_labels(labels: Tensor, num_outputs: int, task: TaskName) -> None:
    """Check that a network can give labels.

    Args:
        labels: from `read_labels`.
        num_outputs: classes, labels or numbers of the network.
        task: what they predict.

    Raises:
        ExamplesError: it cannot.
    """
    match task:
        case "single_label":
            check_classes(labels)
            if (highest := int(labels.max())) >= num_outputs:
                raise ExamplesError(
                    f"there is a label {highest}, but the network knows classes 0 to {num_outputs - 1} only"
                )
        case "multi_label":
            if labels.dim() != 2 or labels.shape[1] != num_outputs or not bool(((labels == 0) | (labels == 1)).all()):
                raise ExamplesError(
                    f"labels have shape {tuple(labels.shape)}, and the network is multi-label: expected (n, "
                    f"{num_outputs}), 1 where a label is true and 0 where it is not"
                )
        case "regression":
            columns = labels.shape[1] if labels.dim() == 2 else 1
            if columns != num_outputs:
                numbers = "(n,)" if num_outputs == 1 else f"(n, {num_outputs})"
                raise ExamplesError(
                    f"labels have shape {tuple(labels.shape)}, and the network is a regression: expected {numbers} "
                    "numbers, in the unit of its outputs"
                )


def check_classes(labels: Tensor) -> None:
    """Check that labels are one class for each example.

    Raises:
        ExamplesError: they are numbers, or several for each example.
    """
    if labels.is_floating_point():
        raise ExamplesError("labels are floating-point numbers, expected integers: one class for each example")
    if labels.dim() != 1:
        raise ExamplesError(
            f"labels have shape {tuple(labels.shape)}, expected ({len(labels)},), one class for each example: several "
            "are for multi-label networks"
        )
