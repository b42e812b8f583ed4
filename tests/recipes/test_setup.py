"""What every recipe is given, what it takes where nothing is given, and how its settings are called."""

import inspect
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from beliefmatch import NamedStudent, Network, Setup, Transfer
from beliefmatch.cli import main
from beliefmatch.errors import SettingsError
from beliefmatch.networks.taps import TapPair
from beliefmatch.optimisers import Adam, CosineSgd, StepwiseSgd
from beliefmatch.recipes import ALL, best, defaults_of, digits, few_shot, toy, zero_shot
from beliefmatch.sources.few_shot import FewShot
from beliefmatch.sources.unlabelled import Unlabelled

SETUP = Setup(
    teacher=Network(architecture="wide_resnet_40_2"),
    student=NamedStudent(architecture="wide_resnet_16_1", weights=Path("student.safetensors")),
    dataset="cifar10",
)
REAL: dict[str, dict[str, Any]] = {
    "few_shot": {"source": FewShot(images=Path("images.npz"))},
    "fine_tune": {"source": FewShot(images=Path("images.npz"))},
    "unlabelled": {"source": Unlabelled(images=Path("images.npz"))},
}


def make(name: str, setup: Setup) -> Transfer:
    return ALL[name](setup, **REAL.get(name, {}))


@pytest.mark.parametrize("name", ALL)
def test_what_a_setup_leaves_open_is_the_recipes(name: str) -> None:
    defaults = defaults_of(name)
    made = make(name, SETUP)
    assert (made.recipe, made.rounds, made.batch_size) == (name, defaults.rounds, defaults.batch_size)
    assert made.seed == 0


@pytest.mark.parametrize("name", ALL)
def test_what_a_setup_says_counts(name: str) -> None:
    made = make(name, replace(SETUP, rounds=7, batch_size=9, seed=3))
    assert (made.rounds, made.batch_size, made.seed) == (7, 9, 3)
    assert (made.teacher, made.student) == (SETUP.teacher, SETUP.student)


@pytest.mark.parametrize("name", ALL)
def test_every_recipe_has_the_same_shape(name: str) -> None:
    parameters = inspect.signature(ALL[name]).parameters
    assert next(iter(parameters)) == "setup"
    assert {"source", "optimiser"} <= set(parameters)
    assert set(parameters) <= {"setup", "source", "objective", "optimiser", "method", "freeze_batch_norm"}


def test_a_recipe_may_have_a_student_and_inputs_of_its_own() -> None:
    alone = replace(SETUP, student=None)
    assert digits(alone).student == NamedStudent(architecture="convnet_8")
    assert toy(alone).inputs.shape == (2,)
    assert digits(replace(alone, shape=(1, 8, 8))).inputs == digits(alone).inputs
    with pytest.raises(SettingsError, match=r"shape is \(64,\), but digits takes inputs of shape \(1, 8, 8\) alone"):
        digits(replace(alone, shape=(64,)))
    with pytest.raises(SettingsError, match="student is missing: best needs one"):
        best(alone)


@pytest.mark.parametrize("name", [name for name in ALL if defaults_of(name).inputs is None])
def test_a_shape_that_nobody_says_is_asked_for(name: str) -> None:
    with pytest.raises(
        SettingsError, match=r"^shape is missing: wide_resnet_40_2 does not .* such as dataset='cifar10'$"
    ):
        make(name, replace(SETUP, dataset=None, mean=(0.5,), std=(0.5,)))


def test_svhn_takes_as_many_rounds_as_its_paper() -> None:
    source = FewShot(images=Path("images.npz"), images_per_class=10)
    svhn = replace(SETUP, dataset="svhn")
    assert zero_shot(svhn).rounds == 50_000
    assert few_shot(svhn, source=source).rounds == 7325
    assert few_shot(replace(svhn, batch_size=50), source=source).rounds == 2 * 7325
    assert few_shot(svhn, source=replace(source, images_per_class=None)).rounds == 80_000
    assert few_shot(SETUP, source=source).rounds == 80_000


def test_taps_go_to_the_objective() -> None:
    assert zero_shot(SETUP).objective.taps is None
    wanted = (TapPair(teacher="a", student="b"), TapPair(teacher="c", student="c"))
    assert zero_shot(replace(SETUP, taps=("a=b", "c"))).objective.taps == wanted


@pytest.mark.parametrize(
    ("name", "optimiser", "setting"),
    [
        ("dafl", StepwiseSgd(learning_rate=-1.0), "optimiser.learning_rate"),
        ("dafl", StepwiseSgd(drop_factor=0.0), "optimiser.drop_factor"),
        ("dafl", StepwiseSgd(momentum=-1.0), "optimiser.momentum"),
        ("dafl", StepwiseSgd(drops=(1.5,)), "optimiser.drops"),
        ("dfq", CosineSgd(learning_rate=float("nan")), "optimiser.learning_rate"),
        ("dfq", CosineSgd(weight_decay=-1.0), "optimiser.weight_decay"),
        ("best", Adam(learning_rate=0.0, gradient_clip=5.0), "optimiser.learning_rate"),
        ("zero_shot", Adam(learning_rate=1.0, gradient_clip=0.0), "optimiser.gradient_clip"),
    ],
)
def test_an_error_names_the_setting_as_it_is_called(name: str, optimiser: Any, setting: str) -> None:
    with pytest.raises(SettingsError) as caught:
        ALL[name](SETUP, optimiser=optimiser)
    assert str(caught.value).startswith(f"{setting} must")


@pytest.mark.parametrize("name", ALL)
def test_the_command_names_the_flag_that_was_typed(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--teacher", "convnet_8", "--student", "convnet_4", "--student.weights", "w", "--folder", str(tmp_path)]
    words += ["--dataset", "cifar10"]
    words += ["--source.images", "x.npz"] if name in REAL else []
    for flag in ("--optimiser.learning-rate", "--batch-size", "--rounds"):
        assert main(["transfer", name, *words, flag, "-1"]) == 2
        assert f"error: {flag} must be above 0; got -1" in capsys.readouterr().err


@pytest.mark.parametrize("name", ALL)
def test_help_shows_the_recipes_own_defaults(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["transfer", name, "--help"]) == 0
    told = " ".join(capsys.readouterr().out.replace("│", "").split())
    defaults = defaults_of(name)
    assert f"Rounds, each of {defaults.each_round}. Default: {defaults.rounds}." in told
    assert f"Default: the recipe's. (default: {defaults.batch_size})" in told
    for flag in ("--teacher.architecture", "--student.architecture", "--seed", "--shape", "--optimiser.learning-rate"):
        assert f"{flag} " in told
    assert "--setup" not in told
