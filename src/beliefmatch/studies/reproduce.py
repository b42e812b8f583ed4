"""One experiment of the paper from start, or from where it was stopped, to its table."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from beliefmatch.data.images import read_examples
from beliefmatch.errors import ExamplesError, SettingsError
from beliefmatch.measurement.transition import TransitionPlan
from beliefmatch.networks.examples import AbstractExamples
from beliefmatch.networks.teacher import Teacher
from beliefmatch.recipes.toy import NOTEBOOK_ROUNDS, NUM_ROUNDS
from beliefmatch.runs.atomic import make_folder, write_bytes, write_json
from beliefmatch.runs.schema.measurement import MeasurementRecord
from beliefmatch.setting_names import Setting
from beliefmatch.sources.few_shot import FewShot
from beliefmatch.studies import published
from beliefmatch.studies.experiments import (
    Experiment,
    ExperimentSettings,
    Label,
    TableCell,
    cells_of,
    name_of,
    scale_rounds,
)
from beliefmatch.studies.figures import write_figure2, write_transitions
from beliefmatch.studies.reproduction_table import Found, Quantity, describe, gather, markdown
from beliefmatch.studies.sweep import Cell, Measure, measure_on, sweep
from beliefmatch.studies.toy import toy_cell
from beliefmatch.training.options import RunOptions
from beliefmatch.training.run import Follow

TITLES: dict[Experiment, str] = {
    "table1": "Table 1: CIFAR-10 test accuracy",
    "figure2": "Figure 2: test accuracy against real images per class",
    "mte": "Mean transition error, the student guides",
    "svhn": "SVHN test accuracy",
}
TOY_REMARKS = (
    f"The notebook prints no agreement; its teacher had {published.TOY_TEACHER} %, and its text says that the "
    "boundaries became indistinguishable, isolated pockets included.",
    f"The fraction is of our {NUM_ROUNDS} rounds; the notebook takes {NOTEBOOK_ROUNDS}, since its points begin in "
    "a corner of the square.",
    "Pictures: toy.png and toy.gif in the folder of each seed.",
)


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """What came out: the table as text, and where everything lies."""

    table: str
    found: list[Found]
    folder: Path


def reproduce(
    experiment: Experiment,
    settings: ExperimentSettings,
    *,
    images: Path,
    seeds: Sequence[int],
    folder: Path,
    transition: TransitionPlan,
    accelerator: Literal["auto", "cpu", "cuda", "mps"],
    follow: Follow,
) -> Reproduction:
    """Run what is not done yet of an experiment, and write its table and pictures.

    Args:
        experiment: which.
        settings: teachers, images to train baselines on, how much to do.
        images: file of labelled test examples, see `read_examples`.
        seeds: of each kind of run.
        folder: for all runs, table.md, table.json and pictures.
        transition: how to walk, for the mean transition error.
        accelerator: kind of device.
        follow: gives an observer for each run.

    Raises:
        BeliefMatchError: a file or a setting does not fit.
    """
    if not seeds:
        raise SettingsError(f"name at least one seed: {Setting('seeds', (0, 1, 2))}")
    cells = cells_of(experiment, settings)
    walks = transition if experiment == "mte" else None
    test = _read_test_images(images, walks)
    _check(cells, seeds[0], folder, test)
    make_folder(folder)
    measure = measure_on(test, transition=walks, accelerator=accelerator)
    options = RunOptions(folder=folder, resume=True, accelerator=accelerator)
    rows = sweep([_sweep_cell(cell, options, measure) for cell in cells], seeds, follow=follow)
    quantity: Quantity = "transition" if walks else "accuracy"
    found = [gather(cell.label, row, quantity) for cell, row in zip(cells, rows, strict=True)]
    table = markdown(found, title=TITLES[experiment], quantity=quantity, remarks=_remarks(experiment, settings))
    if experiment == "figure2":
        write_figure2(folder / "figure2.png", found)
    if walks:
        write_transitions(folder / "transitions.png", found)
    return _write(table, found, folder, experiment=experiment)


def _read_test_images(images: Path, walks: TransitionPlan | None) -> AbstractExamples:
    """Read labelled examples, and check that there are enough for the walks."""
    test = read_examples(images)
    test.needed_labels()
    if walks and len(test) < walks.num_images:
        raise ExamplesError(
            f"{walks.num_images} walks begin from as many images; {images} has {len(test)}: "
            f"{Setting('transition_images', len(test))} at most, and fewer where the networks do not agree"
        )
    return test


def _check(cells: Sequence[TableCell], seed: int, folder: Path, test: AbstractExamples) -> None:
    """Check before the first run what would stop one after hours: a teacher that cannot be loaded, images too few."""
    transfers = [cell.transfer(seed, folder) for cell in cells]
    teachers = {each.teacher: Teacher.load(each.teacher, each.inputs) for each in transfers}
    for teacher in teachers.values():
        test.check_fit(teacher.spec, teacher.num_classes)
    sources = [(each.source, teachers[each.teacher]) for each in transfers if isinstance(each.source, FewShot)]
    # All read one file, and where there are images enough for the most demanding there are enough for all.
    if sources:
        source, teacher = max(sources, key=lambda pair: pair[0].images_per_class or 0)
        source.read(teacher.spec, teacher.num_classes)


def _sweep_cell(cell: TableCell, options: RunOptions, measure: Measure[MeasurementRecord]) -> Cell[MeasurementRecord]:
    return Cell(
        name=cell.label.name,
        transfer=lambda seed: cell.transfer(seed, options.folder),
        folder=lambda seed: options.folder / cell.label.folder_name(seed),
        options=options,
        measure=measure,
    )


def reproduce_toy(
    *, seeds: Sequence[int], folder: Path, rounds: int | None, rounds_fraction: float, follow: Follow
) -> Reproduction:
    """Run the toy experiment for each seed, where it is not done yet, and write its table.

    Raises:
        BeliefMatchError: see `beliefmatch.studies.toy.run_toy`.
    """
    if not seeds:
        raise SettingsError(f"name at least one seed: {Setting('seeds', (0, 1, 2))}")
    rounds = scale_rounds(NUM_ROUNDS, rounds_fraction) if rounds is None else rounds
    options = RunOptions(folder=folder, resume=True, accelerator="cpu")
    (row,) = sweep(
        [toy_cell(options, folder=lambda seed: folder / f"toy_seed{seed}", rounds=rounds)], seeds, follow=follow
    )
    found = Found(
        label=Label(row="toy", method="agreement over [-3, 3] x [-3, 3]", published=()),
        seeds=row.seeds,
        values=tuple(100 * value for value in row.values("agreement")),
        teacher_accuracies=tuple(100 * value for value in row.values("teacher_accuracy")),
        rounds_fraction=rounds / NUM_ROUNDS,
        seconds=tuple(row.values("seconds")),
        curves=None,
    )
    table = markdown([found], title="Toy: agreement in the plane", quantity="accuracy", remarks=TOY_REMARKS)
    return _write(table, [found], folder, experiment="toy")


def _write(table: str, found: list[Found], folder: Path, *, experiment: str) -> Reproduction:
    write_bytes(folder / "table.md", table.encode())
    write_json(folder / "table.json", {"experiment": experiment, "cells": describe(found)})
    return Reproduction(table=table, found=found, folder=folder)


def _remarks(experiment: Experiment, settings: ExperimentSettings) -> list[str]:
    remarks = ["The last iterate of each run, mean and standard deviation over seeds."]
    if settings.fraction != 1:
        remarks.append(f"Ours did {settings.fraction:.3g} of the paper's rounds; the published numbers did all.")
    if not settings.train_images:
        remarks.append("No real images to train on were given, so the baselines that need them were left out.")
    if experiment == "table1":
        remarks += _table1_remarks(settings)
    if experiment == "svhn":
        remarks.append(
            f"The paper's networks trained on all data: teacher {published.SVHN_TEACHER:.2f} %, student "
            f"{published.SVHN_STUDENT_WITH_DATA:.2f} %."
        )
    return remarks


def _table1_remarks(settings: ExperimentSettings) -> list[str]:
    with_data = "; ".join(
        f"{name_of(pair)}: teacher {row.teacher:.2f} %, student {row.student_with_data:.2f} %"
        for pair, row in published.TABLE1.items()
    )
    missing = [name_of(pair) for pair in settings.pairs or published.TABLE1 if pair[0] not in settings.teachers]
    return [
        f"The paper's networks trained on all data: {with_data}.",
        *([f"Left out, since no teacher was given: {'; '.join(missing)}."] if missing else []),
    ]
