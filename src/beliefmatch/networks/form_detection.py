"""Detect the form of outputs: a sigmoid by the graph of the outputs' gradient, all else by values."""

import logging
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor

from beliefmatch.errors import NetworkError
from beliefmatch.log_once import log_once
from beliefmatch.networks.output_forms import OutputForm, are_within_0_and_1, sum_to_1
from beliefmatch.runs.schema.task import TaskName
from beliefmatch.setting_names import Setting

logger = logging.getLogger(__name__)

EXTREME = 1000.0
"""Factor on the inputs, with both signs: there a sigmoid mostly saturates at 0 or 1."""
NEAR_AN_END = 1e-3
"""A sigmoid is detected by values so near to 0 and to 1."""
RESHAPES = re.compile(
    r"(Alias|AsStrided|Cat|Clamp(Min|Max)?|Clone|Expand|Permute|ReshapeAlias|Select|Slice|Split|Squeeze|Stack|T|ToCopy"
    r"|Transpose|Unsqueeze|(Unsafe)?View)Backward\d*"
)
"""Nodes of a graph behind which probabilities are still probabilities."""


def detect_form(
    values: Tensor, inputs: Tensor, run: Callable[[Tensor], Tensor], *, role: str, task: TaskName, advice: str = ""
) -> OutputForm:
    """Detect which form the outputs of a network have; it runs once more where values alone leave it open.

    Args:
        values: (batch, columns), what the network returned, with their graph if there is one.
        inputs: (examples, *shape), network inputs of ordinary size.
        run: returns what the network returns for inputs, (examples, columns).
        role: what to call the network in errors and in the log: teacher or student.
        task: what outputs predict.
        advice: what the log says to do where outputs that are taken as logits are probabilities. Default: the setting.

    Raises:
        NetworkError: several labels may be true, and the probabilities of each example sum to 1.
    """
    finite = values.detach()[values.isfinite().all(dim=1)]
    if task == "regression" or not len(finite):
        return "logits"
    if is_sigmoid(values):
        return "sigmoid"
    # A fresh head of zeros gives the same for all.
    may_be_sigmoid = are_within_0_and_1(finite) and bool((finite != finite[:1]).any())
    if task == "multi_label":
        _check_labels(finite)
        return "sigmoid" if may_be_sigmoid else "logits"
    if sum_to_1(finite):
        return "probabilities"
    return _detect_at_extremes(finite, inputs, run, role, advice) if may_be_sigmoid else "logits"


def is_sigmoid(values: Tensor) -> bool:
    """Whether the last operator that computed values is a sigmoid, as the graph of their gradient shows, if any.

    Values cannot tell: behind a layer norm the logits are small for inputs of any size, and a sigmoid of them never
    comes near to 0 or 1. So the names of the graph's nodes are read. They are torch's own and may change with its
    version; then values decide, and a test that builds such a network fails.
    """
    seen, nodes = set[Any](), [values.grad_fn]
    while nodes:
        node = nodes.pop()
        if node is None:
            return False
        if node in seen or node.name() == "SigmoidBackward0":
            continue
        if not RESHAPES.fullmatch(node.name()):
            return False
        seen.add(node)
        nodes += [before for before, _ in node.next_functions]
    return True


def _detect_at_extremes(
    values: Tensor, inputs: Tensor, run: Callable[[Tensor], Tensor], role: str, advice: str
) -> OutputForm:
    """Detect whether values are a sigmoid's or logits, where all lie between 0 and 1 for inputs of ordinary sizes."""
    with suppress(Exception):  # A network may fail on inputs of such a size.
        values = torch.cat([values, run(torch.cat([EXTREME * inputs, -EXTREME * inputs]))])
    if not are_within_0_and_1(values):
        return "logits"
    if bool((values < NEAR_AN_END).any() and (values > 1 - NEAR_AN_END).any()):
        return "sigmoid"
    _warn_of_ambiguity(role, advice)
    return "logits"


def _check_labels(values: Tensor) -> None:
    """Check that values can be those of labels of which several may be true.

    Raises:
        NetworkError: they are probabilities of which one is right.
    """
    if sum_to_1(values):
        raise NetworkError(
            "the probabilities of each example sum to 1, as behind a softmax, so one class is right, and outputs "
            "cannot be multi_label: leave that out, or take the outputs before the softmax"
        )


def _warn_of_ambiguity(role: str, advice: str) -> None:
    """Write a warning to the log that outputs taken as logits may be probabilities, and what to do if so."""
    as_sigmoid, as_logits = Setting(f"{role}.outputs", "sigmoid"), Setting(f"{role}.outputs", "logits")
    log_once(
        logger,
        logging.WARNING,
        "all that the %s returns for the inputs tried lies between 0 and 1: it is taken as logits; if these are "
        "probabilities behind a sigmoid, %s",
        role,
        advice or f"say {as_sigmoid}, and if not, {as_logits}",
    )
