"""Weights from files: what is read, what is refused."""

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from beliefmatch.errors import WeightsError
from beliefmatch.networks.loading.network import make_network
from beliefmatch.networks.loading.weights import fit_weights, read_weights


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


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "backbone.", "model.module."])
def test_a_common_prefix_is_found_and_said(prefix: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    network, other = lenet(), lenet()
    weights = {prefix + key: value for key, value in network.state_dict().items()} | {"loss.scale": torch.ones(2)}
    fit_weights(other, weights, name="file")
    assert torch.equal(network.state_dict()["fc2.weight"], other.state_dict()["fc2.weight"])
    assert caplog.messages == [f"keys of file fit without their prefix {prefix}; others are left out: 1"]


def test_prefixes_that_both_fit_are_for_the_user_to_choose() -> None:
    network, other = lenet(), lenet()
    weights = {f"student.{key}": value + 1 for key, value in network.state_dict().items()}
    weights |= {f"ema.{key}": value for key, value in network.state_dict().items()}
    with pytest.raises(WeightsError, match=r"fit under several prefixes: student., ema.; choose one with"):
        fit_weights(other, weights, name="file")
    with pytest.raises(WeightsError, match=r"has no key that begins with mean.; it has such as student.conv1"):
        fit_weights(other, weights, name="file", strip_prefix="mean")
    fit_weights(other, weights, name="file", strip_prefix="ema")
    assert torch.equal(network.state_dict()["fc2.weight"], other.state_dict()["fc2.weight"])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_other_floating_types_are_converted(tmp_path: Path, dtype: torch.dtype) -> None:
    network, other, path = lenet(), lenet(), tmp_path / "weights.safetensors"
    save_file({key: value.to(dtype) for key, value in network.state_dict().items()}, path)
    fit_weights(other, read_weights(path), name="file")
    assert {value.dtype for value in other.parameters()} == {torch.float32}
    torch.testing.assert_close(other.state_dict(), network.state_dict(), atol=1e-2, rtol=1e-2)


def test_other_channels_point_to_the_shape() -> None:
    weights = make_network("lenet_5", in_channels=3, num_classes=10).state_dict()
    with pytest.raises(WeightsError, match=r"conv1.weight has shape .*other channels\? .* begin with 3: --shape 3"):
        fit_weights(lenet(), weights, name="file")
