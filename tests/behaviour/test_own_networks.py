"""Networks of users with habits of their own: they work, or say in one line why not, before anything is written."""

from pathlib import Path

import numpy as np
import pytest
import torch
from test_command import assert_matches, error_line, transfer

from beliefmatch import load_model, load_student
from beliefmatch.cli import main
from beliefmatch.errors import NetworkError, TapError
from beliefmatch.networks.loading.network import make_network
from beliefmatch.networks.loading.python_file import make_own
from beliefmatch.networks.loading.unsaved_state import make_again
from beliefmatch.networks.taps import outputs_of
from odd_networks import odd


@pytest.mark.parametrize("student", ["make_tied", "make_inplace", "make_counting", "make_double", "make_bfloat16"])
@pytest.mark.parametrize("teacher", ["make_with_unused_head", "make_double"])
def test_odd_networks_run_to_their_end(tmp_path: Path, teacher: str, student: str) -> None:
    changed = {"teacher__architecture": odd(teacher), "student__architecture": odd(student)}
    assert transfer(tmp_path / "run", **changed) == 0
    assert load_student(tmp_path / "run", trust_code=True)(torch.zeros(2, 1, 8, 8)).shape == (2, 10)


@pytest.mark.parametrize(
    ("recipe", "changed", "message"),
    [
        ("digits", {"student__architecture": odd("make_asserting")}, "student does not take inputs .* colour only"),
        ("digits", {"teacher__architecture": odd("make_asserting")}, "teacher does not take inputs .* colour only"),
        (
            "digits",
            {"student__architecture": odd("make_flat_batch_norm"), "batch_size": 1},
            "a first round in train mode fails: ValueError: Expected more than 1 value per channel",
        ),
        (
            "digits",
            {"student__architecture": odd("make_flat_batch_norm"), "batch_size": 3, "micro_batch": 2},
            "a first round in train mode fails: ValueError: Expected more than 1 value per channel",
        ),
        (
            "zero_shot",
            {
                "teacher__architecture": odd("make_matrix"),
                "student__architecture": odd("make_matrix"),
                "shape": (2, 2, 2, 2),
            },
            "no generator fits inputs of shape",
        ),
        (
            "digits",
            {"teacher__architecture": odd("make_rounding")},
            "no gradient reaches the inputs of the teacher, which Adversarial follows: take a recipe whose inputs need",
        ),
        (
            "digits",
            {"student__architecture": odd("make_rounding")},
            "no gradient reaches the inputs of the student, which Adversarial follows",
        ),
        ("digits", {"optimiser__learning_rate": "nan"}, "--optimiser.learning-rate must be finite and below"),
        ("digits", {"source__temperature": "nan"}, "--source.temperature must be finite and below"),
        ("digits", {"optimiser__learning_rate": "1e39"}, "a first round in train mode fails"),
        ("digits", {"seed": 10**24}, "--seed must be finite and below"),
    ],
)
def test_what_cannot_train_is_told_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], recipe: str, changed: dict[str, object], message: str
) -> None:
    folder = tmp_path / "run"
    assert transfer(folder, recipe, **changed) == 2
    assert_matches(message, error_line(capsys))
    assert not folder.exists()


def test_no_micro_batch_is_left_over_that_batch_norm_cannot_take(tmp_path: Path) -> None:
    changed = {"student__architecture": odd("make_flat_batch_norm"), "batch_size": 9, "micro_batch": 4}
    assert transfer(tmp_path / "run", "digits", **changed) == 0


@pytest.mark.parametrize(("recipe", "changed"), [("noise", {}), ("best", {})])
def test_a_recipe_that_follows_no_gradient_takes_networks_without(
    tmp_path: Path, recipe: str, changed: dict[str, object]
) -> None:
    networks = {f"{role}.architecture": odd("make_rounding") for role in ("teacher", "student")}
    settings = networks | {"student.start": "fresh", "rounds": 1, "batch-size": 4, "source.student-steps": 1} | changed
    words = [str(word) for name, value in settings.items() for word in (f"--{name}", value)]
    assert (
        main(
            [
                "transfer",
                recipe,
                "--allow-untrained",
                *words,
                "--shape",
                "1",
                "8",
                "8",
                "--folder",
                str(tmp_path / "run"),
            ]
        )
        == 0
    )


