"""Weights from files: what is read, what is refused."""

import argparse
import json
import os
import pickle
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from beliefmatch import load_model
from beliefmatch.errors import NetworkError, SettingsError, WeightsError
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.network import Network, make_network
from beliefmatch.networks.loading.weights import fit_weights, read_weights
from beliefmatch.networks.teacher import Teacher
from beliefmatch.students.named import NamedStudent


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
    with pytest.raises(WeightsError, match=r"conv1.weight has shape .*other channels\? .* begin with 3: shape"):
        fit_weights(lenet(), weights, name="file")


def saved(path: Path, **more: Any) -> Path:
    torch.save({"model": lenet().state_dict(), **more}, path)
    return path


def test_a_checkpoint_of_several_state_dicts_asks_for_one(tmp_path: Path) -> None:
    state = lenet().state_dict()
    optimiser = {"state": {0: {"step": torch.ones(3)}}, "param_groups": [{"lr": 0.1}]}
    more = {"ema": {"module": state, "decay": 0.9}, "optimizer": optimiser, "best": {"score": torch.tensor(1.0)}}
    path = saved(tmp_path / "w.pt", **more)
    with pytest.raises(WeightsError, match=r"several state dicts: model, ema.module; choose one with teacher.state"):
        read_weights(path)
    for key in ("ema", "ema.module"):
        assert torch.equal(read_weights(path, state_key=key)["fc2.weight"], state["fc2.weight"])
    assert not torch.equal(read_weights(path, state_key="model")["fc2.weight"], state["fc2.weight"])
    with pytest.raises(WeightsError, match=r"has no state dict 'emma'; the nearest are ema"):
        read_weights(path, state_key="emma")


def test_a_teacher_and_a_student_take_a_state_key(tmp_path: Path) -> None:
    state = lenet().state_dict()
    path = saved(tmp_path / "w.pt", ema=state)
    network = load_model("lenet_5", weights=path, shape=(1, 28, 28), state_key="ema")
    assert torch.equal(network.state_dict()["fc2.weight"], state["fc2.weight"])
    student = NamedStudent(architecture="lenet_5", weights=path, state_key="ema")
    built = student.build(Teacher(network, InputSpec(shape=(1, 28, 28))))
    assert torch.equal(built.state_dict()["fc2.weight"], state["fc2.weight"])


def test_what_training_scripts_keep_beside_the_weights_is_left_out(tmp_path: Path) -> None:
    kept = {
        "args": argparse.Namespace(lr=0.1, out=Path("a"), inner=argparse.Namespace(b=np.float32(1))),
        "metric": np.float64(0.9),
        "epoch": np.int64(3),
        "path": Path("a/b"),
        "windows": PureWindowsPath("c:/d"),
        "random": np.arange(3),
    }
    torch.save({"state_dict": lenet().state_dict(), **kept}, tmp_path / "w.pt")
    fit_weights(lenet(), read_weights(tmp_path / "w.pt"), name="file")


def test_weights_in_several_files_are_read_by_their_index(tmp_path: Path) -> None:
    state = lenet().state_dict()
    names = {key: f"model-0000{1 + number % 2}.safetensors" for number, key in enumerate(state)}
    for file in set(names.values()):
        save_file({key: state[key] for key in state if names[key] == file}, tmp_path / file)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": names}))
    found = read_weights(index)
    assert list(found) == list(state)
    assert all(torch.equal(found[key], state[key]) for key in state)
    with pytest.raises(WeightsError, match=r"is a folder, .* there are model.safetensors.index.json, model-00001"):
        read_weights(tmp_path)
    index.write_text(json.dumps({"weight_map": names | {"more": "model-00001.safetensors"}}))
    with pytest.raises(WeightsError, match="names 1 tensors that its files lack, such as more"):
        read_weights(index)
    for content in ("{", "{}", '{"weight_map": {"a": "../b"}}', '{"weight_map": {"a": 3}}', '{"weight_map": []}'):
        index.write_text(content)
        with pytest.raises(WeightsError, match="no index of weights"):
            read_weights(index)


def test_a_shape_that_nobody_says_is_asked_for(tmp_path: Path) -> None:
    torch.save(make_network("convnet_4", in_channels=3, num_classes=10).state_dict(), tmp_path / "w.pt")
    with pytest.raises(SettingsError, match=r"shape is missing: convnet_4 does not say .* or 64 for a vector$"):
        load_model("convnet_4", weights=tmp_path / "w.pt")


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_a_torchscript_program_is_named_as_one_with_two_ways_on(tmp_path: Path) -> None:
    path = tmp_path / "program.pt"
    torch.jit.save(torch.jit.trace(lenet(), torch.zeros(1, 1, 28, 28)), path)
    with pytest.raises(WeightsError, match=r"is a TorchScript program.*Either convert it.*; or save its weights"):
        read_weights(path)
    with pytest.raises(NetworkError, match="is a TorchScript program"):
        load_model(str(path))
    own = tmp_path / "own.py"
    own.write_text(f"import torch\ndef make(): return torch.jit.load({str(path)!r})\n")
    with pytest.raises(NetworkError, match=r"own.py:make returned is a TorchScript program"):
        load_model(f"{own}:make", shape=(1, 28, 28))


@pytest.mark.filterwarnings("ignore")
def test_both_ways_on_from_a_torchscript_program_are_open(tmp_path: Path) -> None:
    network, zeros = lenet().eval(), torch.zeros(2, 1, 28, 28)
    torch.jit.save(torch.jit.trace(network, zeros), tmp_path / "program.pt")
    program = torch.jit.load(tmp_path / "program.pt")
    torch.save(program.state_dict(), tmp_path / "weights.pt")
    loaded = load_model("lenet_5", weights=tmp_path / "weights.pt", shape=(1, 28, 28))
    torch.testing.assert_close(loaded(zeros), network(zeros))
    pytest.importorskip("onnx2torch")
    torch.onnx.export(program, (zeros,), tmp_path / "model.onnx", dynamo=False, verbose=False)
    torch.testing.assert_close(load_model(str(tmp_path / "model.onnx"))(zeros), network(zeros))


def test_a_path_without_a_folder_is_not_asked_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("transformers")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models" / "my_vit").mkdir(parents=True)
    (tmp_path / "file").touch()
    for name in ("models/my_vti", "./my_vit", "my_vit", str(tmp_path / "none"), "file"):
        with pytest.raises(NetworkError, match=f"no folder at {name}: hf: takes a folder"):
            Network(architecture=f"hf:{name}").known_inputs()
