"""The teacher: a network that never moves."""

from collections.abc import Sequence
from functools import cached_property
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]

from beliefmatch.errors import NetworkError, first_line
from beliefmatch.functional.batch_norm_statistics import statistics_gap
from beliefmatch.networks.heads import find_head
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.logits import probe_batch, settle_logits
from beliefmatch.networks.modes import evaluating
from beliefmatch.networks.sizes import size_hint
from beliefmatch.networks.taps import Beliefs, beliefs, can_be_tapped


class Teacher:
    """A frozen module in eval mode with the spec of its inputs. Neither parameters nor buffers ever move."""

    def __init__(self, module: nn.Module, spec: InputSpec) -> None:
        """Freeze a module and learn its number of classes from a batch of noise.

        Raises:
            NetworkError: it does not take inputs of this shape, or returns something other than finite logits.
        """
        self.module = module.eval().requires_grad_(requires_grad=False)
        self.spec = spec
        settle_logits(module, spec, name="the teacher")
        self.num_classes = probe(module, spec, role="teacher")
        self.batch_norms = _running_batch_norms(module, probe_batch(module, spec))

    @property
    def dtype(self) -> torch.dtype:
        """Floating type of its parameters, which its inputs share."""
        return next((parameter.dtype for parameter in self.module.parameters()), torch.float32)

    @cached_property
    def feature_tap(self) -> str | None:
        """Name of the layer whose output are the logits, so that its input are the features; None if there is none."""
        head = find_head(self.module, self.spec)
        return next((name for name, module in self.module.named_modules() if module is head), None) or None

    def beliefs(
        self, batch: Tensor, *, taps: Sequence[str] = (), tap_batch_norms: bool = False, tap_features: bool = False
    ) -> Beliefs:
        """Run the teacher; see `taps.beliefs`. Gradients to the batch flow where the caller has them enabled."""
        inputs = tuple(self.batch_norms) if tap_batch_norms else ()
        if tap_features and self.feature_tap:
            inputs += (self.feature_tap,)
        return beliefs(self.module, batch, outputs=taps, inputs=inputs)

    def statistics_gap(self, read: Beliefs) -> Tensor:
        """Sum over batch-norm layers of the gap between a batch and the remembered statistics.

        Args:
            read: from `beliefs` with `tap_batch_norms`.

        Returns:
            (), at least 0; 0 where the teacher has no batch-norm.
        """
        if not self.batch_norms:
            return read.logits.new_zeros(())
        means, variances = (
            [cast("Tensor", getattr(layer, name)) for layer in self.batch_norms.values()]
            for name in ("running_mean", "running_var")
        )
        return statistics_gap([read.inputs[name] for name in self.batch_norms], means, variances)


def _running_batch_norms(module: nn.Module, batch: Tensor) -> dict[str, _BatchNorm]:
    """Find the batch-norm layers with remembered statistics that a batch passes; an auxiliary head's do not count."""
    layers = {name: layer for name, layer in module.named_modules() if isinstance(layer, _BatchNorm)}
    if not layers or not can_be_tapped(module):
        return {}
    passed: set[nn.Module] = set()
    handles = [layer.register_forward_pre_hook(lambda layer, _: passed.add(layer)) for layer in layers.values()]
    with torch.no_grad():
        module(batch)
    for handle in handles:
        handle.remove()
    return {name: layer for name, layer in layers.items() if layer in passed and layer.running_mean is not None}


def check_same_classes(teacher: int, student: int) -> None:
    """Check that two networks know equally many classes.

    Raises:
        NetworkError: they do not.
    """
    if student != teacher:
        binary = "; a network with one output knows two" if 2 in (teacher, student) else ""
        raise NetworkError(f"the teacher knows {teacher} classes and the student {student}; they must be equal{binary}")


def probe(module: nn.Module, spec: InputSpec, *, role: str) -> int:
    """Run a network in eval mode on seeded noise and return its number of classes.

    Raises:
        NetworkError: it fails on inputs of this shape, or does not return finite logits (batch, classes).
    """
    try:
        with evaluating(module), torch.no_grad():
            logits = beliefs(module, probe_batch(module, spec)).logits
    except NetworkError:
        raise
    except Exception as error:
        # A network of the user's own can fail in any way.
        hint = size_hint(module, spec, role=role)
        raise NetworkError(
            f"the {role} does not take inputs of shape {spec.shape}: {first_line(error)}{hint}"
        ) from error
    if not bool(logits.isfinite().all()):
        raise NetworkError(f"the {role} returns values that are not finite: are its weights whole?")
    return logits.shape[1]
