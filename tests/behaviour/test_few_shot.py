"""The few-shot baselines on real images: a teacher helps, and what a user can get wrong."""

import json
from pathlib import Path
from statistics import mean

import numpy as np
import pytest
from test_command import error_line

from beliefmatch import Network, RunFolder, RunOptions, measure_run, read_images, run
from beliefmatch.cli import main
from beliefmatch.recipes import few_shot
from beliefmatch.recipes.few_shot import Method
from beliefmatch.recipes.setup import Setup
from beliefmatch.sources.few_shot import FewShot
from beliefmatch.students.named import NamedStudent
from shared_folder import DATA, needs_data
from tiny import named

pytestmark = pytest.mark.usefixtures("forked_answers")

FASHION = DATA / "fashion_mnist"
IMAGES = Path(__file__).parents[1] / "contract" / "images.npz"


def accuracy(method: Method, seed: int, folder: Path, *, rounds: int) -> float:
    """Train on 25 examples of each class of Fashion-MNIST with the paper's settings; the last iterate."""
    transfer = few_shot(
        Setup(
            teacher=Network(
                architecture="lenet_5_bn", weights=DATA / "models" / "fashion_mnist" / "lenet5_bn_shitrit.safetensors"
            ),
            student=NamedStudent(architecture="lenet_5_half_bn"),
            shape=(1, 28, 28),
            mean=(0.5,),
            std=(0.5,),
            taps=("pool1_act",),
            rounds=rounds,
            seed=seed,
        ),
        source=FewShot(images=FASHION / "train.npz", images_per_class=25, augmentation="crop_flip"),
        method=method,
    )
    run(transfer, RunOptions(folder=folder, accelerator="cpu"))
    test = read_images(FASHION / "test.npz")
    assert test.labels is not None
    found = measure_run(RunFolder(folder), test.images[:2000], test.labels[:2000], accelerator="cpu")
    return found.student_accuracy or 0


METHODS: tuple[Method, Method] = ("kd_at", "no_teacher")


@needs_data
@pytest.mark.long
def test_kd_and_attention_beat_no_teacher_on_25_images_of_each_class(tmp_path: Path) -> None:
    taught, alone = (
        [accuracy(method, seed, tmp_path / f"{method}_{seed}", rounds=300) for seed in (0, 1, 2)] for method in METHODS
    )
    assert mean(taught) > mean(alone)
    # The seed with which it helps most, by five points.
    assert taught[2] > alone[2] + 0.02


TINY = (
    *("--teacher.architecture", named("make_conv_teacher"), "--student.architecture", named("make_dropout_student")),
    *("--shape", "1", "8", "8", "--source.images", str(IMAGES), "--batch-size", "8", "--accelerator", "cpu"),
)


def test_the_command_trains_on_a_recorded_subset_and_says_its_fraction(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    more = ("--source.images-per-class", "2", "--method", "kd", "--rounds", "4", "--display", "quiet")
    assert main(["transfer", "few_shot", *TINY, *more, "--folder", str(folder)]) == 0
    result = json.loads((folder / "result.json").read_text())
    assert (result["rounds"], result["rounds_fraction"]) == (4, pytest.approx(4 / 80_000))
    indices = json.loads((folder / "source.json").read_text())["indices"]
    with np.load(IMAGES) as file:
        assert np.bincount(file["labels"][indices]).tolist() == [2] * 10


@pytest.mark.parametrize("recipe", ["few_shot", "unlabelled"])
def test_no_card_calls_a_student_of_real_images_free_of_data(recipe: str, tmp_path: Path) -> None:
    folder = str(tmp_path / "run")
    assert main(["transfer", recipe, *TINY, "--rounds", "1", "--display", "quiet", "--folder", folder]) == 0
    assert main(["export", "--trust-code", folder, "--to", "safetensors", "--display", "quiet"]) == 0
    card = (tmp_path / "run" / "README.md").read_text()
    assert "trained to predict what another one, the teacher, does on real data" in " ".join(card.split())
    assert "no real example was read" not in card


def test_a_student_is_fine_tuned_from_its_weights(tmp_path: Path) -> None:
    start = tmp_path / "start"
    quiet = ("--display", "quiet")
    assert main(["transfer", "few_shot", *TINY, *quiet, "--rounds", "2", "--folder", str(start)]) == 0
    weights = str(start / "student.safetensors")
    more = ("--student.weights", weights, "--optimiser.learning-rate", "1e-12", "--rounds", "3", *quiet)
    tuned = tmp_path / "tuned"
    assert main(["transfer", "fine_tune", *TINY, *more, "--folder", str(tuned)]) == 0
    # With the statistics frozen and next to no learning rate the student stays what it was.
    first, second = (folder / "student.safetensors" for folder in (start, tuned))
    assert _largest_gap(first, second) < 1e-9
    result = RunFolder(tuned).read_result()
    assert (result.rounds, result.rounds_fraction) == (3, 0.01)


def _largest_gap(first: Path, second: Path) -> float:
    from safetensors.torch import load_file  # noqa: PLC0415

    one, two = load_file(first), load_file(second)
    return max(float((one[name].double() - two[name].double()).abs().max()) for name in one)


@pytest.mark.parametrize(
    ("recipe", "more", "message"),
    [
        ("few_shot", ("--source.images-per-class", "5"), "5 examples of each class were asked for; class 0 of"),
        ("few_shot", ("--source.images-per-class", "0"), "--source.images-per-class must be above 0; got 0"),
        ("few_shot", ("--minutes", "0"), "--minutes must be above 0"),
        ("few_shot", ("--source.images", "nowhere.npz"), "no file at"),
        ("few_shot", ("--shape", "1", "9", "9"), "images are 8x8, the network takes 9x9"),
        ("few_shot", ("--optimiser.drops", "1.5"), "--optimiser.drops must be fractions of all rounds"),
        ("fine_tune", (), "--student.weights are missing"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(
    recipe: str, more: tuple[str, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    assert main(["transfer", recipe, *TINY, *more, "--folder", str(folder)]) == 2
    assert message in error_line(capsys)
    assert not folder.exists()
