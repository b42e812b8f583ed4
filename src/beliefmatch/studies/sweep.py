"""One sweep under every study: cells times seeds, each run in a folder of its own, measured, and gathered."""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Generic, TypeVar

from torch import nn

from beliefmatch.errors import CollapseError
from beliefmatch.measurement.run import Accelerator, measure_run
from beliefmatch.measurement.transition import TransitionPlan
from beliefmatch.networks.examples import AbstractExamples
from beliefmatch.runs.folder import TEACHER_FILE, RunFolder
from beliefmatch.runs.schema.measurement import MeasurementRecord
from beliefmatch.runs.schema.result import Result
from beliefmatch.studies.teacher_file import write_teacher
from beliefmatch.training.options import RunOptions
from beliefmatch.training.run import Follow, Observer, run
from beliefmatch.training.transfer import Transfer
from beliefmatch.training.trusted_code import code_named_in

logger = logging.getLogger(__name__)

Measured = TypeVar("Measured")
Measure = Callable[[RunFolder, Transfer], Measured]
"""Measures the finished run in a folder, which did this transfer."""


@dataclass(frozen=True, kw_only=True)
class Cell(Generic[Measured]):
    """One kind of run, of which a sweep does one for each seed."""

    name: str
    """What progress, log and tables call it."""
    transfer: Callable[[int], Transfer]
    """Builds the transfer of a seed."""
    folder: Callable[[int], Path]
    """Names the run folder of a seed."""
    options: RunOptions
    """Of each run, such as its device and whether it resumes; the folder in them does not count."""
    measure: Measure[Measured] | None = None
    """None: nothing is measured."""
    train_teacher: Callable[[int], nn.Module] | None = None
    """Trains the teacher of a seed, which is written into each run's folder before the run.
    None: the transfer names one that exists."""


@dataclass(frozen=True, kw_only=True)
class Outcome(Generic[Measured]):
    """What one run of a cell left."""

    cell: Cell[Measured]
    seed: int
    folder: RunFolder
    result: Result | None
    """As it stands after measuring; None where the run collapsed before its end."""
    measured: Measured | None
    """What the cell's measure returned; None where there is none, or no result."""
    teacher_seconds: float
    """Time to train the teacher; 0 where none was trained."""
    seconds: float
    """Wall time of all that this call did for the run, training its teacher and measuring included."""


