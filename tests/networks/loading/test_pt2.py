"""Programs of torch.export as teachers: what they compute, what is refused, and that nothing in a file is run."""

import copy
import io
import json
import os
import pickle
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from beliefmatch import load_model
from beliefmatch.errors import NetworkError
from beliefmatch.networks.cost import measure_cost
from beliefmatch.networks.gradients import check_gradient
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.converted import ConvertedProgram
from beliefmatch.networks.loading.network import Network, make_network
from beliefmatch.networks.placement import move_to_device
from beliefmatch.training.run_settings import fingerprint

BATCH = {0: torch.export.Dim("batch", max=1024)}


def export(network: nn.Module, path: Path, *shape: int, dynamic: bool = True, **how: Any) -> Path:
    """Write a network as a program for inputs of a shape, traced with three examples."""
    example = torch.randn(3, *shape)
    with warnings.catch_warnings():
        # What the exporter deprecates is not ours.
        warnings.simplefilter("ignore")
        program = torch.export.export(network, (example,), dynamic_shapes=(BATCH,) if dynamic else None, **how)
        torch.export.save(program, path)
    return path


def batch_norm_network() -> nn.Module:
    layers = (nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
    network = nn.Sequential(*layers, nn.Linear(16, 5))
    network(torch.randn(64, 3, 8, 8))
    return network.eval()


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "batch norm": (batch_norm_network, (3, 8, 8)),
    "lenet": (lambda: make_network("lenet_5", in_channels=1, num_classes=10).eval(), (1, 28, 28)),
    "mlp": (lambda: make_network("mlp_16_8", in_channels=12, num_classes=4).eval(), (12,)),
}


