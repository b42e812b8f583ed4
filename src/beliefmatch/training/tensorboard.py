"""Logged rows for TensorBoard, where the user has it."""

from pathlib import Path
from typing import Protocol

from beliefmatch.errors import SettingsError
from beliefmatch.runs.schema.row import Row


class _Writer(Protocol):
    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None: ...

    def close(self) -> None: ...


class TensorBoardLog:
    """Writes every number of every logged row; frequencies of classes stay in metrics.jsonl."""

    def __init__(self, folder: Path, *, first_round: int) -> None:
        """Open a log.

        Args:
            folder: of the log; made if missing.
            first_round: rounds completed so far; what an earlier log holds of later ones is dropped.

        Raises:
            SettingsError: TensorBoard is not installed.
        """
        self.writer: _Writer = _make_writer(folder, first_round)

    def write(self, row: Row) -> None:
        """Write one logged row."""
        for name, value in row.items():
            if name != "round" and not isinstance(value, list):
                self.writer.add_scalar(name.replace("_", "/", 1), value, row["round"])

    def close(self) -> None:
        """Write what is left to write."""
        self.writer.close()


def check_tensorboard() -> None:
    """Check that TensorBoard is installed.

    Raises:
        SettingsError: it is not.
    """
    try:
        import torch.utils.tensorboard  # noqa: F401, PLC0415
    except ImportError:
        raise SettingsError("TensorBoard is not installed: pip install 'beliefmatch[tensorboard]'") from None


def _make_writer(folder: Path, first_round: int) -> _Writer:
    check_tensorboard()
    from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415

    return SummaryWriter(str(folder), purge_step=first_round + 1 if first_round else None)
