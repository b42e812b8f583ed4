"""The teacher: a network that never moves."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]

from beliefmatch.functional.batch_norm_moments import batch_norm_moments
from beliefmatch.functional.batch_norm_statistics import statistics_gap
from beliefmatch.networks.dtypes import dtype_of
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.inspection import Inspection, inspect
from beliefmatch.networks.loading.trained import AbstractNetwork
from beliefmatch.networks.output_forms import give_logits
from beliefmatch.networks.taps import Outputs, outputs_of
from beliefmatch.networks.tasks import TASKS


class Teacher:
    """A frozen module in eval mode with the spec of its inputs. Neither parameters nor buffers ever move."""

    def __init__(self, module: nn.Module, spec: InputSpec, inspection: Inspection | None = None) -> None:
        """Freeze a module, and convert its outputs to logits of every class if it returns something else.

        Args:
            module: changed in place, and used from now on.
            spec: of its inputs.
            inspection: of the module; None: it is inspected now.

        Raises:
            NetworkError: it does not take inputs of this shape, or returns something other than finite outputs.
        """
        self.module = module.eval().requires_grad_(requires_grad=False)
        self.spec = spec
        self.inspection = inspection or inspect(module, spec, role="teacher")
        self.num_classes = self.inspection.num_classes
        self.task = TASKS[self.inspection.task]
        """What its outputs predict."""
        self.batch_norms = {
            name: cast("_BatchNorm", module.get_submodule(name)) for name in self.inspection.batch_norms
        }
        """By name the batch-norm layers with running statistics that a batch passes."""
        if not self.inspection.returns_logits:
            give_logits(module, self.inspection.outputs, self.inspection.task)

    @classmethod
    def load(cls, network: AbstractNetwork, spec: InputSpec) -> "Teacher":
        """Load a trained network. See `AbstractNetwork.load_inspected`."""
        module, inspection = network.load_inspected(spec, role="teacher")
        return cls(module, spec, inspection)

    def copied(self) -> "Teacher":
        """Copy the teacher; nothing runs."""
        return Teacher(copy.deepcopy(self.module), self.spec, self.inspection)

    @property
    def dtype(self) -> torch.dtype:
        """Return the floating type of its parameters, which is also that of its inputs."""
        return dtype_of(self.module)

    @property
    def feature_tap(self) -> str | None:
        """Return the layer whose outputs are the logits and whose inputs are the features; None if there is none."""
        return self.inspection.head or None

    def outputs(
        self, batch: Tensor, *, taps: Sequence[str] = (), tap_batch_norms: bool = False, tap_features: bool = False
    ) -> Outputs:
        """Run the teacher; see `taps.outputs_of`. Gradients to the batch flow where the caller has them enabled."""
        inputs = self.inspection.batch_norms if tap_batch_norms else ()
        if tap_features and self.feature_tap:
            inputs += (self.feature_tap,)
        return replace(outputs_of(self.module, batch, outputs=taps, inputs=inputs), task=self.task)

    def statistics_gap(self, read: Outputs) -> Tensor:
        """Compute the sum over batch-norm layers of the gap between a batch's statistics and the running ones.

        Args:
            read: from `outputs` with `tap_batch_norms`.

        Returns:
            (), at least 0; 0 where the teacher has no batch-norm.
        """
        if not self.batch_norms:
            return read.logits.new_zeros(())
        return statistics_gap([read.inputs[name] for name in self.batch_norms], *self._running_statistics())

    def batch_norm_moments(self, read: Outputs) -> Tensor:
        """Compute each example's distance from what the batch-norm layers remember; there is at least one layer.

        Args:
            read: from `outputs` with `tap_batch_norms`.

        Returns:
            (batch, moments), see `functional.batch_norm_moments`.
        """
        return batch_norm_moments([read.inputs[name] for name in self.batch_norms], *self._running_statistics())

    def _running_statistics(self) -> tuple[list[Tensor], list[Tensor]]:
        """Return means and variances that the batch-norm layers remember."""
        layers = self.batch_norms.values()
        return [cast("Tensor", layer.running_mean) for layer in layers], [
            cast("Tensor", layer.running_var) for layer in layers
        ]
