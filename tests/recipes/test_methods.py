"""Recipes of the field's methods: the settings that their papers or benchmarks print, and a short run of each."""

import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from beliefmatch import NamedStudent, Network, RunOptions, Setup, load_student, run
from beliefmatch.cli import main
from beliefmatch.cli.transfer import RECIPES_HELP
from beliefmatch.objectives.belief_matching import BeliefMatching
from beliefmatch.optimisers import AbstractOptimiser, CosineSgd, StepwiseSgd
from beliefmatch.recipes import ALL, cmi, dafl, deep_inversion, dfad, dfq, fast, few_shot, nayer, noise, unlabelled
from beliefmatch.recipes.stored import SETTINGS_TYPES
from beliefmatch.runs.serialisation import from_json, to_json
from beliefmatch.sources.cmi import Cmi
from beliefmatch.sources.dafl import Dafl
from beliefmatch.sources.deep_inversion import DeepInversion
from beliefmatch.sources.dfad import Dfad
from beliefmatch.sources.dfq import Dfq
from beliefmatch.sources.fast import Fast
from beliefmatch.sources.few_shot import FewShot
from beliefmatch.sources.inversion_loss import InversionLossWeights
from beliefmatch.sources.nayer import Nayer
from beliefmatch.sources.noise import Noise
from beliefmatch.sources.unlabelled import Unlabelled
from beliefmatch.training.transfer import Transfer
from tiny import named

PAIR = Setup(
    teacher=Network(architecture="wide_resnet_40_2"),
    student=NamedStudent(architecture="wide_resnet_16_1"),
    dataset="cifar10",
)
TINY = Setup(
    teacher=Network(architecture=named("make_conv_teacher")),
    student=NamedStudent(architecture=named("make_dropout_student")),
    shape=(1, 8, 8),
    batch_size=4,
)
IMAGES = Path(__file__).parents[1] / "contract" / "images.npz"
GENERATOR = f"{Path(__file__).parents[1] / 'contract' / 'small_generator.py'}:make"
MADE: dict[str, Any] = {"noise_size": 6, "generator": GENERATOR, "student_steps": 2}

SOFT = BeliefMatching(divergence="kl", temperature=20.0, divergence_weight=400.0)


@pytest.mark.parametrize(
    ("recipe", "rounds", "batch_size", "optimiser", "objective"),
    [
        (dafl, 240_000, 256, StepwiseSgd(drops=(0.4, 0.8), drop_factor=0.1), BeliefMatching()),
        (dfad, 25_000, 256, StepwiseSgd(drops=(0.2, 0.4), drop_factor=0.1), BeliefMatching(divergence="l1")),
        (dfq, 8_000, 256, CosineSgd(), SOFT),
        (deep_inversion, 200, 256, CosineSgd(), SOFT),
        (cmi, 200, 128, CosineSgd(), SOFT),
        (fast, 200, 256, CosineSgd(learning_rate=0.2), SOFT),
        (nayer, 300, 512, CosineSgd(learning_rate=0.2), SOFT),
        (noise, 8_000, 256, CosineSgd(), SOFT),
    ],
)
def test_runs_are_as_long_as_published_or_usual(
    recipe: Callable[..., Transfer],
    rounds: int,
    batch_size: int,
    optimiser: AbstractOptimiser,
    objective: BeliefMatching,
) -> None:
    transfer = recipe(PAIR)
    assert (transfer.rounds, transfer.batch_size) == (rounds, batch_size)
    assert (transfer.student_optimiser, transfer.objective) == (optimiser, objective)
    assert transfer.usual_rounds == rounds
    made = recipe(replace(PAIR, rounds=7))
    assert (made.rounds, made.usual_rounds) == (7, rounds)


def test_terms_are_as_published() -> None:
    agreed: Any = {"adversarial_where": "agreed"}
    assert Dafl().terms == InversionLossWeights(one_hot=0.05, balance=5 / math.log(10), activation=0.1)
    assert Dfad().terms == InversionLossWeights(adversarial=1.0, divergence="l1", student_mode="train")
    assert Dfq().terms == InversionLossWeights(adversarial=1.0, statistics=1.0, one_hot=1.0, balance=20.0)
    assert Fast().terms == InversionLossWeights(adversarial=1.1, statistics=10.0, one_hot=0.4, **agreed)
    assert Nayer().terms == InversionLossWeights(adversarial=1.33, statistics=10.0, one_hot=0.5, **agreed)
    assert Cmi().terms == InversionLossWeights(adversarial=0.5, statistics=1.0, one_hot=1.0, **agreed)
    assert (Cmi().contrast, Cmi().contrast_temperature) == (0.8, 0.1)
    assert DeepInversion().terms == InversionLossWeights(
        adversarial=1.0, divergence="js", statistics=10.0, one_hot=1.0, total_variation=2.5e-5, l2=3e-8
    )


