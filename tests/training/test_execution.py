"""How rounds are done. No CUDA device is needed: graphs are played by a stand-in that records what a round does
and undoes it, as capturing does no work, and does it again at each replay. benchmarks/check_gpu.py uses real ones.
"""

import copy
import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from beliefmatch.optimisers import Optimisation
from beliefmatch.training.execution import choice, compiled, cuda_graph
from beliefmatch.training.execution.base import AbstractExecution
from beliefmatch.training.execution.captured import CapturedExecution
from beliefmatch.training.execution.choice import choose_execution, why_not_captured
from beliefmatch.training.execution.cuda_graph import NUM_WARM_UP
from beliefmatch.training.execution.eager import EagerExecution
from beliefmatch.training.loop import compute_round
from beliefmatch.training.options import ExecutionName
from beliefmatch.training.state import pack, unpack
from tiny import begin, make_conv_teacher, tiny_transfer, vector_transfer

NUM_ROUNDS = NUM_WARM_UP + 3


class StandIn:
    """A CUDA graph of one round, without CUDA."""

    run: tuple[Any, ...]
    replaying = False
    metrics: dict[str, torch.Tensor]

    def register_generator_state(self, generator: torch.Generator) -> None:
        pass

    def replay(self) -> None:
        StandIn.replaying = True
        StandIn.metrics = compute_round(*StandIn.run)
        StandIn.replaying = False


@contextmanager
def record(_graph: StandIn, **_options: Any) -> Iterator[None]:
    before = copy.deepcopy(pack(StandIn.run[1])), torch.get_rng_state()
    yield
    passes = StandIn.run[1].student_passes, StandIn.run[1].teacher_passes
    unpack(StandIn.run[1], before[0])
    StandIn.run[1].student_passes, StandIn.run[1].teacher_passes = passes
    torch.set_rng_state(before[1])


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "why_not_captured", lambda *_: "")
    monkeypatch.setattr(cuda_graph, "_no_waiting", nullcontext)
    monkeypatch.setattr(cuda_graph, "_generators", lambda *_: [])
    # The device of these tests is the host, whose torch may well draw.
    monkeypatch.setattr(cuda_graph, "_host_randomness", random.getstate)
    stream = SimpleNamespace(wait_stream=lambda _: None)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: stream)
    monkeypatch.setattr(torch.cuda, "Stream", lambda: stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda _: nullcontext())
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda _: None)
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda *_: None)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", StandIn)
    monkeypatch.setattr(torch.cuda, "graph", record)


