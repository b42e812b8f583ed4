"""Saving all that moves, and continuing from it bit for bit."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from beliefmatch.errors import ResumeError, first_line
from beliefmatch.runs.atomic import write_bytes
from beliefmatch.training.loop import TransferState
from beliefmatch.training.state import Packed, pack, unpack

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Resumed:
    """What a checkpoint holds besides the state."""

    round: int
    """Rounds completed."""
    seconds: float
    """Training time spent so far."""


def save_checkpoint(path: Path, state: TransferState, *, seconds: float, fabric: Fabric) -> None:
    """Write a checkpoint at once, from the first process. All processes must call.

    Raises:
        FolderError: it cannot be written, by a full disk for instance; the old one is untouched.
    """
    random_states = _gather_random_states(fabric)
    if fabric.is_global_zero:
        content: Packed = {
            "format": FORMAT,
            "seconds": seconds,
            "random_states": random_states,
            "state": pack(state),
        }
        buffer = io.BytesIO()
        torch.save(content, buffer)
        write_bytes(path, buffer.getvalue())


def load_checkpoint(path: Path, state: TransferState, fabric: Fabric) -> Resumed:
    """Load a checkpoint into a state that was started with the same settings.

    Raises:
        ResumeError: it is damaged, or belongs to another kind of run.
    """
    try:
        content: Any = torch.load(path, map_location=fabric.device, weights_only=True)
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ResumeError(f"was written by another version: expected checkpoint format {FORMAT}")
        unpack(state, content["state"])
        _set_random_state(content["random_states"][fabric.global_rank])
    except ResumeError as error:
        raise ResumeError(f"{path} {error}") from error
    except Exception as error:
        # A damaged file can fail in any way, and all of them mean the same to the user.
        raise ResumeError(f"{path} is damaged and cannot be continued: {first_line(error)}") from error
    return Resumed(round=state.round, seconds=content["seconds"])


def _gather_random_states(fabric: Fabric) -> list[dict[str, Any]]:
    """Collect torch's own random state from every process: a student with dropout moves it."""
    local: dict[str, Any] = {"cpu": torch.get_rng_state(), "cuda": None}
    if fabric.device.type == "cuda":
        local["cuda"] = torch.cuda.get_rng_state(fabric.device)
    if fabric.world_size == 1:
        return [local]
    gathered = {name: _gather(value, fabric) for name, value in local.items()}
    return [{name: values[rank] for name, values in gathered.items()} for rank in range(fabric.world_size)]


def _gather(value: Tensor | None, fabric: Fabric) -> list[Tensor] | list[None]:
    if value is None:
        return [None] * fabric.world_size
    gathered = fabric.all_gather(value.to(fabric.device))
    assert isinstance(gathered, Tensor)
    # Setting a random state ignores where in its storage a view begins, so each row gets a storage of its own.
    return [row.clone() for row in gathered.cpu()]


def _set_random_state(random_state: dict[str, Any]) -> None:
    torch.set_rng_state(random_state["cpu"].cpu())
    if random_state["cuda"] is not None:
        torch.cuda.set_rng_state(random_state["cuda"].cpu())
