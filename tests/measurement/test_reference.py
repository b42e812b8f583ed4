"""Every number of a measurement, its table and its card, once more by a slow script: 20 networks of unusual habits."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from beliefmatch.cli import main
from beliefmatch.export.card import CARD, write_card
from beliefmatch.measurement.agreement import Measurement
from beliefmatch.measurement.run import describe, measure_networks
from beliefmatch.networks.cost import measure_cost
from beliefmatch.networks.examples import AbstractExamples, examples_of
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.given import GivenNetwork
from beliefmatch.runs.folder import RunFolder
from beliefmatch.runs.schema.measurement import Estimate
from reference.slow_measurement import SlowMeasurement, SlowScores, slow_macs, slow_measurement, slow_wilson
from tiny import make_conv_teacher, make_plain_conv, named

pytestmark = pytest.mark.long

SPEC = InputSpec(shape=(3, 8, 8))
RANDOM = torch.Generator().manual_seed(0)
INPUTS = torch.randn(101, 3, 8, 8, generator=RANDOM)
NUM_CLASSES = 7
SIMULATED = 0.02
"""Largest difference of a calibration error without bias: both sides simulate, by generators of their own."""


class Habit(nn.Module):
    """A convolution and a linear layer, with a habit."""

    def __init__(self, habit: str) -> None:
        super().__init__()
        self.habit = habit
        self.conv = nn.Conv2d(3, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.head = nn.Linear(6, 1 if habit in ("one output", "flat output") else NUM_CLASSES)
        self.spectrum = nn.Parameter(torch.randn(8, 5, dtype=torch.complex64)) if habit == "complex" else None
        self.drop = nn.Dropout(0.5, inplace=True)

    def forward(self, x: Tensor) -> Any:  # noqa: PLR0912 - a habit a line.
        match self.habit:
            case "subtracts":
                x.sub_(0.5)
            case "uncounted":
                x.data.mul_(2)
            case "relu in place":
                nn.functional.relu_(x)
            case "drops in place":
                self.drop(x)
            case "complex":
                x = torch.fft.irfft2(torch.fft.rfft2(x) * self.spectrum, s=(8, 8))
        x = self.norm(self.conv(x))
        match self.habit:
            case "views":
                x = x.view(len(x), -1).reshape(x.shape)
            case "strides":
                x = torch.as_strided(x, (len(x), 6, 8, 8), (384, 64, 8, 1))
            case "asserts":
                assert x.is_contiguous()
        pooled = x.relu().mean(dim=(2, 3))
        if self.habit == "squeezes":
            pooled = pooled.squeeze()
        if self.habit == "several":
            assert len(pooled) > 1
        logits = 3 * self.head(pooled)
        match self.habit:
            case "flat output":
                return logits.squeeze(1)
            case "tuple":
                return pooled, logits
            case "dictionary":
                return {"features": pooled, "scores": logits}
            case "named":
                return {"features": pooled, "logits": logits}
            case "list of one":
                return [logits]
            case "dead":
                return 0 * logits
            case "rounds":
                return logits.round()
        return logits


def first_tensor(output: Any) -> Tensor:
    return output if isinstance(output, Tensor) else output[0]


def scores(output: Any) -> Tensor:
    return output["scores"]


HABITS: dict[str, tuple[str | None, Callable[[Any], Tensor]]] = {
    **dict.fromkeys(("none", "subtracts", "uncounted", "relu in place", "drops in place"), (None, first_tensor)),
    **dict.fromkeys(("complex", "views", "strides", "asserts", "squeezes", "several"), (None, first_tensor)),
    **dict.fromkeys(("one output", "list of one", "dead", "rounds", "shared", "double"), (None, first_tensor)),
    "flat output": (None, lambda output: output[:, None]),
    "tuple": ("1", lambda output: output[1]),
    "dictionary": ("scores", scores),
    "named": (None, lambda output: output["logits"]),
}


def make(habit: str, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    network = Habit(habit)
    network.train()(torch.randn(64, 3, 8, 8))
    if habit == "shared":
        network = nn.Sequential(nn.Sequential(network.conv, network.norm), nn.Flatten(), nn.Linear(384, NUM_CLASSES))
    return network.double() if habit == "double" else network


def check(
    estimate: Estimate | None,
    expected: float | None,
    count: int = len(INPUTS),
    *,
    ends: tuple[float, float] | None = None,
) -> None:
    """Compare an estimate, whose interval is Wilson's where no ends are given."""
    if expected is None:
        assert estimate is None
        return
    assert estimate is not None
    assert estimate.value == pytest.approx(expected, abs=1e-6)
    assert (estimate.low, estimate.high) == pytest.approx(ends or slow_wilson(expected, count), abs=1e-6)


