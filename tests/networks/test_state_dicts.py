"""State dicts with entries that are no tensors: kept, restored and compared, or refused before anything is written."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from beliefmatch import load_model
from beliefmatch.cli import main
from beliefmatch.errors import NetworkError, WeightsError
from beliefmatch.networks.loading.weights import fit_weights
from beliefmatch.networks.state_dicts import are_equal, as_tensors
from beliefmatch.training.run_settings import fingerprint
from beliefmatch.training.student_files import load_student

pytestmark = pytest.mark.filterwarnings("ignore:.*(quantize|deprecated).*")

SOURCE = '''
import torch
from torch import nn

class Scaled(nn.Module):
    """A factor and a name that are no tensors."""
    def __init__(self, factor, kind):
        super().__init__()
        self.fc, self.extra = nn.Linear(64, 10), {"factor": factor, "kind": kind}
    def forward(self, x):
        return self.fc(x.flatten(1)) * self.extra["factor"]
    def get_extra_state(self):
        return self.extra
    def set_extra_state(self, state):
        self.extra = state

def make(factor=3.5, kind="a"):
    torch.manual_seed(0)
    return Scaled(factor, kind)

def make_unkept():
    return make(kind=nn.ReLU())

def make_plain():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))

def make_int8():
    return torch.ao.quantization.quantize_dynamic(make_plain().eval(), {nn.Linear}, dtype=torch.qint8)
'''


class Scaled(nn.Module):
    def __init__(self, state: Any) -> None:
        super().__init__()
        self.fc, self.state = nn.Linear(4, 2), state

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x)

    def get_extra_state(self) -> Any:
        return self.state

    def set_extra_state(self, state: Any) -> None:
        self.state = state


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "own.py").write_text(SOURCE)
    return tmp_path


def transfer(here: Path, recipe: str, teacher: str, student: str) -> int:
    own = f"{here}/own.py:"
    words = ["transfer", recipe, "--teacher", own + teacher, "--student", own + student, "--shape", "1", "8", "8"]
    words += ["--mean", "0", "--std", "1", "--rounds", "2", "--batch-size", "4", "--accelerator", "cpu"]
    return main([*words, "--display", "quiet", "--folder", str(here / "run")])


def test_extra_state_is_kept_and_restored() -> None:
    network, other = Scaled({"factor": 3.5, "names": ["a", "b"]}), Scaled({})
    fit_weights(other, as_tensors(network, role="student"), name="a")
    assert other.state == {"factor": 3.5, "names": ["a", "b"]}
    assert torch.equal(other.fc.weight, network.fc.weight)
    assert fingerprint(other) == fingerprint(network)
    other.state = {"factor": 3.6, "names": ["a", "b"]}
    assert fingerprint(other) != fingerprint(network)
    assert not are_equal(network.state, other.state)


@pytest.mark.parametrize("state", [{"layer": nn.ReLU()}, (1, 2), float("nan")], ids=["module", "tuple", "nan"])
def test_what_no_file_can_hold_is_refused(state: Any) -> None:
    with pytest.raises(
        NetworkError, match=r"the state of the student has _extra_state, a .*, which no file of weights"
    ):
        as_tensors(Scaled(state), role="student")


@pytest.mark.long
def test_a_student_with_extra_state_is_written_measured_and_exported(here: Path) -> None:
    assert transfer(here, "noise", "make", "make") == 0
    student = load_student(here / "run", trust_code=True)
    assert student.get_extra_state() == {"factor": 3.5, "kind": "a"}
    np.savez(here / "x.npz", inputs=np.random.default_rng(0).normal(size=(9, 1, 8, 8)))
    assert main(["measure", str(here / "run"), "--images", str(here / "x.npz"), "--trust-code"]) == 0
    for to in ("safetensors", "pt2"):
        assert main(["export", str(here / "run"), "--to", to, "--trust-code", "--display", "quiet", "--overwrite"]) == 0


def write_weights(here: Path, extra: Any, *, nested: bool) -> Path:
    """Write the weights of a network of the file here as others do, with extra state."""
    torch.manual_seed(5)
    linear = nn.Linear(64, 10)
    weights = {"fc.weight": linear.weight.detach(), "fc.bias": linear.bias.detach(), "_extra_state": extra}
    path = here / "weights.pt"
    torch.save({"state_dict": weights, "epoch": 3} if nested else weights, path)
    return path


@pytest.mark.parametrize("nested", [False, True])
def test_extra_state_in_a_file_of_others_is_restored(here: Path, *, nested: bool) -> None:
    path = write_weights(here, {"factor": 0.25, "kind": "theirs"}, nested=nested)
    network = load_model(f"{here}/own.py:make", weights=path, shape=(1, 8, 8))
    assert network.get_extra_state() == {"factor": 0.25, "kind": "theirs"}
    x = torch.randn(3, 1, 8, 8)
    weights = torch.load(path)["state_dict"] if nested else torch.load(path)
    expected = 0.25 * (x.flatten(1) @ weights["fc.weight"].T + weights["fc.bias"])
    torch.testing.assert_close(network(x), expected)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ((1, 2), r"weights\.pt holds _extra_state, a tuple, which cannot be restored: expected extra state of numbers"),
        ({"factor": torch.ones(2)}, r"holds _extra_state, a dict, which cannot be restored"),
        ({1: 2.0}, r"holds _extra_state, a dict, which cannot be restored"),
        (torch.ones(3), r"holds extra state that is damaged"),
        ({"other": 1.0}, r"does not fit the network: it takes no such extra state \(KeyError: 'factor'\)"),
    ],
    ids=["tuple", "tensor within", "numbers as names", "tensor", "refused by the network"],
)
def test_extra_state_that_cannot_be_restored_is_refused_by_name(here: Path, extra: Any, message: str) -> None:
    source = (here / "own.py").read_text()
    (here / "own.py").write_text(
        source.replace("self.extra = state", 'self.extra = {**state, "factor": state["factor"]}')
    )
    with pytest.raises(WeightsError, match=message) as caught:
        load_model(f"{here}/own.py:make", weights=write_weights(here, extra, nested=False), shape=(1, 8, 8))
    assert "\n" not in str(caught.value)


def test_a_student_that_no_file_can_hold_leaves_no_folder(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert transfer(here, "noise", "make_plain", "make_unkept") == 2
    assert "which no file of weights can hold" in capsys.readouterr().err
    assert not (here / "run").exists()


@pytest.mark.parametrize(("recipe", "status"), [("noise", 0), ("best", 0), ("zero_shot", 2)])
def test_int8_teachers_serve_where_no_gradient_is_followed(
    here: Path, recipe: str, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert transfer(here, recipe, "make_int8", "make_plain") == status
    assert ("no gradient reaches the inputs of the teacher" in capsys.readouterr().err) == (status == 2)
