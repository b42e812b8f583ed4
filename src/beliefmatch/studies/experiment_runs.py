"""Doing the runs of an experiment, each of which can be stopped and continued, and gathering what they found."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any, Literal

from beliefmatch.measurement.run import measure_run
from beliefmatch.measurement.transition import TransitionPlan
from beliefmatch.networks.examples import AbstractExamples
from beliefmatch.studies.experiments import Cell, Label
from beliefmatch.training.options import RunOptions
from beliefmatch.training.run import Follow, run
from beliefmatch.training.run_folder import RunFolder

Quantity = Literal["accuracy", "transition"]
"""Accuracy, or agreement, in percent; or the mean transition error."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the runs of one cell found, one value a seed; accuracies in percent."""

    cell: Label
    seeds: tuple[int, ...]
    values: tuple[float, ...]
    teacher_accuracies: tuple[float, ...]
    budget: float | None
    """Fraction of the published rounds that the runs did."""
    seconds: tuple[float, ...]
    curves: dict[str, Any] | None
    """Mean transition curves of the first seed, where they were measured."""

    @property
    def mean(self) -> float:
        """Mean over seeds."""
        return mean(self.values)

    @property
    def deviation(self) -> float | None:
        """Standard deviation over seeds; None for one seed."""
        return stdev(self.values) if len(self.values) > 1 else None


def complete(
    cells: Sequence[Cell],
    seeds: Sequence[int],
    folder: Path,
    test: AbstractExamples,
    *,
    transition: TransitionPlan | None,
    accelerator: Literal["auto", "cpu", "cuda", "mps"],
    follow: Follow,
) -> list[Found]:
    """Do what is not done yet: each run goes into a folder of its own, and a finished one is not done again.

    Args:
        cells: in an order in which none comes before what it starts from.
        seeds: of each cell.
        folder: that holds the folders of all runs.
        test: labelled examples to measure on.
        transition: how to walk for the mean transition error, which is then what is found; None: accuracy is.
        accelerator: kind of device.
        follow: see `Follow`.

    Raises:
        BeliefMatchError: see `training.run.run` and `measurement.run.measure_run`.
    """
    found = []
    for cell in cells:
        for seed in seeds:
            place = folder / cell.folder_name(seed)
            transfer = cell.transfer(seed, folder)
            options = RunOptions(folder=place, resume=True, accelerator=accelerator)
            with follow(place.name, transfer.rounds) as observer:
                run(transfer, options, observer=observer)
            if not _is_measured(RunFolder(place).read_measurement(), test, transition):
                measure_run(
                    RunFolder(place),
                    test,
                    transition=transition,
                    accelerator=accelerator,
                    trust_code=(),
                )
        quantity: Quantity = "accuracy" if transition is None else "transition"
        found.append(_gather(cell, seeds, folder, quantity))
    return found


def _is_measured(measured: dict[str, Any] | None, test: AbstractExamples, transition: TransitionPlan | None) -> bool:
    """Whether an earlier call measured on these very examples, and walked from them by this plan."""
    if measured is None or measured.get("fingerprint") != test.fingerprint:
        return False
    walked: dict[str, Any] = measured.get("transition") or {}
    return transition is None or (
        walked.get("guided_by"),
        walked.get("images"),
        walked.get("steps"),
        walked.get("step_size"),
        walked.get("seed"),
    ) == (transition.guided_by, transition.num_images, transition.num_steps, transition.step_size, transition.seed)


def _gather(cell: Cell, seeds: Sequence[int], folder: Path, quantity: Quantity) -> Found:
    runs = [RunFolder(folder / cell.folder_name(seed)) for seed in seeds]
    results = [each.read_result() for each in runs]
    measured = [each.read_measurement() or {} for each in runs]
    values = [
        each["transition"]["error"]["value"] if quantity == "transition" else 100 * each["student"]["top1"]["value"]
        for each in measured
    ]
    return Found(
        cell=cell,
        seeds=tuple(seeds),
        values=tuple(values),
        teacher_accuracies=tuple(100 * each["teacher"]["top1"]["value"] for each in measured),
        budget=results[0].budget,
        seconds=tuple(result.seconds for result in results),
        curves=measured[0].get("transition"),
    )
