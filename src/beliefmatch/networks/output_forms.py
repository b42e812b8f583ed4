"""Forms of outputs: logits, probabilities of a softmax, or probabilities of sigmoids.

Everything else in the library works with logits. The outputs of a network of another form are converted by a hook,
which `give_logits` installs: names of modules, keys of the state dict and copies stay as they are.
"""

import logging
import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from beliefmatch.errors import NetworkError
from beliefmatch.functional.upcast import upcast
from beliefmatch.log_once import log_once
from beliefmatch.networks.outputs import logits_of
from beliefmatch.runs.schema.task import TaskName
from beliefmatch.setting_names import Setting

logger = logging.getLogger(__name__)

OutputForm = Literal["logits", "probabilities", "sigmoid"]
"""logits: one for each class; a single one is that of class 1 of two. probabilities: of all classes, which sum to 1, as
behind a softmax; a single one is that of class 1 of two. sigmoid: a probability for each class by itself; a single one
is that of class 1 of two."""
FLOAT32_BELOW_1 = 2.0**-24
"""Distance from 1 to the float32 below it, the resolution of a sigmoid's output there."""
SUM_TOLERANCE = 1e-3


def to_logits(values: Tensor, form: OutputForm, task: TaskName = "single_label") -> Tensor:
    """Compute logits of every class or label; numbers of a regression stay as they are.

    Args:
        values: (batch, columns), of the form.
        form: of the values.
        task: what they predict.

    Returns:
        (batch, classes), at least two, or as many as there are labels or numbers. Of probabilities: their logarithms,
        of a sigmoid's: their log-odds, both in 32 bits or more. Log-odds stay within 16.6 on either side: above that 32
        bits do not tell a probability from 1, and below it programs differ in what they round to 0. A single logit z of
        a classifier becomes the logits 0
        and z, whose softmax is the sigmoid of z.
    """
    if task == "regression":
        return values
    if form == "probabilities" and values.shape[1] > 1:
        finfo, exact = torch.finfo(values.dtype), upcast(values)
        # The least number above 0 that has a logarithm: 16 bits hold some that are less than tiny.
        return exact.clamp_min(max(finfo.tiny * finfo.eps, torch.finfo(exact.dtype).tiny)).log()
    if form != "logits":
        values = upcast(values).logit(eps=FLOAT32_BELOW_1)
    is_binary = task == "single_label" and values.shape[1] == 1
    return torch.cat([torch.zeros_like(values), values], dim=1) if is_binary else values


@dataclass(frozen=True, kw_only=True)
class LogitsHook:
    """A forward hook that converts the outputs of a network to logits."""

    form: OutputForm
    task: TaskName = "single_label"

    def __call__(self, network: nn.Module, inputs: tuple[Any, ...], output: object) -> Tensor:
        """Compute logits (batch, classes), or of what else the task has, of an output of the network."""
        if isinstance(output, Tensor):
            values = output.unsqueeze(1) if output.dim() == 1 else output
        else:
            # Not len(): it would fix the size of the batch when the network is traced for export.
            values = logits_of(output, network=type(network).__name__, batch_size=inputs[0].shape[0])
        return to_logits(values, self.form, self.task)


def give_logits(network: nn.Module, form: OutputForm, task: TaskName = "single_label") -> RemovableHandle | None:
    """Register a hook that converts outputs to logits of every class, and return its handle; None: there is one."""
    return None if form_of(network) else network.register_forward_hook(LogitsHook(form=form, task=task))


def form_of(network: nn.Module) -> OutputForm | None:
    """Return the form that a network's own outputs have, where `give_logits` was called; None where it was not."""
    hook = hook_of(network)
    return hook and hook.form


def hook_of(network: nn.Module) -> LogitsHook | None:
    """Return the hook of `give_logits`; None where there is none."""
    return next((hook for hook in network._forward_hooks.values() if isinstance(hook, LogitsHook)), None)


def check_form(values: Tensor, form: OutputForm, *, role: str) -> None:
    """Check that values can have the form that the user gives.

    Raises:
        NetworkError: they cannot.
    """
    if form == "logits":
        return
    is_several = form == "probabilities" and values.shape[1] > 1
    if not (sum_to_1(values) if is_several else are_within_0_and_1(values)):
        expected = "of all classes, at least 0, with the sum 1" if is_several else "between 0 and 1"
        setting = Setting(f"{role}.outputs", form)
        raise NetworkError(
            f"the {role} returns values from {float(values.min()):.3g} to {float(values.max()):.3g}, but "
            f"{setting} says that they are probabilities: expected values {expected}; leave it out, or say logits"
        )


def log_form(form: OutputForm, *, num_columns: int, role: str, task: TaskName = "single_label") -> None:
    """Write to the log how outputs are converted that are not a logit of each class."""
    if form == "probabilities" and num_columns > 1:
        log_once(
            logger, logging.WARNING, "the %s returns probabilities: their logarithms are taken as its logits", role
        )
    elif form != "logits":
        log_once(
            logger,
            logging.WARNING,
            "the %s returns probabilities of a sigmoid: their log-odds, of at most %.1f, are taken as logits",
            role,
            -math.log(FLOAT32_BELOW_1),
        )
    if num_columns == 1 and task == "single_label":
        log_once(
            logger,
            logging.INFO,
            "the %s has one output: it is taken as the logit of class 1, and 0 as that of class 0",
            role,
        )


def sum_to_1(values: Tensor) -> bool:
    """Whether all values (batch, classes) are at least 0 and those of each example sum to 1, as behind a softmax."""
    if values.shape[1] == 1 or bool((values < 0).any()):
        return False
    # Each of them is rounded to its own type.
    tolerance = max(SUM_TOLERANCE, torch.finfo(values.dtype).eps)
    return bool((upcast(values).sum(dim=1) - 1).abs().max() < tolerance)


def are_within_0_and_1(values: Tensor) -> bool:
    """Whether all values lie between 0 and 1, as probabilities do."""
    return bool(((values >= 0) & (values <= 1)).all())
