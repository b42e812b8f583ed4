"""Rounds that are captured as a CUDA graph and replayed, compiled before that where it pays."""

import logging

from lightning_fabric import Fabric

from beliefmatch.errors import first_line
from beliefmatch.networks.teacher import Teacher
from beliefmatch.training.execution import compiled
from beliefmatch.training.execution.base import AbstractExecution
from beliefmatch.training.execution.compiled import CompiledNetworks
from beliefmatch.training.execution.cuda_graph import CaptureError, CudaGraphExecution, Snapshot, free_generators
from beliefmatch.training.execution.eager import EagerExecution
from beliefmatch.training.loop import Metrics, TransferState
from beliefmatch.training.transfer import Transfer

logger = logging.getLogger(__name__)


class CapturedExecution(AbstractExecution):
    """Captures a round and replays it, and falls back to eager rounds where that fails."""

    def __init__(
        self, transfer: Transfer, state: TransferState, teacher: Teacher, fabric: Fabric, *, may_compile: bool
    ) -> None:
        """Build an execution whose first rounds are eager.

        Args:
            transfer: settings, resolved.
            state: moves.
            teacher: stays.
            fabric: a CUDA device and precision, in one process.
            may_compile: whether networks and losses are compiled before a round is captured, where that pays.
        """
        self.graph = CudaGraphExecution(transfer, state, teacher, fabric)
        self.eager: EagerExecution | None = None
        self.networks: CompiledNetworks | None = None
        self.state = state
        self.may_compile = may_compile
        self.rounds_left = transfer.rounds - state.round

    def next(self) -> Metrics:
        """Run one round; where it turns out that it cannot be captured, run it and all others eagerly."""
        if self.eager is not None:
            return self.eager.next()
        if self.may_compile and self.graph.warmed_up == 1 and self.compiling_pays(self.rounds_left):
            return self._warm_up_compiled()
        try:
            metrics = self.graph.next()
        except CaptureError as error:
            return self._fall_back(str(error)).next()
        if self.graph.draws_on_host:
            self._fall_back("something in it draws random numbers on the host")
        return metrics

    def describe(self) -> str:
        """Describe what is compiled, and how the rounds are done."""
        networks = f"{self.networks.describe()}, " if self.networks else ""
        return networks + (self.eager or self.graph).describe()

    def compiling_pays(self, num_rounds: int) -> bool:
        """Whether so many rounds take as many student steps as compiling pays from; False before the first round."""
        return self.graph.student_steps * num_rounds >= compiled.COMPILED_FROM

    def close(self) -> None:
        """Restore the forward pass of both networks."""
        if self.networks:
            self.networks.remove()

    def _warm_up_compiled(self) -> Metrics:
        """Compile both networks and the losses in an eager round, and undo it if something cannot be."""
        logger.info("compiling both networks and the losses, which takes a minute or so and pays in a run this long")
        self.may_compile = False
        graph, given = self.graph, self.graph.transfer
        before = Snapshot.take(graph.state, graph.fabric)
        try:
            self.networks = CompiledNetworks(given, graph.state.student, graph.teacher)
            graph.transfer = self.networks.transfer
            return graph.warm_up()
        except Exception as error:
            # A network of the user's own can fail to be compiled in any way.
            before.restore(graph.state, graph.fabric)
            self.close()
            self.networks, graph.transfer = None, given
            logger.info("they stay as they are, since they cannot be compiled: %s", first_line(error))
            return graph.warm_up()

    def _fall_back(self, reason: str) -> EagerExecution:
        logger.info("rounds run eagerly from here on, since one cannot be captured: %s", reason)
        graph = self.graph
        free_generators(graph.state, graph.fabric)
        self.eager = EagerExecution(graph.transfer, graph.state, graph.teacher, graph.fabric, reason=reason)
        return self.eager