@pytest.fixture
def every_run_is_long(stand_in: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    monkeypatch.setattr(compiled, "COMPILED_FROM", 2 * NUM_ROUNDS)


def do_rounds(execution: str, num_rounds: int = NUM_ROUNDS) -> tuple[Any, AbstractExecution, list[float]]:
    run = begin(tiny_transfer(rounds=NUM_ROUNDS))
    StandIn.run = run
    state = run[1]

    def count(_module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if not StandIn.replaying:
            state.student_passes += len(inputs[0])

    state.student.register_forward_pre_hook(count)
    doing = choose_execution(execution, *run)  # pyright: ignore[reportArgumentType]
    for _ in range(num_rounds):
        doing.next()
    return state, doing, [float(parameter.detach().sum()) for parameter in state.student.parameters()]


def is_captured(execution: AbstractExecution) -> bool:
    return isinstance(execution, CapturedExecution) and execution.eager is None and execution.graph.captured is not None


@pytest.mark.usefixtures("stand_in")
def test_captured_rounds_do_what_eager_ones_do() -> None:
    eager, captured = do_rounds("eager"), do_rounds("auto")
    assert is_captured(captured[1])
    assert isinstance(eager[1], EagerExecution)
    assert captured[2] == eager[2]
    states = eager[0], captured[0]
    assert states[0].round == states[1].round == int(states[1].device_round) == NUM_ROUNDS
    assert states[0].student_passes == states[1].student_passes > 0
    rates = [state.optimisation.optimiser.param_groups[0]["lr"] for state in states]
    assert rates[0] == rates[1]


@pytest.mark.usefixtures("every_run_is_long")
def test_a_long_run_is_compiled_and_then_captured(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    eager = do_rounds("eager")
    compiled: list[Any] = []

    def same(function: Any, **_options: Any) -> Any:
        compiled.append(function)
        return function

    monkeypatch.setattr(torch, "compile", same)
    with caplog.at_level(logging.INFO):
        found = do_rounds("auto")
    assert len(compiled) == 3, "two networks and the losses"
    assert is_captured(found[1])
    assert "compiled" in found[1].describe()
    assert found[2] == eager[2]
    assert [line.getMessage() for line in caplog.records if "execution" in line.name] == [
        "compiling both networks and the losses, which takes a minute or so and pays in a run this long"
    ]


@pytest.mark.usefixtures("every_run_is_long")
@pytest.mark.parametrize("when", ["at once", "the second time", "in the first pass"])
def test_what_cannot_be_compiled_is_captured_as_it_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, when: str
) -> None:
    eager = do_rounds("eager")
    asked: list[Any] = []

    def fails(*_: Any) -> Any:
        raise RuntimeError("no compiler here\nand more")

    def compile_function(function: Any, **_options: Any) -> Any:
        asked.append(function)
        if when == "at once" or (when == "the second time" and len(asked) == 2):
            fails()
        return fails if when == "in the first pass" else function

    monkeypatch.setattr(torch, "compile", compile_function)
    with caplog.at_level(logging.INFO):
        found = do_rounds("auto")
    assert caplog.records[-1].getMessage() == "they stay as they are, since they cannot be compiled: no compiler here"
    assert is_captured(found[1])
    assert "compiled" not in found[1].describe()
    assert found[2] == eager[2]


@pytest.mark.usefixtures("every_run_is_long")
@pytest.mark.parametrize("done", [0, 1])
def test_what_is_left_of_a_run_decides_whether_it_is_compiled(done: int) -> None:
    transfer, state, teacher, fabric = begin(tiny_transfer(rounds=NUM_ROUNDS))
    state.round = done
    doing = choose_execution("auto", transfer, state, teacher, fabric)
    assert isinstance(doing, CapturedExecution)
    assert not doing.compiling_pays(10**9)
    doing.graph.student_steps = 2
    assert doing.compiling_pays(doing.rounds_left) == (done == 0)
    assert doing.compiling_pays(NUM_ROUNDS)


@pytest.mark.usefixtures("every_run_is_long")
def test_a_run_that_shall_be_captured_is_not_compiled() -> None:
    _, doing, _ = do_rounds("captured")
    assert is_captured(doing)
    assert "compiled" not in doing.describe()


@pytest.mark.usefixtures("stand_in")
def test_a_round_that_waits_for_the_device_is_undone_and_done_eagerly(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    eager = do_rounds("eager")
    entered: list[str] = []

    @contextmanager
    def waits() -> Iterator[None]:
        yield
        entered.append("waited")
        raise RuntimeError("called a synchronizing CUDA operation\nand more")

    monkeypatch.setattr(cuda_graph, "_no_waiting", waits)
    with caplog.at_level(logging.INFO):
        found = do_rounds("auto")
    assert entered == ["waited"]
    assert found[2] == eager[2]
    assert not is_captured(found[1])
    said = [line.getMessage() for line in caplog.records if "execution" in line.name]
    assert said == [
        "rounds run eagerly from here on, since one cannot be captured: called a synchronizing CUDA operation"
    ]


@pytest.mark.usefixtures("stand_in")
def test_a_watched_round_that_breaks_off_half_way_leaves_no_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    eager = do_rounds("eager")
    step, steps = Optimisation.step, []

    def breaks_off(optimisation: Optimisation, fabric: Any) -> torch.Tensor:
        steps.append(optimisation)
        # The first step of a round is the generator's, whose gradients are there by now.
        if len(steps) == 1:
            raise RuntimeError("called a synchronizing CUDA operation")
        return step(optimisation, fabric)

    @contextmanager
    def watched() -> Iterator[None]:
        with monkeypatch.context() as patch:
            patch.setattr(Optimisation, "step", breaks_off)
            yield

    monkeypatch.setattr(cuda_graph, "_no_waiting", watched)
    found = do_rounds("auto")
    assert len(steps) == 1
    assert "synchronizing" in found[1].describe()
    assert found[2] == eager[2]


class DropsLayers(nn.Module):
    """Leaves out a layer whenever Python's own random numbers say so."""

    def __init__(self) -> None:
        super().__init__()
        self.network = make_conv_teacher()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.network(x if random.random() < 0.5 else x.flip(-1))


@pytest.mark.usefixtures("stand_in")
def test_what_draws_on_the_host_is_not_replayed(caplog: pytest.LogCaptureFixture) -> None:
    found = []
    executions: tuple[ExecutionName, ...] = ("eager", "auto")
    for execution in executions:
        random.seed(0)
        run = begin(tiny_transfer(rounds=NUM_ROUNDS), student=DropsLayers())
        doing = choose_execution(execution, *run)
        with caplog.at_level(logging.INFO):
            records = [doing.next() for _ in range(NUM_ROUNDS)]
        found.append((doing, [float(record["student_loss"].sum()) for record in records]))
    assert not is_captured(found[1][0])
    assert "draws random numbers on the host" in caplog.text
    assert found[0][1] == found[1][1]


def test_draws_on_the_host_are_seen() -> None:
    for draw in (random.random, np.random.rand, lambda: torch.rand(())):
        before = cuda_graph._host_randomness()
        assert cuda_graph._host_randomness() == before
        draw()
        assert cuda_graph._host_randomness() != before


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize("when", ["before it begins", "as it ends"])
def test_a_capture_that_fails_changes_nothing(monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    eager = do_rounds("eager")

    @contextmanager
    def fails(graph: StandIn, **options: Any) -> Iterator[None]:
        if when == "as it ends":
            with record(graph, **options):
                yield
        raise RuntimeError("operation not permitted when stream is capturing")
        yield

    monkeypatch.setattr(torch.cuda, "graph", fails)
    found = do_rounds("auto")
    assert not is_captured(found[1])
    assert "not permitted" in found[1].describe()
    assert found[2] == eager[2]
    assert found[0].student_passes == eager[0].student_passes


def test_why_rounds_are_eager_is_said() -> None:
    transfer, state, teacher, fabric = begin(vector_transfer())
    assert "CUDA" in why_not_captured(transfer, fabric)
    assert "CUDA" in choose_execution("auto", transfer, state, teacher, fabric).describe()
    assert "asked for" in choose_execution("eager", transfer, state, teacher, fabric).describe()


def test_the_device_counts_rounds_as_the_host_does() -> None:
    state, doing, _ = do_rounds("eager")
    assert int(state.device_round) == state.round == NUM_ROUNDS
    assert_close(doing.next()["student_loss"].isfinite().all(), torch.tensor(data=True))
