"""Captured rounds: the device's part of a round is recorded once as a CUDA graph, then replayed."""

import copy
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

from beliefmatch.errors import first_line
from beliefmatch.networks.teacher import Teacher
from beliefmatch.training.loop import Metrics, TransferState, compute_round, end_round, run_round
from beliefmatch.training.state import Packed, drop_gradients, generators_in, pack, unpack
from beliefmatch.training.transfer import Transfer

NUM_WARM_UP = 3
"""Rounds before one is captured: libraries choose their kernels in the first, networks are compiled in the second where
that pays, and in the last nothing may wait for the device."""


class CaptureError(Exception):
    """A round cannot be captured, for the reason that the message gives. What was done of it is undone."""


class CudaGraphExecution:
    """Warms rounds up, then captures one and replays it. Where that fails it raises, and changes nothing."""

    def __init__(self, transfer: Transfer, state: TransferState, teacher: Teacher, fabric: Fabric) -> None:
        self.transfer = transfer
        """Settings, resolved. Its objective may be replaced by a compiled one before a round is captured."""
        self.state = state
        self.teacher = teacher
        self.fabric = fabric
        self.warmed_up = 0
        self.student_steps = 0
        """Of one round, known after the first."""
        self.captured: CapturedRound | None = None
        self.draws_on_host = False
        """Whether a round draws random numbers on the host, which would be drawn once and replayed for ever."""

    def next(self) -> Metrics:
        """Run one round and return its metrics, which the next round overwrites.

        Raises:
            CaptureError: no round can be captured, or this one broke off; nothing moved.
        """
        if self.warmed_up < NUM_WARM_UP:
            last = self.warmed_up == NUM_WARM_UP - 1
            return self._warm_up_without_waiting() if last else self.warm_up()
        if self.captured is None:
            self.captured = self._capture()
        metrics = self.captured.replay()
        end_round(self.transfer, self.state)
        return metrics

    def describe(self) -> str:
        """Describe the rounds."""
        return "rounds captured as a CUDA graph"

    def warm_up(self) -> Metrics:
        """Run an eager round on a stream of its own, as capturing asks for."""
        stream, own = torch.cuda.current_stream(), torch.cuda.Stream()
        own.wait_stream(stream)
        with torch.cuda.stream(own):
            metrics = run_round(self.transfer, self.state, self.teacher, self.fabric)
        stream.wait_stream(own)
        self.student_steps = len(metrics["student_loss"])
        self.warmed_up += 1
        return metrics

    def _warm_up_without_waiting(self) -> Metrics:
        """Run an eager round in which nothing may wait for the device, and undo it if something does.

        What a network draws on the host is found out here too, though nothing waits for it.
        """
        before, drawn = Snapshot.take(self.state, self.fabric), _host_randomness()
        try:
            with _no_waiting():
                metrics = self.warm_up()
        except Exception as error:
            # A network of the user's own can wait in any way.
            before.restore(self.state, self.fabric)
            raise CaptureError(first_line(error)) from error
        self.draws_on_host = _host_randomness() != drawn
        return metrics

    def _capture(self) -> "CapturedRound":
        try:
            return CapturedRound(self.transfer, self.state, self.teacher, self.fabric)
        except Exception as error:
            # A network of the user's own can fail to be captured in any way.
            drop_gradients(self.state)
            raise CaptureError(first_line(error)) from error


class CapturedRound:
    """The device's part of a round as a CUDA graph. Whatever moves keeps its address in memory from now on."""

    def __init__(self, transfer: Transfer, state: TransferState, teacher: Teacher, fabric: Fabric) -> None:
        self.state = state
        self.graph = torch.cuda.CUDAGraph()
        for generator in generators_in(state):
            self.graph.register_generator_state(generator)
        before = state.student_passes, state.teacher_passes
        try:
            with torch.cuda.graph(self.graph, capture_error_mode="thread_local"):
                self.metrics = compute_round(transfer, state, teacher, fabric)
        finally:
            # Recording does no work, but the host counted what it would be.
            self.passes = state.student_passes - before[0], state.teacher_passes - before[1]
            state.student_passes, state.teacher_passes = before

    def replay(self) -> Metrics:
        """Replay the device's part of a round, and count its passes."""
        self.graph.replay()
        self.state.student_passes += self.passes[0]
        self.state.teacher_passes += self.passes[1]
        return self.metrics


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A copy of all that moves, to undo a round with."""

    packed: Packed
    host: Tensor
    """torch's random state on the host."""
    device: Tensor
    """Likewise on the device."""

    @classmethod
    def take(cls, state: TransferState, fabric: Fabric) -> Self:
        """Copy a state and torch's own random states."""
        packed = copy.deepcopy(pack(state))
        return cls(packed=packed, host=torch.get_rng_state(), device=torch.cuda.get_rng_state(fabric.device))

    def restore(self, state: TransferState, fabric: Fabric) -> None:
        """Restore everything, and drop the gradients of a round that broke off."""
        unpack(state, self.packed)
        drop_gradients(state)
        torch.set_rng_state(self.host)
        torch.cuda.set_rng_state(self.device, fabric.device)


def free_generators(state: TransferState, fabric: Fabric) -> None:
    """Restore the random generators after a capture that broke off: they still wait for it; their copies do not."""
    for generator in _generators(state, fabric):
        generator.graphsafe_set_state(generator.clone_state())


@contextmanager
def _no_waiting() -> Iterator[None]:
    """Make every operation that waits for the device fail."""
    mode = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(mode)


def _host_randomness() -> tuple[object, ...]:
    """Return where Python's, NumPy's and torch's own draws on the host stand, to be compared."""
    _, keys, position, *_ = np.random.get_state(legacy=True)
    return random.getstate(), np.asarray(keys).tobytes(), position, torch.get_rng_state().numpy().tobytes()


def _generators(state: TransferState, fabric: Fabric) -> list[torch.Generator]:
    index = fabric.device.index or 0
    return [torch.cuda.default_generators[index], *generators_in(state)]
