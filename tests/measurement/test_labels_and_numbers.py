"""Multi-label networks and regressions on examples, each measure against a slow plain formula."""

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from beliefmatch.cli.tables import measurement_tables
from beliefmatch.errors import ExamplesError, SettingsError
from beliefmatch.measurement.agreement import measure_pair
from beliefmatch.measurement.estimates import fractions_of
from beliefmatch.measurement.labels import score_labels
from beliefmatch.measurement.numbers import score_numbers
from beliefmatch.measurement.run import describe, measure_networks
from beliefmatch.measurement.transition import TransitionPlan
from beliefmatch.networks.examples import Images, Inputs
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.runs.schema.task import TaskName

SPEC = InputSpec(shape=(8,))


def network(seed: int, columns: int = 5) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Linear(8, columns)


def inputs(count: int = 60) -> Tensor:
    return torch.randn(count, 8, generator=torch.Generator().manual_seed(0))


def outputs_of(module: nn.Module) -> np.ndarray:
    with torch.no_grad():
        return module(inputs()).numpy()


def test_scores_of_labels_are_those_of_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    true = torch.randint(2, (60, 5), generator=torch.Generator().manual_seed(1))
    measured = measure_pair(network(0), network(1), SPEC, inputs(), true, task="multi_label", num_resamples=50)
    assert measured.labels is not None
    first, second = (outputs_of(network(seed)) > 0 for seed in (0, 1))
    pairs = ((measured.labels.teacher, true.numpy(), first), (measured.labels.student, true.numpy(), second))
    for scores, expected, predicted in (*pairs, (measured.labels.pair, first, second)):
        assert scores is not None
        assert scores.accuracy.value == pytest.approx((expected == predicted).mean())
        assert scores.exact_match.value == pytest.approx(metrics.accuracy_score(expected, predicted))
        for average in ("micro", "macro"):
            found = getattr(scores, f"{average}_f1")
            assert found.value == pytest.approx(metrics.f1_score(expected, predicted, average=average, zero_division=0))
            assert found.low < found.value < found.high
    assert measured.agreement == measured.labels.pair.accuracy
    assert measured.student_accuracy == measured.labels.student.accuracy.value  # pyright: ignore[reportOptionalMemberAccess]
    for number, scores in enumerate(measured.classes):
        assert scores.num_images == int(true[:, number].sum())
        assert scores.agreement is not None
        assert scores.teacher_accuracy is not None
        assert scores.agreement.value == pytest.approx((first[:, number] == second[:, number]).mean())
        assert scores.teacher_accuracy.value == pytest.approx((first[:, number] == true[:, number].numpy()).mean())


def test_many_labels_are_resampled_a_few_at_a_time() -> None:
    random = torch.Generator().manual_seed(0)
    true, predicted = (torch.rand(30, 150, generator=random) > 0.4 for _ in range(2))
    macro = score_labels(true, predicted, num_resamples=200).macro_f1
    each = [float(score_labels(true[:, [at]], predicted[:, [at]], num_resamples=2).macro_f1.value) for at in range(150)]
    assert macro.value == pytest.approx(np.mean(each))
    assert macro.low < macro.value < macro.high


