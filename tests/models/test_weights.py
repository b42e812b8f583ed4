"""Weights from files: what is read, what is refused."""

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from beliefmatch.errors import WeightsError
from beliefmatch.models.weights import fit_weights, read_weights
from beliefmatch.models.zoo import make_network


class Evil:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch evil-was-here",)


def lenet() -> torch.nn.Module:
    return make_network("lenet_5", in_channels=1, num_classes=10)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("wrap", [lambda state: state, lambda state: {"epoch": 3, "state_dict": state}])
def test_what_torch_saves_is_read_back(tmp_path: Path, legacy: bool, wrap: Any) -> None:
    network, path = lenet(), tmp_path / "any.name"
    torch.save(wrap(network.state_dict()), path, _use_new_zipfile_serialization=not legacy)
    other = lenet()
    fit_weights(other, read_weights(path), name="file")
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), other.parameters(), strict=True))


def test_safetensors_are_read_and_data_parallel_prefixes_dropped(tmp_path: Path) -> None:
    network, path = lenet(), tmp_path / "weights.safetensors"
    save_file({f"module.{key}": value for key, value in network.state_dict().items()}, path)
    other = lenet()
    fit_weights(other, read_weights(path), name="file")
    assert torch.equal(network.state_dict()["fc2.weight"], other.state_dict()["fc2.weight"])


def damaged(tmp_path: Path, kind: str) -> Path:
    path = tmp_path / "weights"
    match kind:
        case "text":
            path.write_text("these are not the weights you are looking for\n")
        case "empty":
            path.touch()
        case "truncated safetensors":
            save_file(lenet().state_dict(), path)
            path.write_bytes(path.read_bytes()[:-1000])
        case "truncated torch":
            torch.save(lenet().state_dict(), path)
            path.write_bytes(path.read_bytes()[:-1000])
        case "evil" | "evil zip":
            torch.save({"weight": Evil()}, path, _use_new_zipfile_serialization=kind == "evil zip")
        case "evil pickle":
            path.write_bytes(pickle.dumps(Evil()))
        case "no tensors":
            torch.save({"accuracy": 0.9}, path)
        case "a list":
            torch.save([torch.zeros(2)], path)
        case "a module":
            torch.save(lenet(), path)
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "no weights file"),
        ("text", "neither a safetensors file nor one written by torch.save"),
        ("empty", "neither a safetensors file"),
        ("truncated safetensors", "truncated or damaged safetensors"),
        ("truncated torch", "truncated or damaged"),
        ("evil", "is refused"),
        ("evil zip", "is refused"),
        ("evil pickle", "is refused"),
        ("a module", "is refused"),
        ("no tensors", "found accuracy"),
        ("a list", "holds a list"),
    ],
)
def test_what_cannot_be_read_says_why_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = damaged(tmp_path, kind)
    with pytest.raises(WeightsError, match=message) as caught:
        read_weights(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    assert not Path("evil-was-here").exists()


def test_keys_that_do_not_fit_are_named_with_the_nearest() -> None:
    weights = dict(lenet().state_dict())
    weights["fc2.wieght"] = weights.pop("fc2.weight")
    with pytest.raises(WeightsError, match=r"1 keys missing, such as fc2.weight \(nearest: fc2.wieght\)"):
        fit_weights(lenet(), weights, name="file")


def test_shapes_that_do_not_fit_are_named() -> None:
    weights = make_network("lenet_5", in_channels=1, num_classes=7).state_dict()
    with pytest.raises(WeightsError, match=r"fc2.weight has shape \(7, 84\), the network expects \(10, 84\)"):
        fit_weights(lenet(), weights, name="file")