def check_table(table: str, slow: SlowMeasurement, sides: Sequence[tuple[str, Any, SlowScores]]) -> None:
    """Compare each line of the table with its interval: as many digits as are printed."""
    lines = re.findall(r"^(\S.*?)  +([\d.]+)  +([\d.]+)\N{EN DASH}([\d.]+)$", table, flags=re.MULTILINE)
    printed = {name: tuple(map(float, numbers)) for name, *numbers in lines}
    expected = {
        "agreement, %": percents(slow.agreement),
        "KL(teacher || student), nats": (slow.divergence, *slow.divergence_interval),
    }
    for role, fast, scores in sides:
        expected[f"{role} accuracy, %"] = percents(scores.top1)
        expected[f"{role} calibration error, %"] = percents(scores.calibration_error, scores.calibration_interval)
        expected[f"{role} calibration error without bias, %"] = percents(scores.debiased[0], scores.debiased[1:])
        if fast.top5 is not None:
            expected[f"{role} top-5 accuracy, %"] = percents(scores.top5)
    assert printed.keys() == expected.keys()
    for name, numbers in expected.items():
        loose = 100 * SIMULATED if "without bias" in name else 0.00501 if name.endswith("%") else 0.0000501
        assert printed[name] == pytest.approx(numbers, abs=loose), name


def percents(value: float, ends: tuple[float, float] | None = None) -> tuple[float, float, float]:
    low, high = ends or slow_wilson(value, len(INPUTS))
    return 100 * value, 100 * low, 100 * high


def check_card(run: RunFolder, found: Measurement, data: AbstractExamples, slow: SlowMeasurement) -> None:
    """Compare each number that the model card prints of a measurement."""
    run.write_measurement(describe(found, data, transition=None))
    card = write_card(run, run.path / CARD).read_text().split("## Measured")[1].split("## Not measured")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in card.splitlines() if line.startswith("| ")
    ]
    printed = {
        title: [[float(each) for each in re.findall(r"[\d.]+", cell)] for cell in cells] for title, *cells in rows
    }
    teacher, student = slow.teacher, slow.student
    expected: dict[str, list[Any]] = {
        "accuracy": [percents(teacher.top1), percents(student.top1)],
        "calibration error": [
            percents(each.calibration_error, each.calibration_interval) for each in (teacher, student)
        ],
        "calibration error without bias": [
            percents(each.debiased[0], each.debiased[1:]) for each in (teacher, student)
        ],
        "agreement of both": [percents(slow.agreement)],
        "KL(teacher, student), nats": [(slow.divergence, *slow.divergence_interval)],
    }
    if found.teacher is not None and found.teacher.top5 is not None:
        expected["top-5 accuracy"] = [percents(teacher.top5), percents(student.top5)]
    assert printed.keys() == expected.keys() | {"", "---"}
    for title, sides in expected.items():
        cells = [cell for cell in printed[title] if cell]
        assert len(cells) == len(sides)
        for (value, *ends), (expected_value, *expected_ends) in zip(cells, sides, strict=True):
            loose = 100 * SIMULATED if "without bias" in title else 0.0
            of_value, of_ends = (0.0000501, 0.0000501) if "nats" in title else (0.00501, 0.0501)
            assert value == pytest.approx(expected_value, abs=of_value + loose), title
            assert ends == pytest.approx(expected_ends, abs=of_ends + loose), title


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run whose student was exported: its card is written again for each measurement."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    words = ["--teacher", named("make_conv_teacher"), "--student", named("make_plain_conv"), "--shape", "1", "8", "8"]
    options = ["--rounds", "1", "--batch-size", "4", "--accelerator", "cpu", "--folder", str(folder)]
    assert main(["transfer", "noise", *words, *options, "--display", "quiet"]) == 0
    assert main(["export", str(folder), "--to", "safetensors", "--trust-code", "--display", "quiet"]) == 0
    return RunFolder(folder)


