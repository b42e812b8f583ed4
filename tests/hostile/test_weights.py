"""Keys of state dicts and metadata of safetensors files that hold any text."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from beliefmatch import load_model
from beliefmatch.networks.loading.network import make_network
from hostile_texts import KINDS, TEXTS, outcome


def weights() -> dict[str, torch.Tensor]:
    return make_network("mlp_8", in_channels=8, num_classes=10).state_dict()


def measure(capsys: pytest.CaptureFixture[str], file: Path, inputs: Path) -> tuple[int, str]:
    networks = [word for role in ("--teacher", "--student") for word in (role, "mlp_8", f"{role}.weights", file)]
    return outcome(capsys, "measure", *networks, "--shape", 8, "--images", inputs)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", ["key", "another key", "prefix", "wrapper"])
def test_keys_may_hold_any_text(
    place: str, kind: str, tmp_path: Path, inputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state, text = weights(), TEXTS[kind]
    match place:
        case "key":
            state[text] = state.pop(next(iter(state)))
        case "another key" | "wrapper":
            state[text] = torch.zeros(3)
        case _:
            state = {f"{text}.{key}": tensor for key, tensor in state.items()}
    save_file(state, tmp_path / "evil.safetensors")
    torch.save({text: state} if place == "wrapper" else state, tmp_path / "evil.pt")
    for suffix in ("safetensors", "pt"):
        code, error = measure(capsys, tmp_path / f"evil.{suffix}", inputs)
        # What stands before all keys is taken off, and told.
        assert code == (0 if place == "prefix" else 2), error


@pytest.mark.parametrize("kind", KINDS)
def test_metadata_may_hold_any_text(
    kind: str, tmp_path: Path, inputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "weights.safetensors"
    save_file(weights(), file, metadata={TEXTS[kind]: TEXTS[kind]})
    assert measure(capsys, file, inputs)[0] == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_may_have_any_name(kind: str, tmp_path: Path, inputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / f"{TEXTS[kind].replace('/', '')}.safetensors"
    save_file(weights(), file)
    assert measure(capsys, file, inputs)[0] == 0
    assert measure(capsys, file.with_suffix(".missing"), inputs)[0] == 2


def test_a_module_of_any_name_keeps_its_weights(tmp_path: Path) -> None:
    """What is loaded from such a file is what was saved, whatever the log says of its names."""
    file, state = tmp_path / "weights.safetensors", weights()
    save_file({f"{TEXTS['terminal escapes']}.{key}": tensor for key, tensor in state.items()}, file)
    loaded = load_model("mlp_8", weights=file, shape=(8,), num_classes=10).state_dict()
    assert all(torch.equal(loaded[key], tensor) for key, tensor in state.items())
