"""Doing rounds: eagerly, or recorded once as a CUDA graph and replayed without the host's part."""

import copy
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from lightning_fabric import Fabric
from torch import Tensor

from beliefmatch.engine.memory import keep_freed_memory
from beliefmatch.engine.state import generators_in, pack, unpack
from beliefmatch.engine.transfer import Transfer, TransferState, end_round, run_on_device, run_round
from beliefmatch.errors import first_line
from beliefmatch.models.compiled import CompiledForward
from beliefmatch.models.teacher import Teacher

logger = logging.getLogger(__name__)

Execution = Literal["auto", "eager", "compiled"]

NUM_WARM_UP = 3
"""Eager rounds before one is captured: libraries choose their kernels in the first, and the last is watched."""


def why_not_captured(transfer: Transfer, fabric: Fabric) -> str:
    """Say why rounds of a transfer cannot be captured here; empty where nothing speaks against it."""
    if fabric.device.type != "cuda":
        return "only a CUDA device captures them"
    if fabric.world_size > 1:
        return "several processes talk to each other in them"
    return transfer.source.why_eager


class Rounds:
    """Does the rounds of one run. Captured or eager, they compute the same."""

    def __init__(
        self, transfer: Transfer, state: TransferState, teacher: Teacher, fabric: Fabric, execution: Execution
    ) -> None:
        self.transfer = transfer
        self.state = state
        self.teacher = teacher
        self.fabric = fabric
        self.why_eager = "asked for" if execution == "eager" else why_not_captured(transfer, fabric)
        if fabric.device.type == "cpu":
            keep_freed_memory()
        self.warmed_up = 0
        self.captured: _CapturedRound | None = None
        self.compiled = _compile(transfer, state, teacher) if execution == "compiled" else []

    def describe(self) -> str:
        """Say in a few words how the rounds are done."""
        compiled = "compiled networks, " if self.compiled else ""
        rounds = f"eager rounds ({self.why_eager})" if self.why_eager else "rounds captured as a CUDA graph"
        return compiled + rounds

    def end(self) -> None:
        """Give both networks their own forward pass back."""
        for compiled in self.compiled:
            compiled.remove()

    def next(self) -> dict[str, Tensor]:
        """Do one round and give its record, which the next round may overwrite."""
        if self.why_eager:
            return run_round(self.transfer, self.state, self.teacher, self.fabric)
        if self.warmed_up < NUM_WARM_UP:
            self.warmed_up += 1
            watched = self.warmed_up == NUM_WARM_UP
            return self._warm_up_watched() if watched else self._warm_up()
        if self.captured is None:
            try:
                self.captured = _CapturedRound(self.transfer, self.state, self.teacher, self.fabric)
            except Exception as error:
                # A network of the user's own can fail to be captured in any way.
                self._fall_back(error)
                return self.next()
        record = self.captured.replay()
        end_round(self.transfer, self.state)
        return record

    def _warm_up(self) -> dict[str, Tensor]:
        """Do an eager round on a stream of its own, as capturing asks for."""
        stream, own = torch.cuda.current_stream(), torch.cuda.Stream()
        own.wait_stream(stream)
        with torch.cuda.stream(own):
            record = run_round(self.transfer, self.state, self.teacher, self.fabric)
        stream.wait_stream(own)
        return record

    def _warm_up_watched(self) -> dict[str, Tensor]:
        """Do an eager round in which nothing may wait for the device, and step back if something does."""
        before = copy.deepcopy(pack(self.state)), torch.get_rng_state(), torch.cuda.get_rng_state(self.fabric.device)
        try:
            with _no_waiting():
                return self._warm_up()
        except Exception as error:
            # See above.
            packed, host, device = before
            unpack(self.state, packed)
            self.state.student.zero_grad(set_to_none=True)
            torch.set_rng_state(host)
            torch.cuda.set_rng_state(device, self.fabric.device)
            self._fall_back(error)
            return self.next()

    def _fall_back(self, error: Exception) -> None:
        self.why_eager = first_line(error)
        logger.info("rounds run eagerly from here on, since one cannot be captured: %s", self.why_eager)
        for generator in _generators(self.state, self.fabric):
            # A capture that broke off leaves its generators waiting for it; their copies do not.
            generator.graphsafe_set_state(generator.clone_state())


def _compile(transfer: Transfer, state: TransferState, teacher: Teacher) -> list[CompiledForward]:
    pairs = transfer.objective.taps or ()
    read = [*teacher.batch_norms] if transfer.source.reads_batch_norms else []
    if transfer.source.reads_features and teacher.feature_tap:
        read.append(teacher.feature_tap)
    return [
        CompiledForward(teacher.module, outputs={pair.teacher for pair in pairs}, inputs=read),
        CompiledForward(state.student, outputs={pair.student for pair in pairs}),
    ]


class _CapturedRound:
    """The device's part of a round as a CUDA graph. Whatever moves keeps its place in memory from now on."""

    def __init__(self, transfer: Transfer, state: TransferState, teacher: Teacher, fabric: Fabric) -> None:
        self.state = state
        self.graph = torch.cuda.CUDAGraph()
        for generator in generators_in(state):
            self.graph.register_generator_state(generator)
        before = state.student_passes, state.teacher_passes
        with torch.cuda.graph(self.graph, capture_error_mode="thread_local"):
            self.record = run_on_device(transfer, state, teacher, fabric)
        # Recording does no work, but the host counted what it would be.
        self.passes = state.student_passes - before[0], state.teacher_passes - before[1]
        state.student_passes, state.teacher_passes = before

    def replay(self) -> dict[str, Tensor]:
        self.graph.replay()
        self.state.student_passes += self.passes[0]
        self.state.teacher_passes += self.passes[1]
        return self.record


@contextmanager
def _no_waiting() -> Iterator[None]:
    """Make every operation that waits for the device fail."""
    mode = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(mode)


def _generators(state: TransferState, fabric: Fabric) -> list[torch.Generator]:
    index = fabric.device.index or 0
    return [torch.cuda.default_generators[index], *generators_in(state)]