def test_costs_in_the_card_are_those_of_the_slow_script(exported: RunFolder) -> None:
    card = write_card(exported, exported.path / CARD).read_text()
    example = torch.randn(1, 1, 8, 8)
    for row, count in (
        ("parameters", lambda network: sum(each.numel() for each in network.parameters())),
        ("MACs", lambda network: slow_macs(network, example)),
    ):
        expected = " | ".join(f"{count(network):,}" for network in (make_conv_teacher(), make_plain_conv()))
        assert f"| {row} | {expected} |" in card


def test_there_are_twenty() -> None:
    assert len(HABITS) >= 20


@pytest.mark.parametrize("habit", HABITS)
def test_every_number_is_that_of_the_slow_script(habit: str, exported: RunFolder) -> None:
    output, pick = HABITS[habit]
    networks = [make(habit, seed) for seed in (1, 2)]
    loaded = [
        GivenNetwork.of(network, output=output).load_inspected(SPEC, role=role)
        for network, role in zip(networks, ("teacher", "student"), strict=True)
    ]
    num_classes = loaded[0][1].num_classes
    labels = torch.randint(num_classes, (len(INPUTS),), generator=torch.Generator().manual_seed(3))
    slow = slow_measurement(networks[0], networks[1], INPUTS, labels.tolist(), pick)
    data = examples_of(INPUTS, labels)
    found = measure_networks(loaded[0][0], loaded[1][0], SPEC, data, batch_size=50, accelerator="cpu")

    check(found.agreement, slow.agreement)
    check(found.divergence, slow.divergence, ends=slow.divergence_interval)
    sides: tuple[tuple[str, Any, SlowScores], ...] = (
        ("teacher", found.teacher, slow.teacher),
        ("student", found.student, slow.student),
    )
    for _, fast, expected in sides:
        assert fast is not None
        check(fast.top1, expected.top1)
        check(fast.top5, expected.top5 if num_classes > 5 else None)
        check(fast.calibration_error, expected.calibration_error, ends=expected.calibration_interval)
        debiased = fast.debiased_calibration_error
        assert (debiased.value, debiased.low, debiased.high) == pytest.approx(expected.debiased, abs=SIMULATED)
    check_table(str(found), slow, sides)
    check_card(exported, found, data, slow)
    for scored, (count, *fractions) in zip(found.classes, slow.by_class, strict=True):
        assert scored.num_images == count
        for estimate, expected in zip(
            (scored.agreement, scored.teacher_accuracy, scored.student_accuracy), fractions, strict=True
        ):
            check(estimate, expected, count)
    assert found.confusion is not None
    for row, expected_row in zip(found.confusion, slow.confusion, strict=True):
        for estimate, expected in zip(row, expected_row, strict=True):
            check(estimate, expected)

    cost = measure_cost(loaded[0][0], SPEC)
    assert cost.macs == slow_macs(networks[0], INPUTS[:1].double() if habit == "double" else INPUTS[:1].clone())
    kept = {id(each): each for each in networks[0].float().state_dict(keep_vars=True).values()}
    assert cost.bytes == sum(each.numel() * each.element_size() for each in kept.values())
    assert cost.parameters == sum(each.numel() for each in networks[0].parameters())
