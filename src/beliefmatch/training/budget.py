"""How many rounds a machine does in a time: schedules need their number before the first one."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from lightning_fabric import Fabric

from beliefmatch.errors import BeliefMatchError, SettingsError
from beliefmatch.networks.placement import is_of_memory_format
from beliefmatch.runs.folder import RunFolder
from beliefmatch.setting_names import Setting
from beliefmatch.training.execution.base import AbstractExecution
from beliefmatch.training.execution.choice import begin_rounds
from beliefmatch.training.execution.cuda_graph import NUM_WARM_UP
from beliefmatch.training.execution.kernels import fastest_kernels
from beliefmatch.training.options import ExecutionName, RunOptions
from beliefmatch.training.preflight import preflight
from beliefmatch.training.prepare import prepare, resolve_fabric, with_micro_batch
from beliefmatch.training.transfer import Transfer

logger = logging.getLogger(__name__)

LEAST_ROUNDS = 5
"""Rounds that are timed, if the time is enough for them."""
TIMED_FRACTION, LONGEST = 0.1, 60.0
"""Fraction of the time that is spent on timing, and seconds that it takes at most. A source may do more in some rounds
than in others, so many are timed and their mean counts."""

FIRST_FRACTION, FIRST_SECONDS = 0.25, 10.0
"""Where timing is part of the time: if the first rounds take more than this fraction of it, and more than so many
seconds, no others are timed."""
END_SECONDS = 2.0
"""What comes besides rounds, opening and start, on a CPU: the preflight, checkpoints, curves and latencies."""
LONGER = 1.2
"""How many times its minutes a run is known to take before that is said."""
ESTIMATE_SECONDS = 20.0
"""Of which a tenth is spent on timing rounds whose number is given, so that the whole time can be told."""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """What was timed, and what follows from it."""

    rounds: int
    """So many fit the time, at least one."""
    seconds_per_round: float
    """Mean over the rounds that were timed."""
    start_seconds: float
    """To start the source and the optimisers."""
    opening_seconds: float = 0.0
    """What the first rounds took more than others do: a pool is warmed up, kernels are chosen, a graph is captured."""
    device: str
    """Kind of device: cpu, cuda or mps."""
    threads: int
    """Of torch on the host."""

    @property
    def planned_seconds(self) -> float:
        """What a run of so many rounds takes: more than was asked for where not even one fits."""
        return self.start_seconds + self.opening_seconds + self.rounds * self.seconds_per_round


def choose_rounds(transfer: Transfer, options: RunOptions, *, began: float | None = None) -> Transfer:
    """Return a transfer with as many rounds as fit its minutes; without minutes it stays as it is.

    The number is chosen once, before the first round: a run that the folder holds keeps the one that it was begun with.

    Args:
        transfer: what to compute.
        options: where, and on what.
        began: when the minutes began, as `time.monotonic` has it. None: now.

    Raises:
        FolderError: the folder cannot be used.
        SettingsError: several devices are asked for.
        BeliefMatchError: a network does not fit.
    """
    if transfer.minutes is None:
        return transfer
    began, folder = time.monotonic() if began is None else began, RunFolder(options.folder)
    folder.check_usable(resume=options.resume)
    if folder.holds_run:
        kept = folder.read_run().settings.transfer.get("rounds")
        # What a damaged file holds instead is named where all settings are compared.
        return replace(transfer, rounds=kept) if isinstance(kept, int) else transfer
    return replace(transfer, rounds=time_run(transfer, options, transfer.minutes, began=began).rounds)


def time_run(transfer: Transfer, options: RunOptions, minutes: float | None, *, began: float) -> Timing:
    """Time some rounds of a run that is about to begin, and return how many it does.

    Args:
        transfer: what to time.
        options: kind of device, precision, micro-batch and execution.
        minutes: wall time of the whole run, with what came before and this timing. None: the transfer's own rounds, so
            that the time they take can be told.
        began: when that wall time began, as `time.monotonic` has it.

    Raises:
        SettingsError: minutes are given and several devices asked for.
        BeliefMatchError: a network does not fit.
    """
    if minutes is not None and options.devices > 1:
        raise SettingsError(f"{Setting('minutes')} are for one device: give {Setting('rounds')} for {options.devices}")
    wish = "to estimate the time" if minutes is None else f"to choose how many fit {minutes:g} minutes"
    logger.info("timing some rounds on this machine, %s", wish)
    # The run says what the loading of its networks has to say.
    with _quiet():
        seconds = ESTIMATE_SECONDS if minutes is None else 60 * minutes
        found = time_rounds(transfer, options, seconds, is_within=True)
    if minutes is None:
        return replace(found, rounds=transfer.rounds)
    before = time.monotonic() - began + found.start_seconds + found.opening_seconds + END_SECONDS
    found = replace(found, rounds=max(1, round((60 * minutes - before) / found.seconds_per_round)))
    if (seconds := before + found.rounds * found.seconds_per_round) > LONGER * 60 * minutes:
        logger.warning(
            "%g minutes are little for this: with loading and timing, %s will take about %.0f seconds",
            minutes,
            "one round" if found.rounds == 1 else f"{found.rounds:,} rounds",
            seconds,
        )
    return found


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave warnings out of the log."""
    log = logging.getLogger("beliefmatch")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def time_rounds(transfer: Transfer, options: RunOptions, seconds: float, *, is_within: bool = False) -> Timing:
    """Time some rounds of a transfer on networks of its own, which are thrown away, and return how many a time holds.

    Nothing is written, and torch's random state is left as it was. What a run does besides its rounds (logs, pictures,
    checkpoints) is not in it: two seconds or so on a CPU. Other work on the machine is.

    Args:
        transfer: what to time; its own number of rounds does not matter.
        options: kind of device, precision, micro-batch and execution.
        seconds: of wall time that a run shall take.
        is_within: whether the timing itself is part of this time. Where nothing is captured, long rounds are then timed
            once, and the first alone where it takes a quarter of the time.

    Raises:
        SettingsError: the time is not above 0, or several devices are asked for.
        BeliefMatchError: a network does not fit, or fails in a round.
    """
    if seconds <= 0 or options.devices > 1:
        raise SettingsError(
            f"rounds are timed for more than 0 seconds on one device; got {seconds} s, {options.devices} devices"
        )
    try:
        return _time_fastest(transfer, options, seconds, is_within=is_within)
    except BeliefMatchError:
        raise
    except Exception as error:
        # What fails in a network of the user's own is put in words where a run fails on it.
        preflight(prepare(transfer, options))
        if not is_of_memory_format(error):
            raise
        # In train mode alone: the preflight found that contiguous tensors serve.
        return _time_fastest(transfer, options, seconds, is_within=is_within, contiguous=True)


