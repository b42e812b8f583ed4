"""What a run does with the networks of a user: it comes to know them in few passes, and leaves them as they were."""

import io
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import kept_networks
from beliefmatch import NamedStudent, Network, RunOptions, Transfer, load_student, run
from beliefmatch.errors import BeliefMatchError
from beliefmatch.objectives.belief_matching import BeliefMatching
from beliefmatch.recipes import Setup, best, dafl, zero_shot
from beliefmatch.sources.base import AbstractSource
from tiny import named


def made(recipe: Any, teacher: str, student: str, taps: tuple[str, ...] | None = None, **settings: Any) -> Transfer:
    setup = Setup(
        teacher=Network(architecture=f"kept_networks:{teacher}"),
        student=NamedStudent(architecture=f"kept_networks:{student}"),
        shape=(1, 8, 8),
        rounds=1,
        batch_size=4,
        taps=taps,
    )
    return recipe(setup, **settings)


def state_of(network: nn.Module) -> dict[str, Any]:
    """Tell all that a run might change of a network, in values that can be compared."""
    modules = {
        name: (
            module.training,
            list(module._forward_hooks.values()),
            list(module._forward_pre_hooks.values()),
            list(module._backward_hooks.values()),
            {key: id(value) for key, value in vars(module).items() if callable(value)},
            id(module),
        )
        for name, module in network.named_modules()
    }
    tensors = {
        name: (id(value), value.dtype, value.device, value.stride(), value.requires_grad, value.grad)
        for name, value in (*network.named_parameters(), *network.named_buffers())
    }
    return {"modules": modules, "tensors": tensors}


def run_quietly(transfer: Transfer, folder: Path, **options: Any) -> None:
    run(transfer, RunOptions(folder=folder, accelerator="cpu", **options))


@pytest.mark.parametrize("fails", [False, True])
def test_networks_come_back_as_they_were(tmp_path: Path, fails: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    networks = kept_networks.TEACHER, kept_networks.STUDENT
    before = [state_of(network) for network in networks]
    values = [{name: value.clone() for name, value in network.state_dict().items()} for network in networks]
    transfer = made(zero_shot, "teacher", "student")

    def improve(*_: object) -> None:
        raise RuntimeError("in the middle of a round")

    if fails:
        monkeypatch.setattr(type(transfer.source), "improve", improve)
        with pytest.raises(BeliefMatchError, match="in the middle of a round"):
            run_quietly(transfer, tmp_path / "run", precision="bf16-mixed")
    else:
        run_quietly(transfer, tmp_path / "run", precision="bf16-mixed")
    assert [state_of(network) for network in networks] == before
    for network, expected in zip(networks, values, strict=True):
        assert all(torch.equal(value, expected[name]) for name, value in network.state_dict().items())


def test_a_second_run_starts_from_the_same_student(tmp_path: Path) -> None:
    for folder in ("first", "second"):
        run_quietly(made(zero_shot, "teacher", "student"), tmp_path / folder)
    first, second = (
        {name: value.clone() for name, value in load_student(tmp_path / folder, trust_code=True).state_dict().items()}
        for folder in ("first", "second")
    )
    assert all(torch.equal(value, second[name]) for name, value in first.items())


@pytest.mark.parametrize(
    ("recipe", "settings"),
    [
        (dafl, {}),
        (best, {}),
        (zero_shot, {"taps": ("body.0",), "objective": BeliefMatching(attention_weight=2.0)}),
        (zero_shot, {"objective": BeliefMatching(attention_weight=2.0)}),
    ],
    ids=("dafl", "best", "taps", "found taps"),
)
def test_at_most_three_passes_of_each_network_come_before_the_first_round(
    tmp_path: Path, recipe: Any, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    transfer = made(recipe, "noting_teacher", "noting_student", **settings)
    kind, begun = type(transfer.source), []
    improve = kind.improve

    def noting(source: AbstractSource[Any], state: Any, teacher: Any, student: nn.Module, fabric: Any) -> Any:
        begun.append((teacher.module, student, len(kept_networks.PASSES)))
        return improve(source, state, teacher, student, fabric)

    monkeypatch.setattr(kind, "improve", noting)
    kept_networks.PASSES.clear()
    run_quietly(transfer, tmp_path / "run")
    # The preflight's round is of copies.
    (copied, *_), (teacher, student, num_passes) = begun
    assert copied is not teacher
    before = kept_networks.PASSES[:num_passes]
    for network in (teacher, student):
        assert 1 <= sum(each is network for each in before) <= 3


@pytest.mark.filterwarnings("ignore:`torch.jit.script`:DeprecationWarning")
@pytest.mark.parametrize("student", ["torchvision:squeezenet1_1", named("make_dropout_student")])
def test_a_student_of_others_is_loaded_without_anything_of_ours(tmp_path: Path, student: str) -> None:
    is_coloured = "torchvision" in student
    shape = (3, 32, 32) if is_coloured else (1, 8, 8)
    name = f"{__file__}:make_colour_teacher" if is_coloured else student
    teacher = Network(architecture=name, allow_untrained=True)
    setup = Setup(teacher=teacher, student=NamedStudent(architecture=student), shape=shape, rounds=1, batch_size=2)
    transfer = zero_shot(setup)
    run_quietly(transfer, tmp_path / "run")
    loaded = load_student(tmp_path / "run", trust_code=True)
    for module in loaded.modules():
        assert not type(module).__module__.startswith("beliefmatch")
        assert not any(vars(module)[table] for table in vars(module) if table.endswith("_hooks"))
        assert "forward" not in vars(module)
    batch = torch.randn(2, *shape)
    expected = loaded(batch)
    torch.testing.assert_close(torch.jit.script(loaded)(batch), expected)
    assert torch.equal(pickle.loads(pickle.dumps(loaded))(batch), expected)
    torch.save(loaded, io.BytesIO())


def make_colour_teacher() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10))