def test_a_guide_without_gradients_is_refused_by_the_walk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "images.npz", images=np.zeros((2, 8, 8, 1), np.uint8))
    networks = {"teacher.architecture": odd("make_rounding"), "student.architecture": odd("make_double")}
    words = [word for name, value in networks.items() for word in (f"--{name}", value)]
    words += ["--shape", "1", "8", "8", "--images", str(tmp_path / "images.npz"), "--transition", "1"]
    words += ["--allow-untrained", "--student.allow-untrained"]
    assert main(["measure", *words, "--guided-by", "teacher"]) == 2
    assert_matches("no gradient reaches the inputs of the teacher, which leads .*--guided-by stu", error_line(capsys))


def test_a_file_may_import_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "layers_of_mine.py").write_text("import torch\nlayer = torch.nn.Linear(4, 2)\n")
    (tmp_path / "net_of_mine.py").write_text("def make():\n    from layers_of_mine import layer\n    return layer\n")
    assert isinstance(make_network(f"{tmp_path}/net_of_mine.py:make", in_channels=1, num_classes=2), torch.nn.Linear)


def test_an_error_in_the_users_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def make(:\n")
    with pytest.raises(NetworkError, match=r"broken.py cannot be imported: SyntaxError"):
        make_network(f"{tmp_path}/broken.py:make", in_channels=1, num_classes=2)


def test_a_tap_that_is_overwritten_in_place_is_refused() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(inplace=True), torch.nn.Linear(4, 2))
    with pytest.raises(TapError, match="output of module '0' is changed in place by what follows it"):
        outputs_of(network, torch.randn(2, 3), outputs=["0"])
    assert outputs_of(network, torch.randn(2, 3), outputs=["1"]).activations["1"].min() >= 0


def test_layers_without_a_size_are_named(tmp_path: Path) -> None:
    file = tmp_path / "lazy.py"
    file.write_text("from torch import nn\n\ndef make(): return nn.LazyLinear(10)\n")
    with pytest.raises(NetworkError, match="learn their size from the first input"):
        make_network(f"{file}:make", in_channels=1, num_classes=10)


RANDOM = """
import torch
from torch import nn
def random():
    return nn.Sequential(nn.Flatten(), nn.Linear(48, 10))
def half():
    network = random()
    nn.init.ones_(network[1].weight)
    return network
def loaded():
    network = random()
    network.load_state_dict(torch.load(r"{weights}", weights_only=True))
    return network
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    torch.save(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 10)).state_dict(), tmp_path / "weights.pt")
    path = tmp_path / "own.py"
    path.write_text(RANDOM.format(weights=tmp_path / "weights.pt"))
    return path


def test_a_function_that_loads_no_weights_is_refused(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shape = (3, 4, 4)
    for name, count in (("random", 2), ("half", 1)):
        with pytest.raises(
            NetworkError, match=f"own.py:{name} loads no weights.* {count} of 2 .* add allow_untrained=True"
        ):
            load_model(f"{own}:{name}", shape=shape)
        assert load_model(f"{own}:{name}", shape=shape, allow_untrained=True)
    state = torch.random.get_rng_state()
    with pytest.raises(NetworkError):
        make_again(lambda: make_own(f"{own}:missing"))
    assert torch.equal(torch.random.get_rng_state(), state)
    load_model(f"{own}:loaded", shape=shape)
    load_model(f"{own}:random", shape=shape, weights=own.with_name("weights.pt"))
    words = ["transfer", "noise", "--teacher", f"{own}:random", "--student", f"{own}:random", "--shape", "3", "4", "4"]
    words += ["--rounds", "1", "--batch-size", "2", "--folder", str(own.parent / "run")]
    assert main(words) == 2
    assert "loads no weights" in capsys.readouterr().err
    assert main([*words, "--allow-untrained"]) == 0
