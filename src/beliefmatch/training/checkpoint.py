"""Saving all that moves, and continuing from it bit for bit."""

import io
import math
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from lightning_fabric import Fabric
from torch import Tensor

from beliefmatch.errors import ResumeError, first_line
from beliefmatch.runs.atomic import replacing
from beliefmatch.runs.folder import RunFolder
from beliefmatch.runs.reading import open_regular
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


def save_checkpoint(folder: RunFolder, state: TransferState, *, seconds: float, fabric: Fabric) -> None:
    """Write a checkpoint at once, from the first process, and keep the one before it. All processes must call.

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
        with replacing(folder.checkpoint, buffer.getvalue()):
            # A kill after this leaves the previous one, from which the run continues.
            if folder.checkpoint.is_file():
                folder.checkpoint.replace(folder.previous_checkpoint)


def find_checkpoint(folder: RunFolder) -> Path | None:
    """Return the newest checkpoint of a run; None where there is none."""
    return next((path for path in (folder.checkpoint, folder.previous_checkpoint) if os.path.lexists(path)), None)


def load_checkpoint(folder: RunFolder, path: Path, state: TransferState, fabric: Fabric) -> Resumed:
    """Load a checkpoint into a state that was started with the same settings.

    Args:
        folder: of the run.
        path: of the checkpoint.
        state: is changed in place.
        fabric: device and processes.

    Raises:
        ResumeError: it is damaged, or belongs to another kind of run.
    """
    try:
        with open_regular(path) as file:
            _check_records(file)
            file.seek(0)
            content: Any = torch.load(file, map_location=fabric.device, weights_only=True)
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ResumeError(f"was written by another version: expected checkpoint format {FORMAT}")
        unpack(state, content["state"])
        _set_random_state(content["random_states"][fabric.global_rank])
        return Resumed(round=state.round, seconds=_check_seconds(content["seconds"]))
    except ResumeError as error:
        raise ResumeError(f"{path} {error}") from error
    except Exception as error:
        # A damaged file can fail in any way, and all of them mean the same to the user.
        way_out = "remove it, and the run begins anew"
        if path == folder.checkpoint and folder.previous_checkpoint.is_file():
            way_out = f"remove it, and the run continues from the one before it, {folder.previous_checkpoint.name}"
        why = first_line(error).removeprefix(f"{path} ")
        raise ResumeError(f"{path} is damaged and cannot be continued ({why}): {way_out}") from error


def _check_records(file: BinaryIO) -> None:
    """Check the checksum of every record: torch writes them, and does not look at them when it reads."""
    with zipfile.ZipFile(file) as archive:
        if damaged := archive.testzip():
            raise ValueError(f"the checksum of its record {damaged} does not match")


def _check_seconds(seconds: Any) -> float:
    """Return the training time in a checkpoint, if it is one."""
    if not isinstance(seconds, float) or not 0 <= seconds < math.inf:
        raise ValueError(f"its training time is {str(seconds)[:60]}, expected seconds")
    return seconds


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
