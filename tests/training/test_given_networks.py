"""Networks that the caller gives in Python: a run takes copies, names them in its files, and asks for them again."""

import json
import threading
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from beliefmatch import RunOptions, Setup, compress, load_student, measure_run, recipes, run
from beliefmatch.errors import NetworkError
from beliefmatch.networks.loading.given import GivenNetwork, GivenNetworks
from beliefmatch.runs.folder import RunFolder
from beliefmatch.students.given import GivenStudent
from beliefmatch.training.transfer import Transfer
from tiny import make_conv_teacher, make_plain_conv

SHAPE = (1, 8, 8)


def transfer_of(teacher: nn.Module, student: nn.Module) -> Transfer:
    setup = Setup(
        teacher=GivenNetwork.of(teacher), student=GivenStudent.of(student), shape=SHAPE, rounds=3, batch_size=4
    )
    return recipes.noise(setup)


def options_of(folder: Path, *, resume: bool = False) -> RunOptions:
    return RunOptions(folder=folder, resume=resume, accelerator="cpu", precision="32-true", checkpoint_every=1)


def test_a_run_leaves_the_callers_networks_as_they_are(tmp_path: Path) -> None:
    teacher, student = make_conv_teacher().train(), make_plain_conv().train()
    before = [{name: tensor.clone() for name, tensor in each.state_dict().items()} for each in (teacher, student)]
    run(transfer_of(teacher, student), options_of(tmp_path / "run"))
    for network, state in zip((teacher, student), before, strict=True):
        assert network.training
        assert not network._forward_hooks
        assert all(parameter.requires_grad for parameter in network.parameters())
        torch.testing.assert_close(network.state_dict(), state, rtol=0, atol=0)


def test_files_name_the_networks_and_loading_asks_for_them(tmp_path: Path) -> None:
    teacher, student = make_conv_teacher(), make_plain_conv()
    run(transfer_of(teacher, student), options_of(tmp_path / "run"))
    transfer = json.loads((tmp_path / "run" / "run.json").read_text())["settings"]["transfer"]
    assert transfer["teacher"]["architecture"] == "given in Python: Sequential"
    assert transfer["student"]["architecture"] == "given in Python: Sequential"
    with pytest.raises(NetworkError, match=r"given in Python: Sequential.*load_student\(folder, architecture=student"):
        load_student(tmp_path / "run")
    loaded = load_student(tmp_path / "run", architecture=make_plain_conv)
    again = load_student(tmp_path / "run", architecture=student)
    inputs = torch.randn(5, *SHAPE)
    assert torch.equal(loaded(inputs), again(inputs))
    assert not torch.equal(loaded(inputs), student(inputs))


def test_a_run_is_measured_with_the_networks_given_again(tmp_path: Path) -> None:
    teacher, student = make_conv_teacher(), make_plain_conv()
    run(transfer_of(teacher, student), options_of(tmp_path / "run"))
    folder, inputs = RunFolder(tmp_path / "run"), torch.randn(20, *SHAPE)
    with pytest.raises(NetworkError, match="given in Python"):
        measure_run(folder, inputs)
    given = GivenNetworks(teacher=teacher, student=student)
    measured = measure_run(folder, inputs, teacher.eval()(inputs).argmax(dim=1), given=given)
    assert measured.teacher_accuracy == 1


def test_a_run_with_given_networks_continues(tmp_path: Path) -> None:
    teacher, student = make_conv_teacher(), make_plain_conv()

    def stop(completed: int, _row: object) -> None:
        if completed == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(transfer_of(teacher, student), options_of(tmp_path / "cut"), on_round=stop)
    run(transfer_of(teacher, student), options_of(tmp_path / "cut", resume=True))
    run(transfer_of(teacher, student), options_of(tmp_path / "whole"))
    cut, whole = (tmp_path / name / "student.safetensors" for name in ("cut", "whole"))
    assert cut.read_bytes() == whole.read_bytes()


def test_a_given_student_starts_from_its_teacher_in_best() -> None:
    teacher = make_conv_teacher()
    setup = Setup(
        teacher=GivenNetwork.of(teacher), student=GivenStudent.of(make_conv_teacher), shape=SHAPE, rounds=1, seed=1
    )
    assert recipes.best(setup).student.start == "teacher"


@pytest.mark.parametrize(
    ("given", "message"),
    [(lambda: 3, "returned a int, expected a torch.nn.Module"), (lambda: 1 / 0, "failed when it was called")],
)
def test_a_function_that_makes_no_network_is_named(given: object, message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        GivenNetwork.of(given)  # pyright: ignore[reportArgumentType]


def test_a_function_that_loads_no_weights_is_no_teacher(tmp_path: Path) -> None:
    """It would be a random one, and nothing would tell."""
    state, network = torch.random.get_rng_state(), make_plain_conv()
    after = torch.random.get_rng_state()
    torch.random.set_rng_state(state)
    with pytest.raises(NetworkError, match=r"make_plain_conv loads no weights, or not all: 4 of 4 .* give the module"):
        GivenNetwork.of(make_plain_conv)
    assert torch.equal(torch.random.get_rng_state(), after)
    with pytest.raises(NetworkError, match="loads no weights"):
        compress(make_plain_conv, make_plain_conv, shape=SHAPE, rounds=1, folder=tmp_path / "run", progress=False)
    assert GivenNetwork.of(network).module is network
    assert GivenNetwork.of(make_conv_teacher).module is not None
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    assert GivenNetwork.of(make_plain_conv, weights=tmp_path / "weights.pt").module is not None


class Locked(nn.Module):
    """Holds what cannot be copied."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body
        vars(body.get_submodule("0"))["guard"] = threading.Lock()

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


@pytest.mark.parametrize("role", ["teacher", "student"])
def test_a_network_that_cannot_be_copied_is_refused_and_stays_as_it_was(tmp_path: Path, role: str) -> None:
    locked, other = Locked(make_plain_conv()).double().train(), make_conv_teacher()
    before = {name: tensor.clone() for name, tensor in locked.state_dict().items()}
    pair = (locked, other) if role == "teacher" else (other, locked)
    message = r"^Locked cannot be copied, .*cannot pickle '_thread.lock' object, at body\.0\.guard, a lock; keep"
    with pytest.raises(NetworkError, match=message):
        run(transfer_of(*pair), options_of(tmp_path / "run"))
    assert locked.training
    assert not locked._forward_hooks
    torch.testing.assert_close(locked.state_dict(), before, rtol=0, atol=0)
    assert not (tmp_path / "run").exists()
