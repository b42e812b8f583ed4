"""`beliefmatch reproduce` with one round a run: tables, pictures, and continuing what was stopped."""

import json
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from matplotlib.image import imread
from safetensors.torch import save_file
from test_command import error_line

from beliefmatch.cli import main
from beliefmatch.networks.loading.network import make_network
from beliefmatch.studies.experiments import ExperimentSettings, Label, cells_of, parse_teachers
from beliefmatch.studies.published import IMAGES_PER_CLASS, TABLE1

TINY = ("--rounds", "1", "--batch-size", "2", "--accelerator", "cpu", "--display", "quiet")


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A teacher, test images and training images, all of them noise."""
    folder = tmp_path_factory.mktemp("given")
    torch.manual_seed(0)
    save_file(
        make_network("wide_resnet_16_1", in_channels=3, num_classes=10).state_dict(), folder / "teacher.safetensors"
    )
    random = np.random.default_rng(0)
    for name, count in (("test", 20), ("train", 2000)):
        images = random.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
        np.savez(folder / f"{name}.npz", images=images, labels=np.arange(count) % 10)
    return folder


def words(given: Path, experiment: str, folder: Path, *more: str) -> list[str]:
    teacher = f"wide_resnet_16_1={given / 'teacher.safetensors'}"
    return [
        *("reproduce", experiment, "--images", str(given / "test.npz"), "--teachers", teacher),
        *("--pairs", "16-1:16-1", "--folder", str(folder), *TINY, *more),
    ]


@pytest.mark.long
def test_table1_stands_beside_the_papers_and_is_not_done_twice(given: Path, tmp_path: Path) -> None:
    command = words(given, "table1", tmp_path, "--seeds", "0", "1", "--train-images", str(given / "train.npz"))
    assert main(command) == 0
    table = (tmp_path / "table.md").read_text()
    assert "WRN-16-1 -> WRN-16-1 | zero-shot, fresh noise" in table
    assert "| KD+AT, M = 200 |" in table
    assert "| seeds | rounds fraction | teacher, % |" in table
    cells = json.loads((tmp_path / "table.json").read_text())["cells"]
    assert [len(cell["values"]) for cell in cells] == [2, 2, 2]
    assert cells[0]["rounds_fraction"] == pytest.approx(1 / 80_000)
    runs = sorted(path.name for path in tmp_path.iterdir() if path.is_dir())
    assert len(runs) == 6
    indices = [json.loads((tmp_path / run / "source.json").read_text())["indices"] for run in runs if "kd_at" in run]
    assert len(indices[0]) == 2000
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/student.safetensors")}
    assert main(command) == 0
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/student.safetensors")} == before
    assert (tmp_path / "table.md").read_text() == table


@pytest.mark.long
def test_a_seed_can_be_added_later(given: Path, tmp_path: Path) -> None:
    assert main(words(given, "svhn", tmp_path, "--seeds", "0")) == 0
    assert main(words(given, "svhn", tmp_path, "--seeds", "0", "1")) == 0
    (cell,) = json.loads((tmp_path / "table.json").read_text())["cells"]
    assert cell["seeds"] == [0, 1]
    assert cell["deviation"] is not None


@pytest.mark.long
def test_figure2_is_drawn(given: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("beliefmatch.studies.published.IMAGES_PER_CLASS", (10,))
    assert main(words(given, "figure2", tmp_path, "--seeds", "0", "--train-images", str(given / "train.npz"))) == 0
    cells = json.loads((tmp_path / "table.json").read_text())["cells"]
    assert [(cell["method"], cell["images_per_class"]) for cell in cells] == [
        ("zero-shot", None),
        ("no teacher", 10),
        ("KD+AT", 10),
        ("zero-shot, fine-tuned", 10),
        ("KD+AT", "all"),
    ]
    assert imread(tmp_path / "figure2.png").max() > 0


@pytest.mark.long
def test_figure2_of_two_pairs_has_a_panel_for_each(
    given: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("beliefmatch.studies.published.IMAGES_PER_CLASS", ())
    train = ("--train-images", str(given / "train.npz"), "--seeds", "0")
    assert main(words(given, "figure2", tmp_path, *train)) == 0
    (height, *_) = imread(tmp_path / "figure2.png").shape
    assert main(words(given, "figure2", tmp_path, *train, "--pairs", "16-1:16-1", "16-1:16-2")) == 0
    cells = json.loads((tmp_path / "table.json").read_text())["cells"]
    assert [cell["row"] for cell in cells] == 2 * ["WRN-16-1 -> WRN-16-1"] + 2 * ["WRN-16-1 -> WRN-16-2"]
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 4, (
        "those of the first pair are not done again"
    )
    assert imread(tmp_path / "figure2.png").shape[0] == 2 * height


@pytest.mark.parametrize("experiment", ["table1", "figure2"])
def test_what_the_baselines_lack_is_found_before_the_first_run(
    given: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], experiment: str
) -> None:
    few = tmp_path / "few.npz"
    with np.load(given / "train.npz") as file:
        np.savez(few, images=file["images"][:500], labels=file["labels"][:500])
    assert main(words(given, experiment, tmp_path / "new", "--train-images", str(few))) == 2
    assert "examples of each class were asked for; class 0" in error_line(capsys)
    second = ("--pairs", "16-1:16-1", "40-1:16-1", "--teachers", f"wide_resnet_16_1={given / 'teacher.safetensors'}")
    assert main(words(given, experiment, tmp_path / "new", *second, "wide_resnet_40_1=missing.pt")) == 2
    assert "missing.pt" in error_line(capsys)
    assert not (tmp_path / "new").exists()


@pytest.mark.long
def test_transition_errors_are_measured_and_drawn(given: Path, tmp_path: Path) -> None:
    walk = ("--transition-images", "1", "--transition-steps", "2")
    assert main(words(given, "mte", tmp_path, "--seeds", "0", *walk)) == 0
    (cell,) = json.loads((tmp_path / "table.json").read_text())["cells"]
    assert 0 <= cell["mean"] <= 1
    assert imread(tmp_path / "transitions.png").max() > 0
    further = ("--transition-images", "1", "--transition-steps", "3")
    assert main(words(given, "mte", tmp_path, "--seeds", "0", *further)) == 0
    (measured,) = tmp_path.glob("*/measurement.json")
    assert json.loads(measured.read_text())["transition"]["num_steps"] == 3, "an earlier walk is no answer"


def test_more_walks_than_images_are_found_before_the_first_run(
    given: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(given, "mte", tmp_path / "new", "--transition-images", "21")) == 2
    assert "has 20: --transition-images 20 at most" in error_line(capsys)
    assert not (tmp_path / "new").exists()


@pytest.mark.long
def test_the_toy_gets_a_table_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("beliefmatch.studies.toy.NUM_EPOCHS", 1)
    command = ["reproduce", "toy", "--rounds", "2", "--seeds", "0", "1", "--folder", str(tmp_path), "--display", "json"]
    assert main(command) == 0
    (cell,) = json.loads((tmp_path / "table.json").read_text())["cells"]
    assert (cell["seeds"], cell["rounds_fraction"]) == ([0, 1], 2 / 400)
    assert all(0 < value < 100 for value in cell["values"])
    assert (tmp_path / "toy_seed1" / "toy.gif").is_file()
    assert "The notebook prints no agreement" in (tmp_path / "table.md").read_text()


COUNTS: tuple[int | Literal["all"] | None, ...] = (None, *IMAGES_PER_CLASS, "all")


def test_runs_have_names_of_their_own() -> None:
    labels = [
        Label(row=row, method=method, images_per_class=count, published=())
        for row in ("WRN-40-2 -> WRN-16-1", "WRN-40-1 -> WRN-16-1")
        for count in COUNTS
        for method in ("KD+AT", "no teacher", "zero-shot, fine-tuned")
    ]
    assert len({label.folder_name(0) for label in labels}) == len(labels)


def test_all_runs_do_the_same_fraction_of_their_published_rounds() -> None:
    settings = ExperimentSettings(
        teachers=parse_teachers(["wide_resnet_40_2=x.pt"]),
        pairs=None,
        train_images=Path("train.npz"),
        dataset="cifar10",
        rounds=None,
        rounds_fraction=0.01,
        batch_size=2,
    )
    made = {cell.label.method: cell.transfer(0, Path()) for cell in cells_of("figure2", settings)}
    rounds = {method: (each.rounds, each.usual_rounds) for method, each in made.items()}
    assert rounds == {
        "zero-shot": (800, 80_000),
        "no teacher": (800, 80_000),
        "KD+AT": (800, 80_000),
        "zero-shot, fine-tuned": (3, 300),
    }


def test_the_papers_table_is_whole() -> None:
    assert len(TABLE1) == 6
    assert all(row.zero_shot[0].deviation is not None for row in TABLE1.values())
    assert sorted(len(row.zero_shot) for row in TABLE1.values()) == [2, 2, 2, 3, 3, 3], "DataFree has three pairs"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("reproduce", "table1"), "table1 is measured on real images: name them with --images"),
        (("reproduce", "table1", "--images", "x.npz"), "table1 needs a teacher: --teachers wide_resnet_16_2=FILE"),
        (("reproduce", "mte", "--images", "x.npz", "--teachers", "lenet=x"), "'lenet=x' names no teacher"),
        (("reproduce", "mte", "--images", "x.npz", "--pairs", "40"), "'40' names no pair"),
        (("reproduce", "toy", "--rounds-fraction", "0"), "--rounds-fraction must be above 0 and at most 1,000,000"),
        (("reproduce", "svhn", "--images", "x.npz", "--teachers", "wide_resnet_40_2=x"), "no file at x.npz"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main([*arguments, "--folder", str(tmp_path / "new")]) == 2
    assert message in error_line(capsys)
    assert not (tmp_path / "new").exists()
