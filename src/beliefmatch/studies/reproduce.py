"""One experiment of the paper from start, or from where it was stopped, to its table."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from beliefmatch.data.images import read_examples
from beliefmatch.errors import ExamplesError, SettingsError
from beliefmatch.measurement.transition import TransitionPlan
from beliefmatch.networks.examples import AbstractExamples
from beliefmatch.networks.loading.network import Network
from beliefmatch.networks.teacher import Teacher
from beliefmatch.recipes.budget import scaled
from beliefmatch.recipes.toy import NOTEBOOK_ROUNDS, NUM_ROUNDS
from beliefmatch.runs.atomic import make_folder, write_bytes, write_json
from beliefmatch.runs.folder import RunFiles
from beliefmatch.sources.few_shot import FewShot
from beliefmatch.studies import published
from beliefmatch.studies.experiment_runs import Found, complete
from beliefmatch.studies.experiments import Cell, Experiment, Label, Setup, cells_of, name_of
from beliefmatch.studies.figures import write_figure2, write_transitions
from beliefmatch.studies.reproduction_table import markdown, plain
from beliefmatch.studies.toy import run_toy
from beliefmatch.training.options import RunOptions
from beliefmatch.training.run import Follow

TITLES: dict[Experiment, str] = {
    "table1": "Table 1: CIFAR-10 test accuracy",
    "figure2": "Figure 2: test accuracy against real images per class",
    "mte": "Mean transition error, the student guides",
    "svhn": "SVHN test accuracy",
}


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """What came out: the table as text, and where everything lies."""

    table: str
    found: list[Found]
    folder: Path


def reproduce(
    experiment: Experiment,
    setup: Setup,
    *,
    images: Path,
    seeds: Sequence[int],
    folder: Path,
    transition: TransitionPlan,
    accelerator: Literal["auto", "cpu", "cuda", "mps"],
    follow: Follow,
) -> Reproduction:
    """Do the runs of an experiment that are not done yet, and write its table and pictures.

    Args:
        experiment: which.
        setup: teachers, images to train baselines on, budget.
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
        raise SettingsError("name at least one seed: --seeds 0 1 2")
    cells = cells_of(experiment, setup)
    test = read_examples(images)
    test.needed_labels()
    if experiment == "mte" and len(test) < transition.num_images:
        raise ExamplesError(
            f"{transition.num_images} walks begin from as many images; {images} has {len(test)}: --transition-images "
            f"{len(test)} at most, and fewer where the networks do not agree"
        )
    _check(cells, seeds[0], folder, test)
    make_folder(folder)
    found = complete(
        cells,
        seeds,
        folder,
        test,
        transition=transition if experiment == "mte" else None,
        accelerator=accelerator,
        follow=follow,
    )
    quantity = "transition" if experiment == "mte" else "accuracy"
    table = markdown(found, title=TITLES[experiment], quantity=quantity, remarks=_remarks(experiment, setup))
    if experiment == "figure2":
        write_figure2(folder / "figure2.png", found)
    if experiment == "mte":
        write_transitions(folder / "transitions.png", found)
    return _write(table, found, folder, experiment=experiment)


def _check(cells: Sequence[Cell], seed: int, folder: Path, test: AbstractExamples) -> None:
    """Find before the first run what would stop one after hours: a teacher that cannot be loaded, images too few."""
    transfers = [cell.transfer(seed, folder) for cell in cells]
    teachers = {each.teacher: Teacher(each.teacher.load(each.inputs), each.inputs) for each in transfers}
    for teacher in teachers.values():
        test.check_fit(teacher.spec, teacher.num_classes)
    sources = [(each.source, teachers[each.teacher]) for each in transfers if isinstance(each.source, FewShot)]
    # All read one file, and where there are images enough for the most demanding there are enough for all.
    if sources:
        source, teacher = max(sources, key=lambda pair: pair[0].images_per_class or 0)
        source.read(teacher.spec, teacher.num_classes)