def test_scores_of_numbers_are_those_of_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    scale, shift = torch.tensor([1.0, 100.0, 1e-3]), torch.tensor([0.0, 1e5, 3.0])
    first, second = (1.0 * torch.randn(60, 3, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    first, second = first.double() * scale + shift, (first + 0.3 * second).double() * scale + shift
    overall, *each = score_numbers(first, second, num_resamples=300)
    found: dict[str, Any] = {
        "mean_absolute_error": metrics.mean_absolute_error,
        "r2": metrics.r2_score,
        "root_mean_squared_error": lambda *both, multioutput: (
            np.sqrt(metrics.mean_squared_error(*both, multioutput="raw_values"))
            if multioutput == "raw_values"
            else np.sqrt(metrics.mean_squared_error(*both, multioutput="raw_values")).mean()
        ),
    }
    for name, function in found.items():
        expected = function(first.numpy(), second.numpy(), multioutput="raw_values")
        assert [getattr(scores, name).value for scores in each] == pytest.approx(list(expected))
        value = getattr(overall, name)
        assert value.value == pytest.approx(function(first.numpy(), second.numpy(), multioutput="uniform_average"))
        assert value.low < value.value < value.high


def test_equal_networks_explain_all() -> None:
    same = measure_pair(network(0), network(0), SPEC, inputs(), task="regression", num_resamples=20)
    assert same.numbers is not None
    assert same.numbers.pair.r2.value == 1
    assert same.numbers.pair.mean_absolute_error.value == 0
    assert (same.agreement, same.divergence.value, same.numbers.teacher) == (same.numbers.pair.r2, 0, None)
    alike = measure_pair(network(0), network(0), SPEC, inputs(), task="multi_label", num_resamples=20)
    assert alike.agreement.value == 1
    assert alike.labels is not None
    scores = alike.labels.pair
    assert all(0.9 < each.low < each.high == 1 for each in (scores.accuracy, scores.exact_match, scores.micro_f1))


def test_labels_of_an_example_are_not_independent() -> None:
    """Five equal labels tell no more than one; five of their own tell more."""
    random = torch.Generator().manual_seed(0)
    one = torch.rand(200, 1, generator=random) > 0.2
    equal, own = one.expand(200, 5), torch.rand(200, 5, generator=random) > 0.2
    true = torch.ones(200, 5, dtype=torch.bool)
    (alone,) = fractions_of(one.double())
    of_equal, of_own = (score_labels(true, each, num_resamples=2).accuracy for each in (equal, own))
    assert (of_equal.low, of_equal.high) == pytest.approx((alone.low, alone.high))
    assert of_own.high - of_own.low < 0.6 * (alone.high - alone.low)


@pytest.mark.parametrize("task", ["multi_label", "regression"])
def test_a_measurement_is_shown_and_described(task: TaskName) -> None:
    labels = (inputs()[:, :5] > 0).long() if task == "multi_label" else inputs()[:, :5]
    data = Inputs(inputs=inputs(), labels=labels, name="held back")
    measured = measure_networks(network(0), network(1), SPEC, data, accelerator="cpu", task=task)
    record = describe(measured, data, transition=None)
    assert (record.task, record.labels is None, record.numbers is None) == (
        task,
        task != "multi_label",
        task == "multi_label",
    )
    assert ("R²" if task == "regression" else "macro F1") in str(measured)
    assert "student against teacher" in measured._repr_html_()
    assert [table.title for table in measurement_tables(measured)][1].startswith("by ")  # pyright: ignore
    assert asdict(record)


@pytest.mark.parametrize(
    ("task", "labels", "message"),
    [
        ("multi_label", torch.zeros(60, dtype=torch.int64), r"expected \(n, 5\), 1 where a label is true"),
        ("multi_label", torch.full((60, 5), 2), r"expected \(n, 5\), 1 where a label is true"),
        ("multi_label", torch.zeros(60, 4), r"labels have shape \(60, 4\), and the network is multi-label"),
        ("regression", torch.zeros(60), r"is a regression: expected \(n, 5\) numbers"),
        ("single_label", torch.zeros(60), "labels are floating-point numbers, expected integers"),
        ("single_label", torch.zeros(60, 5, dtype=torch.int64), "several are for multi-label networks"),
    ],
)
def test_labels_of_another_kind_are_refused(task: TaskName, labels: Tensor, message: str) -> None:
    with pytest.raises(ExamplesError, match=message):
        measure_networks(network(0), network(1), SPEC, inputs(), labels, accelerator="cpu", task=task)
    with pytest.raises(ExamplesError, match=message):
        measure_pair(network(0), network(1), SPEC, inputs(), labels, task=task)


def test_outputs_that_are_not_finite_are_refused() -> None:
    broken = network(1)
    with torch.no_grad():
        broken.bias.fill_(float("nan"))  # pyright: ignore
    with pytest.raises(ExamplesError, match="the student gives outputs that are not finite for 60 of 60"):
        measure_pair(network(0), broken, SPEC, inputs(), task="regression")


def test_no_walks_from_class_to_class_without_classes() -> None:
    with pytest.raises(SettingsError, match="leads from class to class, and the teacher is a regression"):
        measure_pair(network(0), network(1), SPEC, inputs(), task="regression", transition=TransitionPlan(num_images=2))


def test_labels_of_images_may_be_several_or_numbers() -> None:
    images = torch.zeros(3, 8, 8, 1, dtype=torch.uint8)
    several = Images(images=images, labels=torch.tensor([[True, False]] * 3))
    assert several.labels is not None
    assert several.labels.dtype == torch.int64
    for given, kept in ((torch.float64,) * 2, (torch.float32,) * 2, (torch.float16, torch.float32)):
        numbers = Images(images=images, labels=torch.tensor([0.5, 1.0, 2.0], dtype=given))
        assert numbers.labels is not None
        assert numbers.labels.dtype == kept
    with pytest.raises(ExamplesError, match="not finite"):
        Images(images=images, labels=torch.tensor([0.5, float("nan"), 2.0]))