@pytest.mark.parametrize("dynamic", [True, False])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_program_computes_what_its_network_did_and_so_does_its_gradient(
    tmp_path: Path, name: str, dynamic: bool
) -> None:
    make, shape = NETWORKS[name]
    torch.manual_seed(0)
    network = make()
    program = load_model(str(export(network, tmp_path / "program.pt2", *shape, dynamic=dynamic)))
    for num_examples in (1, 3, 7):
        first = torch.randn(num_examples, *shape, requires_grad=True)
        second = first.detach().clone().requires_grad_()
        weights = torch.randn_like(program(first))
        (program(first) * weights).sum().backward()
        (network(second) * weights).sum().backward()
        torch.testing.assert_close(program(first), network(second), atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(first.grad, second.grad, atol=1e-6, rtol=1e-5)


class Rigid(nn.Module):
    """Has the number of examples that it is traced with written into it, and mixes none of them."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4 * 36, 5)

    def forward(self, batch: Tensor) -> Tensor:
        return self.head(self.body(batch).sigmoid().reshape(batch.shape[0], 4 * 36))


def test_a_program_of_a_fixed_batch_passes_others_in_pieces(tmp_path: Path) -> None:
    network, path = Rigid().eval(), tmp_path / "program.pt2"
    program = load_model(str(export(network, path, 3, 8, 8, dynamic=False)))
    assert isinstance(program, ConvertedProgram)
    assert program.runs_in_pieces
    free = load_model(str(export(batch_norm_network(), path, 3, 8, 8, dynamic=False)))
    assert isinstance(free, ConvertedProgram)
    assert not free.runs_in_pieces
    for num_examples in (1, 3, 7):
        first = torch.randn(num_examples, 3, 8, 8, requires_grad=True)
        second = first.detach().clone().requires_grad_()
        weights = torch.randn(num_examples, 5)
        (program(first) * weights).sum().backward()
        (network(second) * weights).sum().backward()
        torch.testing.assert_close(program(first), network(second), atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(first.grad, second.grad, atol=1e-6, rtol=1e-5)


def test_tied_weights_of_a_program_stay_tied(tmp_path: Path) -> None:
    network = nn.Sequential(*(nn.Conv2d(3, 3, 3, padding=1) for _ in range(2)), nn.Flatten(), nn.Linear(192, 5)).eval()
    network[1].weight, spec = network[0].weight, InputSpec(shape=(3, 8, 8))
    program = load_model(str(export(network, tmp_path / "program.pt2", 3, 8, 8)))
    expected = 81 + 3 + 3 + 192 * 5 + 5
    for each in (program, copy.deepcopy(program)):
        move_to_device(each, torch.device("cpu"), torch.float32)
        found = measure_cost(each, spec)
        assert (found.parameters, found.bytes) == (expected, 4 * expected)


def test_a_program_tells_its_inputs_and_stays_as_it_is(tmp_path: Path) -> None:
    path = export(batch_norm_network(), tmp_path / "program.pt2", 3, 8, 8)
    assert Network(architecture=str(path)).known_inputs() == InputSpec(shape=(3, 8, 8))
    program = load_model(str(path)).train()
    assert not any(module.training for module in program.modules())
    copied = copy.deepcopy(program)
    assert fingerprint(copied) == fingerprint(program)
    batch = torch.randn(2, 3, 8, 8)
    assert torch.equal(copied(batch), program(batch))


class Named(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(6, 3)

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        return {"features": pixels * 2, "logits": self.body(pixels)}


def test_logits_are_found_by_their_name_and_inputs_may_have_one(tmp_path: Path) -> None:
    network, path = Named().eval(), tmp_path / "program.pt2"
    program = torch.export.export(network, (), {"pixels": torch.randn(3, 6)}, dynamic_shapes={"pixels": BATCH})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(program, path)
    batch = torch.randn(5, 6)
    torch.testing.assert_close(load_model(str(path))(batch), network.body(batch))


class Does(nn.Module):
    """A classifier of six features whose forward pass is given."""

    def __init__(self, forward: Callable[[nn.Module, Tensor], Any]) -> None:
        super().__init__()
        self.body, self.does = nn.Linear(6, 4), forward
        self.register_buffer("runs", torch.zeros(()))

    def forward(self, batch: Tensor) -> Any:
        return self.does(self.body, batch)


def without_gradient(body: nn.Module, batch: Tensor) -> Tensor:
    with torch.no_grad():
        return body(batch)


def branching(body: nn.Module, batch: Tensor) -> Tensor:
    return torch.cond(batch.sum() > 0, lambda x: x.sin(), lambda x: x.cos(), (body(batch),))


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        (branching, "has control flow that depends on values .cond."),
        (lambda body, batch: body(batch)[:, None], "program returned tuple of .a tensor of shape .3, 1, 4.., expected"),
        (
            lambda body, batch: (body(batch).argmax(1), batch[:, 0]),
            "program returned tuple of .a int64 tensor of",
        ),
    ],
)
def test_what_cannot_teach_is_named(tmp_path: Path, forward: Any, message: str) -> None:
    path = export(Does(forward).eval(), tmp_path / "program.pt2", 6, dynamic=False)
    with pytest.raises(NetworkError, match=f"program.pt2.*{message}") as caught:
        load_model(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("forward", "operator"),
    [
        (lambda body, batch: body(batch.round()), "aten.round"),
        (lambda body, batch: body(batch).detach(), "aten.detach"),
        (lambda body, batch: body(batch) * 0 + batch.argmax(1, keepdim=True), "aten."),
        (without_gradient, "wrap_with_set_grad_enabled"),
    ],
)
@pytest.mark.parametrize("dynamic", [True, False])
def test_what_stops_a_gradient_is_named_where_one_is_needed(
    tmp_path: Path, forward: Any, operator: str, dynamic: bool
) -> None:
    network = Does(forward).eval()
    program = load_model(str(export(network, tmp_path / "program.pt2", 6, dynamic=dynamic)))
    batch = torch.randn(5, 6)
    torch.testing.assert_close(program(batch), network(batch))
    message = f"no gradient reaches the inputs of the teacher .none flows through {operator}.*, which is needed"
    with pytest.raises(NetworkError, match=message):
        check_gradient(copy.deepcopy(program), InputSpec(shape=(6,)), role="teacher", needed_by="is needed")


def test_other_kinds_of_programs_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "program.pt2"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(nn.Linear(6, 3).double(), (torch.zeros(3, 6).double(),)), path)
    with pytest.raises(NetworkError, match=r"computes in float64 .weight., expected float32: export model.float"):
        load_model(str(path))
    export(nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)).train(), path, 6)
    with pytest.raises(NetworkError, match=r"was exported in train mode .aten.batch_norm does so"):
        load_model(str(path))
    export(nn.Linear(6, 3), path, 6)
    with pytest.raises(NetworkError, match=r"takes inputs of shape \(6,\), not \(7,\): shape=\(6,\)"):
        load_model(str(path), shape=(7,))
    with pytest.raises(NetworkError, match=r"is a program with its own weights: .* but no student"):
        make_network(str(path), in_channels=6, num_classes=3)


@pytest.mark.parametrize("content", [None, b"", b"a text", b"PK\x03\x04 but no zip"])
def test_damaged_files_are_told(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "program.pt2"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(NetworkError, match=r"program.pt2 (cannot be read|is no exported program)"):
        load_model(str(path))


class Evil:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch evil-was-here",)


CODE = "__import__('os').system('touch evil-was-here')"


def saved(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def tamper(path: Path, change: Callable[[dict[str, Any], dict[str, bytes]], None]) -> None:
    """Change what is in a program's file: its JSON records, and all others."""
    with zipfile.ZipFile(path) as archive:
        records = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    plain = {name: json.loads(content) for name, content in records.items() if name.endswith(".json")}
    change(plain, records)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (records | {key: json.dumps(value).encode() for key, value in plain.items()}).items():
            archive.writestr(f"archive/{name}", content)


def graph_of(plain: dict[str, Any]) -> dict[str, Any]:
    return plain["models/model.json"]["graph_module"]["graph"]


def evil_weight(plain: dict[str, Any], records: dict[str, bytes]) -> None:
    plain["data/weights/model_weights_config.json"]["config"]["weight"]["use_pickle"] = True
    records["data/weights/weight_0"] = saved(Evil())


def evil_constant(plain: dict[str, Any], records: dict[str, bytes]) -> None:
    payload = dict(plain["data/weights/model_weights_config.json"]["config"]["weight"], path_name="opaque_obj_0")
    plain["data/constants/model_constants_config.json"]["config"]["evil"] = payload
    records["data/constants/opaque_obj_0"] = pickle.dumps(Evil())


def evil_size(plain: dict[str, Any], _records: dict[str, bytes]) -> None:
    graph_of(plain)["tensor_values"]["input"]["sizes"][0]["as_expr"]["expr_str"] = CODE


def evil_function(plain: dict[str, Any], _records: dict[str, bytes]) -> None:
    graph_of(plain)["nodes"][0]["target"] = "torch.serialization.os.system"


def evil_name(plain: dict[str, Any], _records: dict[str, bytes]) -> None:
    graph_of(plain)["nodes"][0]["outputs"][0]["as_tensor"]["name"] = f'x"); {CODE}; ("'


def evil_structure(plain: dict[str, Any], _records: dict[str, bytes]) -> None:
    context = {"default_factory_module": "os", "default_factory_name": "system", "dict_context": []}
    spec = {"type": "collections.defaultdict", "context": json.dumps(context), "children_spec": []}
    signature = plain["models/model.json"]["graph_module"]["module_call_graph"][0]["signature"]
    signature["out_spec"] = json.dumps([1, spec])


@pytest.mark.parametrize(
    "change",
    [evil_weight, evil_constant, evil_size, evil_function, evil_name, evil_structure],
    ids=lambda f: f.__name__,
)
def test_what_would_run_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Any) -> None:
    monkeypatch.chdir(tmp_path)
    path = export(nn.Linear(6, 3), tmp_path / "program.pt2", 6)
    tamper(path, change)
    with pytest.raises(NetworkError, match=r"program.pt2 is refused: .*"):
        load_model(str(path))
    assert not Path("evil-was-here").exists()


def evil_samples(_plain: dict[str, Any], records: dict[str, bytes]) -> None:
    records["data/sample_inputs/model.pt"] = saved((Evil(),))


def evil_guards(plain: dict[str, Any], _records: dict[str, bytes]) -> None:
    plain["models/model.json"]["guards_code"] = [CODE]


def evil_neighbour(_plain: dict[str, Any], records: dict[str, bytes]) -> None:
    records["data/weights/model.pt"] = saved(Evil())


@pytest.mark.parametrize("change", [evil_samples, evil_guards, evil_neighbour], ids=lambda f: f.__name__)
def test_what_a_program_can_do_without_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    network = nn.Linear(6, 3)
    path = export(network, tmp_path / "program.pt2", 6)
    tamper(path, change)
    batch = torch.randn(4, 6)
    torch.testing.assert_close(load_model(str(path))(batch), network(batch))
    assert not Path("evil-was-here").exists()
