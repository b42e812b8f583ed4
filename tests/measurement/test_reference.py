"""Every number of a measurement and its table, a second time by a slow plain script: 20 networks of unusual habits."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from beliefmatch.measurement.run import measure_networks
from beliefmatch.networks.cost import measure_cost
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.given import GivenNetwork
from beliefmatch.runs.schema.measurement import Estimate
from reference.slow_measurement import SlowScores, slow_macs, slow_measurement, slow_wilson

pytestmark = pytest.mark.long

SPEC = InputSpec(shape=(3, 8, 8))
RANDOM = torch.Generator().manual_seed(0)
INPUTS = torch.randn(101, 3, 8, 8, generator=RANDOM)
NUM_CLASSES = 7


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


def check(estimate: Estimate | None, expected: float | None, count: int = len(INPUTS), *, share: bool = True) -> None:
    if expected is None:
        assert estimate is None
        return
    assert estimate is not None
    assert estimate.value == pytest.approx(expected, abs=1e-6)
    if share:
        assert (estimate.low, estimate.high) == pytest.approx(slow_wilson(expected, count), abs=1e-6)


def test_there_are_twenty() -> None:
    assert len(HABITS) >= 20


@pytest.mark.parametrize("habit", HABITS)
def test_every_number_is_that_of_the_slow_script(habit: str) -> None:
    output, pick = HABITS[habit]
    networks = [make(habit, seed) for seed in (1, 2)]
    loaded = [
        GivenNetwork.of(network, output=output).load_inspected(SPEC, role=role)
        for network, role in zip(networks, ("teacher", "student"), strict=True)
    ]
    num_classes = loaded[0][1].num_classes
    labels = torch.randint(num_classes, (len(INPUTS),), generator=torch.Generator().manual_seed(3))
    slow = slow_measurement(networks[0], networks[1], INPUTS, labels.tolist(), pick)
    found = measure_networks(loaded[0][0], loaded[1][0], SPEC, INPUTS, labels, batch_size=50, accelerator="cpu")

    check(found.agreement, slow.agreement)
    check(found.divergence, slow.divergence, share=False)
    table = dict(re.findall(r"^(\S.*?)  +([\d.]+) ", str(found), flags=re.MULTILINE))
    assert float(table["agreement, %"]) == pytest.approx(100 * slow.agreement, abs=0.00501)
    assert float(table["KL(teacher || student), nats"]) == pytest.approx(slow.divergence, abs=0.0000501)
    sides: tuple[tuple[str, Any, SlowScores], ...] = (
        ("teacher", found.teacher, slow.teacher),
        ("student", found.student, slow.student),
    )
    for role, fast, expected in sides:
        assert fast is not None
        check(fast.top1, expected.top1)
        check(fast.top5, expected.top5 if num_classes > 5 else None)
        check(fast.calibration_error, expected.calibration_error, share=False)
        assert float(table[f"{role} accuracy, %"]) == pytest.approx(100 * expected.top1, abs=0.00501)
        shown = float(table[f"{role} calibration error, %"])
        assert shown == pytest.approx(100 * expected.calibration_error, abs=0.00501)
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