@dataclass(frozen=True, kw_only=True)
class Row(Generic[Measured]):
    """What the runs of one cell left, one outcome a seed."""

    cell: Cell[Measured]
    outcomes: tuple[Outcome[Measured], ...]

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of the outcomes, in order."""
        return tuple(outcome.seed for outcome in self.outcomes)

    def values(self, quantity: str) -> list[float]:
        """Return a number of the results, such as student_accuracy, of each run that has it."""
        return result_values([outcome.result for outcome in self.outcomes], quantity)


def sweep(
    cells: Sequence[Cell[Measured]],
    seeds: Sequence[int],
    *,
    follow: Follow | None = None,
    report: Callable[[Outcome[Measured]], None] | None = None,
    skip_collapsed: bool = False,
) -> list[Row[Measured]]:
    """Run each cell with each seed, where that is not done yet, and gather what came out.

    Where a cell's options say resume, a finished run is not done again and one that was stopped continues.

    Args:
        cells: in an order in which none comes before what it starts from; each has a name of its own.
        seeds: of each cell.
        follow: gives an observer for each run; None: nobody observes.
        report: is called with each outcome as soon as it is there.
        skip_collapsed: whether the sweep logs a run that collapsed before its end and goes on; otherwise it raises.

    Returns:
        One row a cell.

    Raises:
        CollapseError: a run collapsed before its end, and such runs are not skipped.
        BeliefMatchError: see `training.run.run` and the cells' measures.
    """
    outcomes: dict[str, list[Outcome[Measured]]] = {cell.name: [] for cell in cells}
    # Seed by seed, so that a machine that grows slower does so for all cells.
    for seed in seeds:
        for cell in cells:
            outcome = _complete(cell, seed, follow, skip_collapsed=skip_collapsed)
            outcomes[cell.name].append(outcome)
            if report:
                report(outcome)
    return [Row(cell=cell, outcomes=tuple(outcomes[cell.name])) for cell in cells]


def followed_by(observer: Observer | None) -> Follow | None:
    """Return what lets one observer follow every run."""
    return None if observer is None else lambda _name, _rounds: nullcontext(observer)


def _complete(cell: Cell[Measured], seed: int, follow: Follow | None, *, skip_collapsed: bool) -> Outcome[Measured]:
    """Train the teacher, run and measure, each where it is not done yet."""
    began = time.perf_counter()
    folder, transfer = RunFolder(cell.folder(seed)), cell.transfer(seed)
    teacher_seconds = 0.0
    try:
        if train := cell.train_teacher:
            teacher_seconds = write_teacher(folder, lambda: train(seed), seed=seed, resume=cell.options.resume)
        _run(cell, transfer, folder, follow, name=f"{cell.name} seed {seed}")
    except CollapseError as error:
        if not skip_collapsed:
            raise
        # The others are still worth having, and tables and reports name this one.
        logger.error("%s seed %d came to no end: %s", cell.name, seed, error.seen)
    finally:
        folder.release()
    is_finished = folder.result.is_file()
    measured = cell.measure(folder, transfer) if cell.measure and is_finished else None
    return Outcome(
        cell=cell,
        seed=seed,
        folder=folder,
        result=folder.read_result() if is_finished else None,
        measured=measured,
        teacher_seconds=teacher_seconds,
        seconds=time.perf_counter() - began,
    )


def _run(cell: Cell[Any], transfer: Transfer, folder: RunFolder, follow: Follow | None, *, name: str) -> None:
    with follow(name, transfer.rounds) if follow else nullcontext() as observer:
        run(
            transfer,
            replace(cell.options, folder=folder.path),
            progress=False,
            on_round=observer,
            folder=folder,
            may_hold=(TEACHER_FILE,) if cell.train_teacher else (),
        )


def measure_on(
    examples: AbstractExamples,
    *,
    transition: TransitionPlan | None = None,
    resize: bool = False,
    accelerator: Accelerator = "auto",
) -> Measure[MeasurementRecord]:
    """Return what measures a run on examples, unless an earlier call did, and reads its measurement.json.

    See `measurement.run.measure_run` for the arguments and errors.
    """
    fingerprint = examples.fingerprint

    def measure(folder: RunFolder, transfer: Transfer) -> MeasurementRecord:
        found = folder.read_measurement()
        if found is None or not _is_measured(found, fingerprint, transition):
            measure_run(
                folder,
                examples,
                resize=resize,
                transition=transition,
                accelerator=accelerator,
                # The folder may name the code that the caller named for this run, and no other.
                trust_code=code_named_in(transfer),
            )
            found = folder.read_measurement()
        assert found is not None, "measuring writes measurement.json"
        return found

    return measure


def _is_measured(measurement: MeasurementRecord, fingerprint: str, plan: TransitionPlan | None) -> bool:
    """Whether an earlier call measured on these very examples, and walked from them by this plan."""
    if measurement.fingerprint != fingerprint:
        return False
    walked = measurement.transition
    names = ("guided_by", "num_images", "num_steps", "step_size", "seed")
    return plan is None or all(getattr(walked, name, None) == getattr(plan, name) for name in names)


def result_values(results: Sequence[Result | None], quantity: str) -> list[float]:
    """Return a number of each result that has it."""
    return [value for result in results if result and (value := getattr(result, quantity)) is not None]


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float | None]:
    """Return the mean of at least one value, and the sample standard deviation, or None for a single value."""
    return fmean(values), stdev(values) if len(values) > 1 else None


def format_spread(mean: float, deviation: float | None, digits: int) -> str:
    """Return a mean with its deviation, where there is one, as text."""
    return f"{mean:.{digits}f}" + ("" if deviation is None else f" +- {deviation:.{digits}f}")
