"""Students of multi-label teachers and of regressions, from the source to the file."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import beliefmatch as bm
from beliefmatch.errors import SettingsError
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.inspection import inspect
from beliefmatch.networks.loading.given import GivenNetwork
from beliefmatch.networks.output_kinds import OutputKind
from beliefmatch.networks.teacher import Teacher
from beliefmatch.training.options import RunOptions
from beliefmatch.training.prepare import prepare
from beliefmatch.training.standardisation import UnitsHook, standardise, undo_units

SPEC = InputSpec(shape=(12,))


def network(hidden: int, columns: int, seed: int = 0) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(12, hidden), nn.Tanh(), nn.Linear(hidden, columns))


def head_of(module: nn.Sequential) -> nn.Linear:
    head = module[2]
    assert isinstance(head, nn.Linear)
    return head


def labels_teacher() -> nn.Module:
    """Four labels, all of which are true or none for many inputs: a softmax tells nothing of that."""
    module = network(32, 4)
    with torch.no_grad():
        head_of(module).weight.mul_(6).sub_(head_of(module).weight.mean(dim=1, keepdim=True))
        head_of(module).bias.copy_(torch.tensor([1.5, -1.5, 1.0, 0.0]))
    return module


def numbers_teacher(scale: float, shift: float) -> nn.Sequential:
    module = network(32, 2)
    with torch.no_grad():
        head_of(module).weight.mul_(scale)
        head_of(module).bias.mul_(scale).add_(shift)
    return module


def setup(
    teacher: nn.Module, outputs: OutputKind | None, student: nn.Module, *, rounds: int = 25, batch_size: int = 64
) -> bm.recipes.Setup:
    return bm.recipes.Setup(
        teacher=GivenNetwork.of(teacher, outputs=outputs),
        student=bm.GivenStudent.of(student),
        shape=(12,),
        rounds=rounds,
        batch_size=batch_size,
    )


def trained(recipe: Any, setup: bm.recipes.Setup, folder: Path, student: nn.Module) -> nn.Module:
    bm.run(recipe(setup), RunOptions(folder=folder, accelerator="cpu", precision="32-true"), progress=False)
    return bm.load_student(folder, architecture=student)


def agreement(teacher: nn.Module, student: nn.Module) -> float:
    inputs = torch.randn(2000, 12, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        return float(((teacher(inputs) > 0) == (student(inputs) > 0)).float().mean())


def explained(teacher: nn.Module, student: nn.Module) -> float:
    inputs = torch.randn(2000, 12, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        first, second = teacher(inputs), student(inputs)
    return float(1 - (first - second).square().mean() / first.var(dim=0).mean())


def test_labels_are_learned_far_better_than_as_classes(tmp_path: Path) -> None:
    teacher, student = labels_teacher(), network(24, 4, seed=1)
    found = {
        kind: agreement(teacher, trained(bm.recipes.noise, setup(teacher, kind, student), tmp_path / kind, student))
        for kind in ("multi_label", "logits")
    }
    assert found["multi_label"] > 0.93
    assert found["multi_label"] > found["logits"] + 0.1


@pytest.mark.parametrize(("scale", "shift"), [(1e5, 4e5), (1e-4, -3e-3)])
def test_numbers_are_learned_in_any_unit(scale: float, shift: float, tmp_path: Path) -> None:
    """Fresh weights reach neither prices in dollars nor fractions in steps of one size."""
    teacher, student = numbers_teacher(scale, shift), network(24, 2, seed=1)
    loaded = trained(bm.recipes.noise, setup(teacher, "regression", student), tmp_path / "run", student)
    assert explained(teacher, loaded) > 0.9


def test_units_change_nothing_that_is_learned() -> None:
    """The first loss is that of the same teacher in other units."""
    losses = []
    for scale, shift in ((1.0, 0.0), (1000.0, 70.0)):
        prepared = prepare(
            bm.recipes.noise(setup(numbers_teacher(scale, shift), "regression", network(24, 2, seed=1))),
            RunOptions(folder=Path("unused"), accelerator="cpu", precision="32-true"),
        )
        batch = torch.randn(32, 12, generator=torch.Generator().manual_seed(1))
        losses.append(prepared.teacher.outputs(batch).logits)
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-3, atol=1e-3)
    assert 0.3 < float(losses[0].std()) < 3


def of_teacher_scaled(student: nn.Sequential) -> nn.Sequential:
    """A student that knows the unit, as one with the weights of its teacher does."""
    with torch.no_grad():
        head_of(student).weight.mul_(50)
        head_of(student).bias.add_(300)
    return student


@pytest.mark.parametrize("linear", [True, False])
def test_a_student_gives_its_own_numbers_again(linear: bool) -> None:
    """Whether its last layer could take the units, or a hook did."""
    teacher = Teacher.load(GivenNetwork.of(numbers_teacher(50.0, 300.0), outputs="regression"), SPEC)
    student = of_teacher_scaled(network(24, 2, seed=1))
    student = student if linear else nn.Sequential(student, nn.Softplus())
    batch = torch.randn(8, 12)
    before, of_teacher = student(batch), teacher.outputs(batch).logits
    inspection = inspect(student, SPEC, role="student", task="regression")
    standardise(teacher, student, inspection)
    (hook,) = [each for each in student._forward_hooks.values() if isinstance(each, UnitsHook)]
    assert (hook.folded is not None) == linear
    mean, deviation = torch.tensor(hook.units.mean), torch.tensor(hook.units.deviation)
    torch.testing.assert_close(student(batch), (before - mean) / deviation, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(teacher.outputs(batch).logits, (of_teacher - mean) / deviation, rtol=1e-4, atol=1e-4)
    for module in (teacher.module, student):
        undo_units(module)
    torch.testing.assert_close(student(batch), before, rtol=1e-4, atol=1e-4)
    assert torch.equal(teacher.outputs(batch).logits, of_teacher)


def test_fresh_weights_know_no_unit() -> None:
    teacher = Teacher.load(GivenNetwork.of(numbers_teacher(1e-3, 30.0), outputs="regression"), SPEC)
    student, batch = network(24, 2, seed=1), torch.randn(8, 12)
    before = student(batch)
    standardise(teacher, student, inspect(student, SPEC, role="student", task="regression"))
    assert torch.equal(student(batch), before)
    undo_units(student)
    torch.testing.assert_close(student(batch), torch.full((8, 2), 30.0), rtol=0, atol=0.01)


def test_a_constant_number_has_a_unit() -> None:
    module = numbers_teacher(1.0, 0.0)
    with torch.no_grad():
        head_of(module).weight[1].zero_()
    teacher = Teacher.load(GivenNetwork.of(module, outputs="regression"), SPEC)
    student = network(24, 2, seed=1)
    standardise(teacher, student, inspect(student, SPEC, role="student", task="regression"))
    assert bool(teacher.outputs(torch.randn(4, 12)).logits.isfinite().all())


@pytest.mark.parametrize("kind", ["multi_label", "regression"])
@pytest.mark.parametrize("name", ["best", "zero_shot", "dfad"])
def test_recipes_without_classes_serve_every_task(name: str, kind: OutputKind, tmp_path: Path) -> None:
    teacher = labels_teacher() if kind == "multi_label" else numbers_teacher(10.0, 5.0)
    student = network(24, 4 if kind == "multi_label" else 2, seed=1)
    recipe = getattr(bm.recipes, name)
    loaded = trained(recipe, setup(teacher, kind, student, rounds=2, batch_size=16), tmp_path / "run", student)
    assert all(parameter.isfinite().all() for parameter in loaded.parameters())


@pytest.mark.parametrize("kind", ["multi_label", "regression"])
@pytest.mark.parametrize("name", ["dafl", "deep_inversion", "cmi", "fast", "nayer", "dfq"])
def test_recipes_that_ask_for_a_class_refuse_by_name(name: str, kind: OutputKind, tmp_path: Path) -> None:
    teacher = labels_teacher() if kind == "multi_label" else numbers_teacher(10.0, 5.0)
    transfer = getattr(bm.recipes, name)(setup(teacher, kind, network(24, 4 if kind == "multi_label" else 2)))
    with pytest.raises(SettingsError, match=rf"{name} is for teachers of whose classes one is.*take best, zero_shot"):
        prepare(transfer, RunOptions(folder=tmp_path, accelerator="cpu"))


def test_a_student_is_resumed_in_its_units(tmp_path: Path) -> None:
    """A run that ended early and went on gives the student of one that did not."""
    teacher, student = numbers_teacher(100.0, 50.0), network(8, 2, seed=1)
    transfer = bm.recipes.noise(setup(teacher, "regression", student, rounds=4, batch_size=16))
    whole, parts = (
        RunOptions(folder=tmp_path / name, accelerator="cpu", precision="64-true", checkpoint_every=2)
        for name in ("whole", "parts")
    )
    bm.run(transfer, whole, progress=False)

    def stop(completed: int, _row: Any) -> None:
        if completed == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bm.run(transfer, parts, progress=False, on_round=stop)
    bm.run(transfer, replace(parts, resume=True), progress=False)
    first, second = (bm.load_student(options.folder, architecture=student).state_dict() for options in (whole, parts))
    for name, tensor in first.items():
        torch.testing.assert_close(tensor, second[name], rtol=1e-6, atol=1e-6)


def test_the_unit_of_numbers_is_told(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    caplog.set_level(logging.INFO)
    transfer = bm.recipes.noise(setup(numbers_teacher(10.0, 500.0), "regression", network(8, 2)))
    prepare(transfer, RunOptions(folder=tmp_path, accelerator="cpu"))
    assert "losses are in units of that deviation" in caplog.text


def drawn(count: int) -> Tensor:
    return torch.randn(count, 12, generator=torch.Generator().manual_seed(3))


def test_a_run_is_measured_by_its_task(tmp_path: Path) -> None:
    teacher, student = labels_teacher(), network(8, 4, seed=1)
    result = bm.compress(
        teacher,
        student,
        outputs="multi_label",
        shape=(12,),
        rounds=3,
        recipe="noise",
        folder=tmp_path / "run",
        progress=False,
    )
    with torch.no_grad():
        labels = (teacher(drawn(40)) > 0).long()
    measured = result.measure((drawn(40), labels))
    assert measured.labels is not None
    assert measured.labels.teacher is not None
    assert measured.teacher_accuracy == measured.labels.teacher.exact_match.value == 1