def test_images_are_cropped_and_mirrored_where_the_data_set_was() -> None:
    def chosen(setup: Setup, source: Fast = Fast()) -> Any:
        return fast(setup, source=source).source

    assert chosen(PAIR).augmentation == "crop_flip"
    assert chosen(replace(PAIR, dataset="svhn")).augmentation == "none"
    assert chosen(replace(PAIR, shape=(1, 28, 28))).augmentation == "none"
    assert chosen(PAIR, Fast(augmentation="none")).augmentation == "none"
    for transfer in (unlabelled(PAIR, source=Unlabelled(images=IMAGES)), few_shot(PAIR, source=FewShot(images=IMAGES))):
        source: Any = transfer.source
        assert source.augmentation == "crop_flip"


SHORT: dict[str, Any] = {
    "dafl": Dafl(**MADE),
    "dfad": Dfad(**MADE),
    "dfq": Dfq(**MADE),
    "deep_inversion": DeepInversion(making_steps=2, student_steps=2),
    "cmi": Cmi(**MADE, making_steps=2),
    "fast": Fast(**MADE, making_steps=2, warm_up=2),
    "nayer": Nayer(**MADE, making_steps=2, warm_up=2),
    "noise": Noise(student_steps=2),
    "unlabelled": Unlabelled(images=IMAGES),
}


@pytest.mark.parametrize("name", SHORT)
def test_a_short_run_ends_with_a_student(name: str, tmp_path: Path) -> None:
    transfer = ALL[name](replace(TINY, rounds=2), source=SHORT[name])
    assert from_json(json.loads(json.dumps(to_json(transfer))), Transfer, choices=SETTINGS_TYPES) == transfer
    run(transfer, RunOptions(folder=tmp_path / "run", accelerator="cpu"))
    assert load_student(tmp_path / "run", trust_code=True)(torch.randn(3, 1, 8, 8)).shape == (3, 10)


@pytest.mark.parametrize("name", ["dfq", "nayer"])
def test_a_run_that_was_cut_short_continues_bit_for_bit(name: str, tmp_path: Path) -> None:
    transfer = ALL[name](replace(TINY, rounds=4), source=SHORT[name])

    def options(folder: str, *, resume: bool = False) -> RunOptions:
        return RunOptions(folder=tmp_path / folder, accelerator="cpu", checkpoint_every=2, resume=resume)

    run(transfer, options("whole"))

    def stop(rounds: int, _row: object) -> None:
        if rounds == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(transfer, options("cut"), on_round=stop)
    run(transfer, options("cut", resume=True))
    whole, cut = (load_student(tmp_path / folder, trust_code=True).state_dict() for folder in ("whole", "cut"))
    for key, tensor in whole.items():
        assert torch.equal(tensor, cut[key]), key


def test_the_command_takes_terms_by_name(tmp_path: Path) -> None:
    words = ["transfer", "dfq", "--teacher.architecture", named("make_mlp_teacher"), "--shape", "12", "--rounds", "2"]
    words += ["--student.architecture", named("make_mlp_student"), "--batch-size", "4", "--accelerator", "cpu"]
    words += ["--source.terms.balance", "3", "--source.terms.divergence", "js", "--optimiser.learning-rate", "0.01"]
    assert main([*words, "--folder", str(tmp_path / "run"), "--display", "quiet"]) == 0
    facts = json.loads((tmp_path / "run" / "run.json").read_text())["settings"]["transfer"]
    assert facts["source"]["terms"]["balance"] == 3
    assert facts["source"]["terms"]["one_hot"] == 1
    assert facts["student_optimiser"]["learning_rate"] == 0.01


def test_a_method_can_be_given_another_objective() -> None:
    objective = BeliefMatching(attention_weight=1.0)
    assert fast(PAIR, objective=objective).objective == objective
    assert replace(fast(PAIR), seed=3) == fast(replace(PAIR, seed=3))


def test_the_command_names_every_recipe() -> None:
    assert set(ALL) <= set(re.findall(r"\w+", RECIPES_HELP))