def reproduce_toy(
    *, seeds: Sequence[int], folder: Path, rounds: int | None, budget: float, follow: Follow
) -> Reproduction:
    """Do the toy experiment for each seed, where it is not done yet, and write its table.

    Raises:
        BeliefMatchError: see `beliefmatch.studies.toy.run_toy`.
    """
    if not seeds:
        raise SettingsError("name at least one seed: --seeds 0 1 2")
    rounds = scaled(NUM_ROUNDS, budget) if rounds is None else rounds
    places = [folder / f"toy_seed{seed}" for seed in seeds]
    results = []
    for place, seed in zip(places, seeds, strict=True):
        options = RunOptions(folder=place, resume=True, accelerator="cpu")
        with follow(place.name, rounds) as observer:
            results.append(run_toy(options, seed=seed, rounds=rounds, observer=observer))
    found = Found(
        cell=Label(row="toy", method="agreement over [-3, 3] x [-3, 3]", published=()),
        seeds=tuple(seeds),
        values=tuple(100 * each.agreement for each in results),
        teacher_accuracies=tuple(100 * each.teacher_accuracy for each in results),
        budget=rounds / NUM_ROUNDS,
        seconds=tuple(RunFiles(place).read_result().seconds for place in places),
        curves=None,
    )
    remarks = [
        f"The notebook prints no agreement; its teacher had {published.TOY_TEACHER} %, and its text says that the "
        "boundaries became indistinguishable, isolated pockets included.",
        f"Budget 1 stands for our {NUM_ROUNDS} rounds; the notebook takes {NOTEBOOK_ROUNDS}, since its points begin in "
        "a corner of the square.",
        "Pictures: toy.png and toy.gif in the folder of each seed.",
    ]
    table = markdown([found], title="Toy: agreement in the plane", quantity="accuracy", remarks=remarks)
    return _write(table, [found], folder, experiment="toy")


def _write(table: str, found: list[Found], folder: Path, *, experiment: str) -> Reproduction:
    write_bytes(folder / "table.md", table.encode())
    write_json(folder / "table.json", {"experiment": experiment, "cells": plain(found)})
    return Reproduction(table=table, found=found, folder=folder)


def parse_teachers(texts: Sequence[str]) -> dict[str, Network]:
    """Read ARCHITECTURE=FILE, each a Wide ResNet, into networks by depth and factor, such as 40-2.

    Raises:
        SettingsError: a text is not of this form.
    """
    teachers = {}
    for text in texts:
        architecture, _, file = text.partition("=")
        parts = architecture.split("_")
        if parts[:2] != ["wide", "resnet"] or len(parts) < 4 or not file:
            raise SettingsError(f"{text!r} names no teacher; expected such as wide_resnet_40_2=FILE")
        teachers[f"{parts[2]}-{parts[3]}"] = Network(architecture=architecture, weights=Path(file))
    return teachers


def parse_pairs(texts: Sequence[str] | None) -> tuple[tuple[str, str], ...] | None:
    """Read TEACHER:STUDENT, such as 40-2:16-1; None stays None.

    Raises:
        SettingsError: a text is not of this form.
    """
    if texts is None:
        return None
    pairs = []
    for text in texts:
        teacher, _, student = text.partition(":")
        if not all(len(part.split("-")) == 2 for part in (teacher, student)):
            raise SettingsError(f"{text!r} names no pair; expected such as 40-2:16-1")
        pairs.append((teacher, student))
    return tuple(pairs)


def _remarks(experiment: Experiment, setup: Setup) -> list[str]:
    remarks = ["The last iterate of each run, mean and standard deviation over seeds."]
    if setup.share != 1:
        remarks.append(f"Budget: ours did {setup.share:.3g} of the paper's rounds; the published numbers did all.")
    if not setup.train_images:
        remarks.append("No real images to train on were given, so the baselines that need them were left out.")
    if experiment == "table1":
        with_data = "; ".join(
            f"{name_of(pair)}: teacher {row.teacher:.2f} %, student {row.student_with_data:.2f} %"
            for pair, row in published.TABLE1.items()
        )
        remarks.append(f"The paper's networks trained on all data: {with_data}.")
        missing = [name_of(p) for p in setup.pairs or published.TABLE1 if p[0] not in setup.teachers]
        if missing:
            remarks.append(f"Left out, since no teacher was given: {'; '.join(missing)}.")
    if experiment == "svhn":
        remarks.append(
            f"The paper's networks trained on all data: teacher {published.SVHN_TEACHER:.2f} %, student "
            f"{published.SVHN_STUDENT_WITH_DATA:.2f} %."
        )
    return remarks