def _time_fastest(
    transfer: Transfer, options: RunOptions, seconds: float, *, is_within: bool, contiguous: bool = False
) -> Timing:
    """Time rounds as a run of so many seconds would do them."""

    def timed(transfer: Transfer, name: ExecutionName) -> tuple[Timing, bool]:
        return _time_execution(transfer, name, fabric, seconds, is_within=is_within, contiguous=contiguous)

    fabric = resolve_fabric(options)
    transfer = with_micro_batch(transfer, options)
    if options.execution != "auto":
        return timed(transfer, options.execution)[0]
    found, compiling_pays = timed(transfer, "captured")
    if compiling_pays:
        longer = replace(transfer, rounds=found.rounds)
        found, _ = timed(longer, "auto")
    return found


def _time_execution(
    transfer: Transfer, name: ExecutionName, fabric: Fabric, seconds: float, *, is_within: bool, contiguous: bool
) -> tuple[Timing, bool]:
    """Time one way to do rounds; return whether it would pay to compile for as many as were found, too."""
    with fastest_kernels(), torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        began = time.perf_counter()
        execution = begin_rounds(transfer, fabric, name, contiguous=contiguous)
        start_seconds = time.perf_counter() - began
        try:
            opening, per_round = _time_rounds(execution, fabric, seconds, is_within=is_within)
        finally:
            execution.close()
    found = Timing(
        rounds=max(1, round((seconds - start_seconds - opening) / per_round)),
        seconds_per_round=per_round,
        start_seconds=start_seconds,
        opening_seconds=opening,
        device=fabric.device.type,
        threads=torch.get_num_threads(),
    )
    return found, execution.compiling_pays(found.rounds)


def _time_rounds(
    execution: AbstractExecution, fabric: Fabric, seconds: float, *, is_within: bool
) -> tuple[float, float]:
    """Return what the first rounds took more than as many others, and the seconds of each of these."""
    began, num_opening, opening = time.perf_counter(), 0, 0.0
    limit = min(TIMED_FRACTION * seconds, LONGEST)
    is_brief = is_within and fabric.device.type != "cuda"
    # A single round may take about as long as the whole run is to.
    while num_opening <= NUM_WARM_UP and opening <= (limit if is_brief else seconds):
        execution.next()
        num_opening, opening = num_opening + 1, time.perf_counter() - began
    _wait(fabric)
    opening = time.perf_counter() - began
    if is_brief and opening > max(FIRST_FRACTION * seconds, FIRST_SECONDS):
        return 0.0, opening / num_opening
    num_least = 1 if is_brief else LEAST_ROUNDS
    began, count, spent = time.perf_counter(), 0, 0.0
    while spent < limit or (count < num_least and spent < seconds):
        execution.next()
        _wait(fabric)
        count, spent = count + 1, time.perf_counter() - began
    per_round = spent / count
    return max(0.0, opening - num_opening * per_round), per_round


def _wait(fabric: Fabric) -> None:
    if fabric.device.type == "cuda":
        torch.cuda.synchronize(fabric.device)
    elif fabric.device.type == "mps":
        torch.mps.synchronize()
