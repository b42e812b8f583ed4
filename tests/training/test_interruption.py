"""A run that is asked to end writes a checkpoint of its last round first, and continues from it."""

import signal
import threading
from pathlib import Path

import pytest
import torch

from beliefmatch import RunOptions, Setup, recipes, run
from beliefmatch.networks.loading.given import GivenNetwork
from beliefmatch.students.given import GivenStudent
from beliefmatch.training.interruption import SIGNALS, deferring_signals
from tiny import make_conv_teacher, make_plain_conv

TRANSFER = recipes.noise(
    Setup(
        teacher=GivenNetwork.of(make_conv_teacher()),
        student=GivenStudent.of(make_plain_conv()),
        shape=(1, 8, 8),
        rounds=6,
        batch_size=4,
    )
)


def options_of(folder: Path, *, resume: bool = False) -> RunOptions:
    # No checkpoint but the last is due, so that one in between is the signal's.
    return RunOptions(folder=folder, resume=resume, accelerator="cpu", precision="32-true", checkpoint_every=100)


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: signal.Signals(number).name)
def test_a_signal_writes_a_checkpoint_from_which_the_run_continues(tmp_path: Path, number: int) -> None:
    before = [signal.getsignal(each) for each in SIGNALS]

    def send(completed: int, _row: object) -> None:
        if completed == 2:
            signal.raise_signal(number)

    code = KeyboardInterrupt if number == signal.SIGINT else SystemExit
    with pytest.raises(code) as raised:
        run(TRANSFER, options_of(tmp_path / "cut"), on_round=send)
    if number != signal.SIGINT:
        assert raised.value.code == 128 + number  # pyright: ignore[reportAttributeAccessIssue]
    assert [signal.getsignal(each) for each in SIGNALS] == before
    checkpoint = torch.load(tmp_path / "cut" / "checkpoint.pt", weights_only=True)
    assert checkpoint["state"]["round"] == 2
    assert run(TRANSFER, options_of(tmp_path / "cut", resume=True)).rounds == 6
    run(TRANSFER, options_of(tmp_path / "whole"))
    cut, whole = (tmp_path / name / "student.safetensors" for name in ("cut", "whole"))
    assert cut.read_bytes() == whole.read_bytes()


def test_a_second_ctrl_c_ends_at_once() -> None:
    with deferring_signals(num_processes=1) as interruption:
        signal.raise_signal(signal.SIGINT)
        assert interruption.signal == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_ignored_signals_and_the_callers_own_handlers_stay() -> None:
    heard: list[int] = []
    hangup = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    terminate = signal.signal(signal.SIGTERM, lambda number, _frame: heard.append(number))
    try:
        with deferring_signals(num_processes=1) as interruption:
            signal.raise_signal(signal.SIGHUP)
            signal.raise_signal(signal.SIGTERM)
            assert interruption.signal is None
        assert heard == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGHUP, hangup)
        signal.signal(signal.SIGTERM, terminate)


def test_nothing_is_deferred_in_several_processes_or_in_another_thread() -> None:
    with deferring_signals(num_processes=2):
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    seen: list[object] = []

    def look() -> None:
        with deferring_signals(num_processes=1):
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]
