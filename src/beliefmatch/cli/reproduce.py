"""The command `reproduce`: an experiment of the paper, whole or in part."""

from pathlib import Path
from typing import Literal

import tyro

from beliefmatch.cli.printing import print_text
from beliefmatch.errors import SettingsError
from beliefmatch.setting_names import Setting
from beliefmatch.training.progress import Display, follow_runs, print_json


def reproduce(
    experiment: tyro.conf.Positional[Literal["table1", "figure2", "mte", "toy", "svhn"]],
    /,
    *,
    images: Path | None = None,
    train_images: Path | None = None,
    teachers: tuple[str, ...] = (),
    pairs: tuple[str, ...] | None = None,
    dataset: Literal["cifar10", "svhn"] = "cifar10",
    seeds: tuple[int, ...] = (0, 1, 2),
    rounds: int | None = None,
    rounds_fraction: float = 1.0,
    batch_size: int = 128,
    transition_images: int = 1000,
    transition_steps: int = 100,
    folder: Path | None = None,
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    display: Display = "full",
) -> None:
    """Run an experiment of the paper, whole or in part, and set the paper's numbers, others' and ours side by side.

    Repeat the command to continue: each single run is resumed, and a finished one is not done again.

    Args:
        experiment: table1, figure2, mte (mean transition error), toy, or svhn.
        images: File .npz of test images with labels; see beliefmatch measure. toy needs none.
        train_images: Likewise, to train the few-shot baselines on. Without it, only data-free runs are made.
        teachers: ARCHITECTURE=FILE, such as wide_resnet_40_2=wrn_40_2.safetensors.
        pairs: TEACHER:STUDENT by depth and factor, such as 40-1:16-1, instead of the experiment's own.
        dataset: What the teachers were trained on, for figure2 and mte.
        seeds: Of the runs; mean and deviation are over them.
        rounds: Rounds of each zero-shot run; all other runs are scaled alike.
        rounds_fraction: Fraction of the paper's rounds, where rounds are not given; of our 400 for the toy.
        batch_size: Images a batch.
        transition_images: Images that transition curves begin from.
        transition_steps: Gradient steps of a transition curve.
        folder: For the runs, the table and the pictures. Default: runs/EXPERIMENT.
        accelerator: Kind of device.
        display: Progress and table, warnings and errors alone, or JSON lines for scripts.
    """
    from beliefmatch.measurement.transition import TransitionPlan
    from beliefmatch.studies.experiments import ExperimentSettings, parse_pairs, parse_teachers
    from beliefmatch.studies.reproduce import reproduce, reproduce_toy
    from beliefmatch.studies.reproduction_table import describe

    if rounds is not None and rounds < 1:
        raise SettingsError(f"{Setting('rounds')} must be above 0; got {rounds}")
    folder = folder or Path("runs") / experiment

    if experiment == "toy":
        done = reproduce_toy(
            seeds=seeds, folder=folder, rounds=rounds, rounds_fraction=rounds_fraction, follow=follow_runs(display)
        )
    else:
        if images is None:
            raise SettingsError(f"{experiment} is measured on real images: name them with --images FILE.npz")
        settings = ExperimentSettings(
            teachers=parse_teachers(teachers),
            pairs=parse_pairs(pairs),
            train_images=train_images,
            dataset="svhn" if experiment == "svhn" else dataset,
            rounds=rounds,
            rounds_fraction=rounds_fraction,
            batch_size=batch_size,
        )
        done = reproduce(
            experiment,
            settings,
            images=images,
            seeds=seeds,
            folder=folder,
            transition=TransitionPlan(num_images=transition_images, num_steps=transition_steps),
            accelerator=accelerator,
            follow=follow_runs(display),
        )
    if display == "json":
        print_json({"experiment": experiment, "folder": str(folder), "cells": describe(done.found)})
    elif display == "full":
        print_text(done.table)
        print_text(f"everything is in {folder}")
