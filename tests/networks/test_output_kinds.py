"""What outputs predict: said by the user, read from a configuration, or told to be unknown."""

import logging
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from beliefmatch.errors import NetworkError, SettingsError
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.inspection import inspect
from beliefmatch.networks.loading.given import GivenNetwork
from beliefmatch.networks.loading.network import Network, load_model
from beliefmatch.networks.output_forms import give_logits
from beliefmatch.networks.output_kinds import OutputKind, resolve_kind
from beliefmatch.networks.tasks import TASKS
from beliefmatch.networks.teacher import Teacher
from beliefmatch.runs.schema.task import TaskName
from beliefmatch.students.base import inspect_student
from beliefmatch.students.named import NamedStudent

VECTOR, IMAGE = InputSpec(shape=(12,)), InputSpec(shape=(3, 8, 8))


def linear(*more: nn.Module, columns: int = 4) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(12, columns), *more)


def teacher(network: nn.Module, outputs: OutputKind | None) -> Teacher:
    return Teacher.load(GivenNetwork.of(network, outputs=outputs), VECTOR)


@pytest.mark.parametrize("columns", [1, 4])
@pytest.mark.parametrize("kind", ["multi_label", "regression"])
def test_outputs_stay_as_many_as_they_are(kind: OutputKind, columns: int) -> None:
    network, batch = linear(columns=columns), torch.randn(5, 12)
    found = teacher(network, kind)
    assert (found.task.name, found.num_classes, found.inspection.num_outputs) == (kind, columns, columns)
    torch.testing.assert_close(found.outputs(batch).logits, network(batch))
    assert found.outputs(batch).task is found.task


@pytest.mark.parametrize("columns", [1, 4])
def test_probabilities_of_labels_become_log_odds(columns: int) -> None:
    network, batch = linear(nn.Sigmoid(), columns=columns), torch.randn(5, 12)
    torch.testing.assert_close(teacher(network, "multi_label").outputs(batch).logits, network[0](batch))


@pytest.mark.parametrize("flat", [False, True])
def test_one_number_is_one_column(flat: bool) -> None:
    network, batch = linear(nn.Flatten(0) if flat else nn.Identity(), columns=1), torch.randn(5, 12)
    assert teacher(network, "regression").outputs(batch).logits.shape == (5, 1)


def test_probabilities_that_sum_to_1_are_no_labels() -> None:
    with pytest.raises(NetworkError, match=r"sum to 1, as behind a softmax.*cannot be multi_label"):
        inspect(linear(nn.Softmax(dim=1)), VECTOR, role="teacher", outputs="multi_label")


def test_a_student_of_one_output_is_made_with_one() -> None:
    """One output never becomes two columns of a student."""
    for kind in ("binary", "multi_label", "regression"):
        student = NamedStudent(architecture="mlp_8").build(found := teacher(linear(columns=1), kind))
        assert student(torch.zeros(2, 12)).shape == (2, 1)
        assert inspect_student(student, found)[1].task == found.task.name
        assert student(torch.zeros(2, 12)).shape == (2, found.num_classes) == (2, 2 if kind == "binary" else 1)


@pytest.mark.parametrize("kind", ["multi_label", "regression"])
def test_a_student_of_another_number_of_outputs_is_refused(kind: OutputKind) -> None:
    with pytest.raises(NetworkError, match="has 4 outputs; the student has 3, and they must be equal"):
        inspect_student(linear(columns=3), teacher(linear(), kind))


def test_a_student_that_gives_probabilities_of_labels_is_converted() -> None:
    student, batch = linear(nn.Sigmoid()), torch.randn(5, 12)
    inspect_student(student, teacher(linear(), "multi_label"))
    torch.testing.assert_close(student(batch), student[0](batch))


def test_logits_that_nobody_explained_are_told_at_the_start(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    inspect(linear(), VECTOR, role="teacher")
    assert (
        "taken as logits of classes of which one is right; otherwise say teacher.outputs='multi_label'" in caplog.text
    )
    caplog.clear()
    inspect(linear(), VECTOR, role="teacher", outputs="logits")
    inspect(linear(), VECTOR, role="student")
    assert "taken as" not in caplog.text


@pytest.mark.parametrize(
    ("problem", "labels", "task"),
    [
        ("multi_label_classification", 4, "multi_label"),
        ("regression", 2, "regression"),
        (None, 1, "regression"),
        ("single_label_classification", 4, "single_label"),
        (None, 4, "single_label"),
    ],
)
def test_the_problem_type_of_a_configuration_is_read(
    tmp_path: Path, problem: str | None, labels: int, task: TaskName
) -> None:
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    config = transformers.ViTConfig(image_size=8, patch_size=4, num_labels=labels, problem_type=problem, **sizes)
    module = transformers.ViTForImageClassification(config)
    module.save_pretrained(tmp_path)
    for network in (Network(architecture=f"hf:{tmp_path}"), GivenNetwork.of(module)):
        loaded, inspection = network.load_inspected(IMAGE, role="teacher")
        assert inspection.task == task
        assert loaded(torch.zeros(2, 3, 8, 8)).shape == (2, labels)
    other: OutputKind = "binary" if labels == 1 else "logits"
    _, inspection = Network(architecture=f"hf:{tmp_path}", outputs=other).load_inspected(IMAGE, role="teacher")
    assert inspection.task == "single_label"
    assert load_model(f"hf:{tmp_path}", outputs="multi_label")(torch.zeros(2, 3, 8, 8)).shape == (2, labels)


def test_a_divergence_without_meaning_is_refused_by_name() -> None:
    with pytest.raises(SettingsError, match=r"js has no meaning for a regression.*take kl or l1"):
        TASKS["regression"].divergence("js")


@pytest.mark.parametrize("task", TASKS)
def test_each_task_compares_what_its_rows_hold(task: TaskName) -> None:
    torch.manual_seed(0)
    logits = torch.randn(3, 20, 4)
    same = TASKS[task].compare(logits, logits)
    assert all(value.shape[0] == 3 for value in same.values())
    name = "batch_r2" if task == "regression" else "batch_agreement"
    assert torch.equal(same[name], torch.ones(3))
    assert (TASKS[task].compare(logits, logits.flip(1))[name] < 0.7).all()


def test_groups_of_examples_follow_the_task() -> None:
    outputs: Tensor = torch.tensor([[0.0, 2.0, 1.0], [3.0, -1.0, 0.0]])
    assert TASKS["single_label"].groups(outputs).tolist() == [1, 0]
    assert TASKS["multi_label"].groups(outputs).tolist() == [1, 0]
    assert TASKS["regression"].groups(outputs).tolist() == [0, 0]
    assert [TASKS[name].count_groups(3) for name in TASKS] == [3, 3, 1]


def test_a_hook_is_there_once() -> None:
    network = linear(nn.Sigmoid())
    assert give_logits(network, "sigmoid", "multi_label") is not None
    assert give_logits(network, "sigmoid", "multi_label") is None


def test_a_kind_that_does_not_exist_is_refused_wherever_a_network_is_inspected() -> None:
    with pytest.raises(SettingsError, match=r"^no outputs 'regresion'; did you mean regression\?$"):
        resolve_kind("regresion", num_columns=3, role="teacher")  # pyright: ignore[reportArgumentType]
