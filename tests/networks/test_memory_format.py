"""Networks whose code depends on the memory format of its tensors give what they give in their own."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from beliefmatch.measurement import TransitionPlan, measure_pair
from beliefmatch.measurement.run import measure_networks
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.placement import choose_format, is_channels_last, keeps_contiguous, move_to_device
from beliefmatch.networks.teacher import Teacher
from beliefmatch.quantization.calibration_inputs import make_calibration_inputs
from beliefmatch.studies.compress import compress
from beliefmatch.studies.compression_plan import FEW_TO_TIME
from beliefmatch.training import budget

SPEC = InputSpec(shape=(3, 8, 8))
PIXELS = torch.randint(256, (40, 8, 8, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
PLAN = TransitionPlan(num_images=3, num_steps=3)


class Reading(nn.Module):
    """Reads the numbers of a feature map in some way."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way, self.conv, self.fc = way, nn.Conv2d(3, 4, 3, padding=1), nn.Linear(256, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        match self.way:
            case "view":
                return self.fc(x.view(len(x), -1))
            case "strided":
                return self.fc(torch.as_strided(x, (len(x), 256), (256, 1)))
            case "asserting":
                assert x.is_contiguous()
        return self.fc(x.flatten(1))


@pytest.mark.parametrize("way", ["view", "strided", "asserting"])
@pytest.mark.parametrize("moved", [False, True])
def test_classes_are_those_of_the_network_as_it_is(way: str, moved: bool) -> None:
    network = Reading(way)
    with torch.no_grad():
        labels = network(SPEC.from_pixels(PIXELS).contiguous()).argmax(dim=1)
    measure = measure_networks if moved else measure_pair
    found = measure(network, network, SPEC, PIXELS, labels, transition=PLAN)
    assert (found.teacher_accuracy, found.agreement.value) == (1, 1)
    assert keeps_contiguous(network) == moved


def test_a_network_that_reads_any_format_gets_the_faster_one(caplog: pytest.LogCaptureFixture) -> None:
    network = Reading("any")
    with caplog.at_level("INFO"):
        choose_format(network, SPEC, role="teacher")
    assert is_channels_last(network)
    assert not keeps_contiguous(network)
    assert not caplog.text


def test_what_computes_something_else_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        choose_format(Reading("strided"), SPEC, role="student")
    assert "the student does not serve in channels-last memory format, " in caplog.text
    assert "(it computes something else in it)" in caplog.text


class Volumes(nn.Module):
    """Convolves images in two dimensions, then in three, so that kernels have four axes and five."""

    def __init__(self) -> None:
        super().__init__()
        self.flat, self.deep, self.fc = nn.Conv2d(3, 4, 3), nn.Conv3d(1, 2, 3), nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.deep(self.flat(x)[:, None]).flatten(1))


def test_kernels_of_five_axes_stay_as_they_are() -> None:
    network, kept = Volumes(), Volumes()
    kept.load_state_dict(network.state_dict())
    choose_format(network, SPEC, role="teacher")
    assert is_channels_last(network)
    move_to_device(network, torch.device("cpu"), torch.float32)
    inputs = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(network(inputs), kept(inputs))
    volumes = nn.Conv3d(1, 2, 3)
    move_to_device(volumes, torch.device("cpu"), torch.float32)
    assert volumes.weight.is_contiguous()


class Training(Reading):
    """Reads its feature map by view() in train mode alone."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return self.fc(x.view(len(x), -1) if self.training else x.flatten(1))


NUM_TIMED = FEW_TO_TIME + 1
"""Rounds of which some are timed before the first."""


@pytest.mark.parametrize("student", [Reading("view"), Reading("asserting"), Training("view")])
def test_compress_takes_them(student: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "ESTIMATE_SECONDS", 0.1)
    result = compress(
        Reading("view"),
        student,
        shape=SPEC.shape,
        rounds=NUM_TIMED,
        batch_size=4,
        recipe="noise",
        folder=tmp_path / "run",
    )
    assert result.result.rounds == NUM_TIMED


def test_their_layout_is_found_before_rounds_are_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "ESTIMATE_SECONDS", 0.1)
    monkeypatch.setattr(budget, "is_of_memory_format", lambda _: False)
    how = {"rounds": NUM_TIMED, "batch_size": 4, "recipe": "noise"}
    compress(Reading("view"), Reading("view"), shape=SPEC.shape, folder=tmp_path / "run", **how)


def test_inputs_of_a_calibration_are_made_of_them() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), Reading("view"))
    network[2].conv = nn.Conv2d(4, 4, 3, padding=1)
    made = make_calibration_inputs(Teacher(network, SPEC), count=4, seed=0)
    assert "refined" in made.by_name
    assert all(each.is_contiguous() for each in (*made.by_name.values(), made.held_out))
    assert not keeps_contiguous(network)
