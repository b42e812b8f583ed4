"""Code that makes another network in every call, whatever weights are loaded, is refused before a run begins."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from beliefmatch import GivenNetwork, RunOptions, compress, load_model
from beliefmatch.errors import NetworkError
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.unsaved_state import check_nothing_unsaved, make_again

SPEC = InputSpec(shape=(6,))


class Mixing(nn.Module):
    """A head of zeros behind a random matrix, which is kept in one way or another."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way, matrix = way, torch.randn(6, 16)
        self.head, self.scale, self.seen = nn.Linear(16, 5), 1.0, torch.randn(3)
        nn.init.zeros_(self.head.weight)
        self.register_buffer("scratch", torch.randn(4), persistent=False)
        match way:
            case "buffer":
                self.register_buffer("matrix", matrix, persistent=False)
            case "saved":
                self.register_buffer("matrix", matrix)
            case "plain":
                self.matrix = matrix
            case "layers":
                self.layers = [nn.Linear(6, 8), nn.Linear(8, 16)]
            case "registered":
                self.first = nn.Linear(6, 16)
                self.layers = [self.first]
            case "array":
                self.matrix = matrix.numpy()
            case "number":
                self.scale, self.matrix = float(torch.rand(())), torch.ones(6, 16)
            case "closure":
                self.function = functools.partial(lambda x, factor: x @ matrix * factor, factor=2)
            case "seeded":
                self.matrix = torch.randn(6, 16, generator=torch.Generator().manual_seed(0))

    def forward(self, x: Tensor) -> Tensor:
        if self.way == "closure":
            return self.head(self.function(x))
        if self.way in ("layers", "registered"):
            for layer in self.layers:
                x = layer(x)
            return self.head(x)
        return self.head(x @ torch.as_tensor(self.matrix) * self.scale)


def check(make: Callable[[], nn.Module]) -> None:
    check_nothing_unsaved(make(), make_again(make), SPEC, name="mine.py:make", role="student")


@pytest.mark.parametrize(
    ("way", "named"),
    [
        ("buffer", "0.scratch, 0.matrix, 0.seen, where"),
        ("plain", "0.scratch, 0.seen, 0.matrix, where"),
        ("layers", r"0.scratch, 0.seen, 0.layers\[0\].weight and 3 more, where"),
        ("array", "0.scratch, 0.seen, 0.matrix, where"),
        ("number", "0.scratch, 0.seen, 0.scale, where"),
        ("closure", "0.scratch, 0.seen, 0.function.matrix, where"),
    ],
)
def test_what_a_state_dict_does_not_hold_is_named(way: str, named: str) -> None:
    with pytest.raises(
        NetworkError, match=f"^mine.py:make makes another student each time.*: no state dict holds {named}"
    ):
        check(lambda: nn.Sequential(Mixing(way)))


@pytest.mark.parametrize("way", ["saved", "registered", "seeded"])
def test_others_pass_whatever_else_they_keep(way: str) -> None:
    check(lambda: nn.Sequential(Mixing(way)))


def test_nothing_random_is_drawn_and_the_network_stays_as_it_was() -> None:
    network, other = Mixing("plain"), Mixing("plain")
    before, state = torch.get_rng_state(), {name: each.clone() for name, each in network.state_dict().items()}
    with pytest.raises(NetworkError):
        check_nothing_unsaved(network, other, SPEC, name="mine.py:make", role="student")
    assert torch.equal(torch.get_rng_state(), before)
    torch.testing.assert_close(network.state_dict(), state, rtol=0, atol=0)
    assert network.training


@pytest.mark.parametrize("role", ["teacher", "student", "function"])
def test_no_run_begins_with_such_a_network(tmp_path: Path, role: str) -> None:
    source = Path(__file__).read_text().partition("def check")[0]
    file = tmp_path / "mine.py"
    file.write_text(f"{source}\ndef make():\n    return Mixing('layers')\n")
    own = f"{file}:make"
    if role == "teacher":
        torch.save(Mixing("layers").state_dict(), tmp_path / "weights.pt")
        with pytest.raises(
            NetworkError,
            match=rf"{own} makes another teacher .* holds scratch, seen, layers\[0\]\.weight and 3 more, where",
        ):
            load_model(own, weights=tmp_path / "weights.pt", shape=(6,))
        return
    given: Any = own if role == "student" else functools.partial(Mixing, "layers")
    with pytest.raises(
        NetworkError, match=r" makes another student .* holds scratch, seen, layers\[0\]\.weight and 3 more, where"
    ):
        compress(
            nn.Linear(6, 5),
            given,
            shape=(6,),
            recipe="noise",
            rounds=1,
            folder=tmp_path / "run",
            options=RunOptions(folder=tmp_path / "unused", accelerator="cpu"),
            progress=False,
        )
    assert not (tmp_path / "run").exists()


def test_a_function_given_in_python_is_no_teacher_then(tmp_path: Path) -> None:
    weights = tmp_path / "weights.pt"
    torch.save(Mixing("plain").state_dict(), weights)
    with pytest.raises(NetworkError, match=r"given in Python: Mixing makes another teacher .* seen, matrix, where"):
        GivenNetwork.of(functools.partial(Mixing, "plain"), weights=weights).load_inspected(SPEC, role="teacher")
    torch.save(Mixing("saved").state_dict(), weights)
    teacher = GivenNetwork.of(functools.partial(Mixing, "saved"), weights=weights)
    assert teacher.load_inspected(SPEC, role="teacher")[1].num_classes == 5
