"""Doing rounds: eagerly, or recorded once as a CUDA graph and replayed without the host's part."""

import copy
import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from beliefmatch.errors import first_line
from beliefmatch.networks.compiled import CompiledForward
from beliefmatch.networks.teacher import Teacher
from beliefmatch.objectives.compiled import Compiled
from beliefmatch.training.memory import keep_freed_memory
from beliefmatch.training.state import Packed, drop_gradients, generators_in, pack, unpack
from beliefmatch.training.transfer import Transfer, TransferState, end_round, run_on_device, run_round, settle, start

logger = logging.getLogger(__name__)

Execution = Literal["auto", "eager", "captured", "compiled"]

NUM_WARM_UP = 3
"""Rounds before one is captured: libraries choose their kernels in the first, networks are compiled in the second where
that pays, and the last is watched."""
COMPILED_FROM = 100_000
"""Student steps of a run from which compiling pays on a GPU: it takes a minute, and then saves some .6 ms a step."""


@contextmanager
def fastest_kernels() -> Iterator[None]:
    """Let cuDNN time its kernels in the first rounds and keep the fastest."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


def why_not_captured(transfer: Transfer, fabric: Fabric) -> str:
    """Say why rounds of a transfer cannot be captured here; empty where nothing speaks against it."""
    if fabric.device.type != "cuda":
        return "only a CUDA device captures them"
    if fabric.world_size > 1:
        return "several processes talk to each other in them"
    return transfer.source.why_eager


def begin_rounds(
    transfer: Transfer,
    fabric: Fabric,
    execution: Execution,
    *,
    teacher: nn.Module | None = None,
    student: nn.Module | None = None,
) -> "Rounds":
    """Load the teacher and make the student, unless they are given, and start both, in memory alone.

    torch's random state draws what has no weights of its own.

    Args:
        transfer: what to compute; its taps need not be settled.
        fabric: device and precision, in one process.
        execution: how to do the rounds.
        teacher: stands in for the transfer's own.
        student: likewise; moves.

    Raises:
        BeliefMatchError: a network does not fit.
    """
    frozen = Teacher(teacher or transfer.teacher.load(transfer.inputs), transfer.inputs)
    student = student or transfer.student.build(frozen)
    transfer = settle(transfer, frozen, student)
    return Rounds(transfer, start(transfer, frozen, student, fabric), frozen, fabric, execution)


class Rounds:
    """Does the rounds of one run. Captured or eager, they compute the same."""

    def __init__(
        self, transfer: Transfer, state: TransferState, teacher: Teacher, fabric: Fabric, execution: Execution
    ) -> None:
        self.transfer = self.as_given = transfer
        self.state = state
        self.teacher = teacher
        self.fabric = fabric
        self.execution = execution
        self.why_eager = "asked for" if execution == "eager" else why_not_captured(transfer, fabric)
        if fabric.device.type == "cpu":
            keep_freed_memory()
        self.to_do = transfer.rounds - state.round
        self.warmed_up = 0
        self.student_steps = 0
        self.captured: _CapturedRound | None = None
        self.compiled: list[CompiledForward] = []
        if execution == "compiled":
            self._compile()

    def describe(self) -> str:
        """Say in a few words how the rounds are done."""
        compiled = "compiled networks and losses, " if self.compiled else ""
        rounds = f"eager rounds ({self.why_eager})" if self.why_eager else "rounds captured as a CUDA graph"
        return compiled + rounds

    def compiling_pays(self, num_rounds: int | None = None) -> bool:
        """Tell, once a round was captured or warmed up, whether so many, or all to do, are enough to compile for."""
        return self.student_steps * (num_rounds or self.to_do) >= COMPILED_FROM

    def end(self) -> None:
        """Give both networks their own forward pass back."""
        for compiled in self.compiled:
            compiled.remove()
        self.compiled = []

    def next(self) -> dict[str, Tensor]:
        """Do one round and give its record, which the next round may overwrite."""
        if self.why_eager:
            return run_round(self.transfer, self.state, self.teacher, self.fabric)
        if self.warmed_up < NUM_WARM_UP:
            self.warmed_up += 1
            if self.warmed_up == NUM_WARM_UP:
                return self._warm_up_watched()
            may_compile = self.execution == "auto" and not self.compiled
            return self._warm_up_compiled() if may_compile and self.compiling_pays() else self._warm_up()
        if self.captured is None:
            try:
                self.captured = _CapturedRound(self.transfer, self.state, self.teacher, self.fabric)
            except Exception as error:
                # A network of the user's own can fail to be captured in any way.
                drop_gradients(self.state)
                self._fall_back(first_line(error))
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
        self.student_steps = len(record["student_loss"])
        return record

    def _warm_up_compiled(self) -> dict[str, Tensor]:
        """Compile both networks and the losses in an eager round, and step back if something cannot be."""
        logger.info("compiling both networks and the losses, which takes a minute or so and pays in a run this long")
        before = self._remember()
        try:
            self._compile()
            return self._warm_up()
        except Exception as error:
            # A network of the user's own can fail to be compiled in any way.
            self._step_back(*before)
            self.end()
            self.transfer = self.as_given
            self.execution = "captured"
            logger.info("they stay as they are, since they cannot be compiled: %s", first_line(error))
            return self._warm_up()

    def _warm_up_watched(self) -> dict[str, Tensor]:
        """Do an eager round in which nothing may wait for the device, and step back if something does.

        What a network draws on the host would be drawn once and replayed for ever, though nothing waits for it.
        """
        before, drawn = self._remember(), _host_randomness()
        try:
            with _no_waiting():
                record = self._warm_up()
        except Exception as error:
            # A network of the user's own can wait in any way.
            self._step_back(*before)
            self._fall_back(first_line(error))
            return self.next()
        if _host_randomness() != drawn:
            self._fall_back("something in it draws random numbers on the host")
        return record

    def _remember(self) -> tuple[Packed, Tensor, Tensor]:
        packed = copy.deepcopy(pack(self.state))
        return packed, torch.get_rng_state(), torch.cuda.get_rng_state(self.fabric.device)

    def _step_back(self, packed: Packed, host: Tensor, device: Tensor) -> None:
        unpack(self.state, packed)
        drop_gradients(self.state)
        torch.set_rng_state(host)
        torch.cuda.set_rng_state(device, self.fabric.device)

    def _fall_back(self, why: str) -> None:
        self.why_eager = why
        logger.info("rounds run eagerly from here on, since one cannot be captured: %s", why)
        for generator in _generators(self.state, self.fabric):
            # A capture that broke off leaves its generators waiting for it; their copies do not.
            generator.graphsafe_set_state(generator.clone_state())

    def _compile(self) -> None:
        transfer, teacher = self.transfer, self.teacher
        pairs = transfer.objective.taps or ()
        read = [*teacher.batch_norms] if transfer.source.reads_batch_norms else []
        if transfer.source.reads_features and teacher.feature_tap:
            read.append(teacher.feature_tap)
        self.compiled.append(CompiledForward(teacher.module, outputs={pair.teacher for pair in pairs}, inputs=read))
        self.compiled.append(CompiledForward(self.state.student, outputs={pair.student for pair in pairs}))
        self.transfer = replace(transfer, objective=Compiled.of(transfer.objective))


class _CapturedRound:
    """The device's part of a round as a CUDA graph. Whatever moves keeps its place in memory from now on."""

    def __init__(self, transfer: Transfer, state: TransferState, teacher: Teacher, fabric: Fabric) -> None:
        self.state = state
        self.graph = torch.cuda.CUDAGraph()
        for generator in generators_in(state):
            self.graph.register_generator_state(generator)
        before = state.student_passes, state.teacher_passes
        try:
            with torch.cuda.graph(self.graph, capture_error_mode="thread_local"):
                self.record = run_on_device(transfer, state, teacher, fabric)
        finally:
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


def _host_randomness() -> tuple[object, ...]:
    """Tell where Python's, NumPy's and torch's own draws on the host stand, to be compared."""
    _, keys, position, *_ = np.random.get_state(legacy=True)
    return random.getstate(), np.asarray(keys).tobytes(), position, torch.get_rng_state().numpy().tobytes()


def _generators(state: TransferState, fabric: Fabric) -> list[torch.Generator]:
    index = fabric.device.index or 0
    return [torch.cuda.default_generators[index], *generators_in(state)]
