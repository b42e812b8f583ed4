"""Numbers that settings may have: finite, bounded, and refused with a way out before memory is taken."""

from pathlib import Path

import pytest

import beliefmatch.memory
from beliefmatch.cli import main
from beliefmatch.errors import NetworkError, SettingsError
from beliefmatch.memory import check_memory
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.network import make_network
from beliefmatch.training.options import RunOptions

TRANSFER = ("transfer", "noise", "--teacher", "mlp_8", "--student", "mlp_4", "--shape", "8", "--accelerator", "cpu")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--optimiser.learning-rate", "nan"), "--optimiser.learning-rate must be finite"),
        (("--optimiser.learning-rate", "inf"), "--optimiser.learning-rate must be finite"),
        (("--objective.temperature", "1e308"), "--objective.temperature must be finite and below 1e+300"),
        (("--batch-size", "1" + "0" * 30), "--batch-size must be finite and below 9e+18"),
        (("--batch-size", "1000000000000"), "a batch of 1,000,000,000,000 inputs of shape (8,) would take about"),
        (("--shape", "100000001"), "has more than 100,000,000 numbers"),
        (("--source.student-steps", "4294967297"), "--source.student-steps must be at most 1,000,000"),
        (("--rounds", "4294967297"), "--rounds must be at most 1,000,000,000"),
        (("--minutes", "1e308"), "--minutes must be above 0 and below 1,000,000"),
        (("--minutes", "nan"), "--minutes must be above 0 and below 1,000,000"),
        (("--minutes", "1", "--rounds", "1"), "--minutes and --rounds contradict each other: leave one out"),
        (("--minutes", "1", "--devices", "2"), "--minutes are for one device: give --rounds for 2"),
        (("--seed", "4294967296"), "--seed must be at least 0 and below 2**32"),
        (("--timeout", "0"), "--timeout must be above 0 and at most 86,400 seconds"),
    ],
)
def test_numbers_out_of_bounds_are_told_and_nothing_is_written(
    flags: tuple[str, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    assert main([*TRANSFER, "--folder", str(folder), *flags]) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert not folder.exists()


@pytest.mark.parametrize("flag", ["--mean", "--std", "--batch-size", "--transition-seed"])
def test_flags_of_every_command_are_checked(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    value = "1" + "0" * 30 if flag in ("--batch-size", "--transition-seed") else "nan"
    assert main(["measure", "run", "--images", "x.npz", flag, value]) == 2
    assert f"{flag} must be finite and below" in capsys.readouterr().err


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_normalisation_is_finite(value: float) -> None:
    with pytest.raises(SettingsError, match="mean must be finite"):
        InputSpec(shape=(1, 8, 8), mean=(value,))
    with pytest.raises(SettingsError, match="std must be finite"):
        InputSpec(shape=(1, 8, 8), std=(value,))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cifar_resnet_600002", "is too deep: at most 2000 layers"),
        ("mlp_9999999_9999999", "the parameters of mlp_9999999_9999999 would take about 372,529.5 GiB"),
        ("convnet_" + "9" * 4301, "is too large: a name has at most 100 numbers of 7 digits"),
        ("mlp_" + "_".join("9" * 300), "is too large"),
    ],
)
def test_networks_that_cannot_be_built_are_told_by_their_names(name: str, message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        make_network(name, in_channels=3, num_classes=10)


def test_the_deepest_of_the_literature_can_be_named() -> None:
    assert len(list(make_network("cifar_resnet_110", in_channels=3, num_classes=10).parameters())) > 200


def test_as_much_as_is_free_may_be_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beliefmatch.memory, "free_memory", lambda: 1000)
    check_memory(1000, "a pool", "take less", error=SettingsError)
    with pytest.raises(SettingsError, match=r"a pool would take about .* are free: take less"):
        check_memory(1001, "a pool", "take less", error=SettingsError)
    monkeypatch.setattr(beliefmatch.memory, "free_memory", lambda: None)
    check_memory(10**30, "a pool", "take less", error=SettingsError)


def test_a_day_may_be_waited() -> None:
    RunOptions(folder=Path("run"), timeout=86_400)
    with pytest.raises(SettingsError, match="timeout"):
        RunOptions(folder=Path("run"), timeout=86_401)
