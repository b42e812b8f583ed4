"""Compiled rounds: torch.compile fuses the forward pass of both networks and the losses."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Self

import torch
from torch import Tensor, nn

from beliefmatch.networks.taps import Outputs, find_module
from beliefmatch.networks.teacher import Teacher
from beliefmatch.objectives.base import AbstractObjective
from beliefmatch.training.execution.base import AbstractExecution
from beliefmatch.training.loop import Metrics
from beliefmatch.training.transfer import Transfer

COMPILED_FROM = 100_000
"""Student steps of a run from which compiling pays on a GPU: it takes a minute, and then saves some .6 ms a step."""


class CompiledExecution(AbstractExecution):
    """Runs the rounds of another execution, whose networks and losses are compiled."""

    def __init__(self, inner: AbstractExecution, networks: "CompiledNetworks") -> None:
        self.inner = inner
        self.networks = networks
        self.state = inner.state

    def next(self) -> Metrics:
        """Run one round."""
        return self.inner.next()

    def describe(self) -> str:
        """Describe what is compiled, and how the rounds are done."""
        return f"{self.networks.describe()}, {self.inner.describe()}"

    def compiling_pays(self, num_rounds: int) -> bool:
        """Whether the other execution finds that it pays."""
        return self.inner.compiling_pays(num_rounds)

    def close(self) -> None:
        """Restore the forward pass of both networks."""
        self.inner.close()
        self.networks.remove()


class CompiledNetworks:
    """Both networks of a run with compiled forward passes, until they are removed."""

    def __init__(self, transfer: Transfer, student: nn.Module, teacher: Teacher) -> None:
        """Compile teacher, student and objective. What fails half way leaves both networks as they were.

        Args:
            transfer: settings, resolved.
            student: whose forward pass is replaced.
            teacher: likewise; activations that the source reads are kept readable.
        """
        self.forwards: list[CompiledForward] = []
        pairs = transfer.objective.taps or ()
        read = [*teacher.batch_norms] if transfer.source.needs.batch_norms else []
        if transfer.source.needs.features and teacher.feature_tap:
            read.append(teacher.feature_tap)
        try:
            taps = {pair.teacher for pair in pairs}
            self.forwards.append(CompiledForward(teacher.module, outputs=taps, inputs=read))
            self.forwards.append(CompiledForward(student, outputs={pair.student for pair in pairs}))
            self.transfer = replace(transfer, objective=CompiledObjective.of(transfer.objective))
        except Exception:
            self.remove()
            raise

    def describe(self) -> str:
        """Describe in a few words what is compiled."""
        return "compiled networks and losses"

    def remove(self) -> None:
        """Restore the forward pass of both networks."""
        for forward in self.forwards:
            forward.remove()
        self.forwards = []


class CompiledForward:
    """The compiled forward pass of a network, until it is removed. Weights, names and the network's own hooks stay.

    A hook on a module within would not run, or would have the network compiled anew whenever it changed. So activations
    that will be read are named beforehand: the compiled pass returns them all, and the hooks on their modules, such as
    those of `taps.outputs_of`, run after it.
    """

    def __init__(self, network: nn.Module, *, outputs: Iterable[str] = (), inputs: Iterable[str] = ()) -> None:
        """Replace the forward pass of a network. It is compiled when it first runs and for every new shape or mode.

        Args:
            network: any module that maps a batch to logits.
            outputs: names of modules whose output will be read.
            inputs: names of modules whose input will be read.

        Raises:
            TapError: a name does not exist.
        """
        self.network = network
        self.outputs = [find_module(network, name) for name in outputs]
        self.inputs = [find_module(network, name) for name in inputs]
        self.found: dict[tuple[str, int], Any] = {}
        self.eager_forward = vars(network).get("forward")
        eager, found = network.forward, self.found

        def read(*arguments: Any) -> tuple[Tensor, dict[tuple[str, int], Any]]:
            found.clear()
            logits = eager(*arguments)
            return logits, dict(found)

        # Where torch cannot compile at all it raises here, before anything of the network changed.
        self.read = torch.compile(read, dynamic=False)
        self.handles = [
            *(self._record_output(index, module) for index, module in enumerate(self.outputs)),
            *(self._record_input(index, module) for index, module in enumerate(self.inputs)),
        ]
        self.own = {handle.id for handle in self.handles}
        network.forward = self.forward

    def forward(self, *arguments: Any) -> Tensor:
        """Run the compiled pass, and then the hooks of the modules whose activations it returned."""
        with self._set_aside() as (output_hooks, input_hooks):
            logits, found = self.read(*arguments)
        self.found.clear()
        for index, (module, hooks) in enumerate(zip(self.inputs, input_hooks, strict=True)):
            for hook in hooks:
                hook(module, (found["input", index],))
        for index, (module, hooks) in enumerate(zip(self.outputs, output_hooks, strict=True)):
            for hook in hooks:
                hook(module, (), found["output", index])
        return logits

    def remove(self) -> None:
        """Restore the forward pass of the network."""
        if self.eager_forward is None:
            del self.network.forward
        else:
            self.network.forward = self.eager_forward
        for handle in self.handles:
            handle.remove()

    def _record_output(self, index: int, module: nn.Module) -> Any:
        found = self.found

        def record(_module: nn.Module, _inputs: Any, output: Any) -> None:
            found["output", index] = output

        return module.register_forward_hook(record)

    def _record_input(self, index: int, module: nn.Module) -> Any:
        found = self.found

        def record(_module: nn.Module, inputs: tuple[Any, ...]) -> None:
            found["input", index] = inputs[0]

        return module.register_forward_pre_hook(record)

    @contextmanager
    def _set_aside(self) -> Iterator[tuple[list[list[Any]], list[list[Any]]]]:
        """Remove the hooks of others from the modules that are read, and restore them at the end of the block."""
        tables = [*(module._forward_hooks for module in self.outputs)]
        tables += [module._forward_pre_hooks for module in self.inputs]
        before = [dict(table) for table in tables]
        for table in tables:
            for key in [key for key in table if key not in self.own]:
                del table[key]
        try:
            hooks = [[hook for key, hook in table.items() if key not in self.own] for table in before]
            yield hooks[: len(self.outputs)], hooks[len(self.outputs) :]
        finally:
            for table, all_hooks in zip(tables, before, strict=True):
                table.clear()
                table.update(all_hooks)


@dataclass(frozen=True, kw_only=True)
class CompiledObjective(AbstractObjective):
    """Another objective, compiled when it is first called. It gives the same terms."""

    inner: AbstractObjective
    """Whose terms they are."""
    run: Callable[[Outputs, Outputs, Tensor | None, Tensor | float], dict[str, Tensor]] = field(repr=False)
    """Its compiled call."""

    @classmethod
    def of(cls, objective: AbstractObjective) -> Self:
        """Compile an objective whose taps are resolved."""
        return cls(inner=objective, taps=objective.taps, run=torch.compile(objective.__call__, dynamic=False))

    @property
    def uses_taps(self) -> bool:
        """Whether the other one does."""
        return self.inner.uses_taps

    @property
    def uses_labels(self) -> bool:
        """Whether the other one does."""
        return self.inner.uses_labels

    def without_features(self) -> Self:
        """Return the same: what is compiled was resolved before."""
        return self

    def check(self) -> None:
        """Check the other one.

        Raises:
            SettingsError: one of its settings is out of its range.
        """
        self.inner.check()

    def __call__(
        self, teacher: Outputs, student: Outputs, labels: Tensor | None, progress: Tensor | float = 0.0
    ) -> dict[str, Tensor]:
        """Compute the terms of the other one, each (batch,)."""
        return self.run(teacher, student, labels, progress)
