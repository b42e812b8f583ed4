"""Where and on what a run takes place."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from beliefmatch.engine.precision import Precision
from beliefmatch.engine.rounds import Execution
from beliefmatch.errors import SettingsError


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Where and on what a run takes place. None of this changes what is computed, but for precision, devices and the
    micro-batch of networks with batch-norm.
    """

    folder: Path
    """Run folder; made if missing. A run in it is never overwritten."""
    resume: bool = False
    """Continue the run in the folder from its last checkpoint; begin it if there is none."""
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Kind of device."""
    devices: int = 1
    """Number of devices, one process each. The batch is shared out between them."""
    precision: Precision = "auto"
    """Floating-point precision. auto: that of the run that is continued; otherwise bf16-mixed on hardware that
    multiplies 16-bit floats, and 32-true on other."""
    micro_batch: int | None = None
    """Examples that pass teacher and student at once on one device, where a whole batch does not fit in memory.
    Gradients are those of the whole batch, but where batch-norm takes statistics it takes them of the micro-batch."""
    execution: Execution = "auto"
    """auto: rounds are captured as a CUDA graph where that can be, otherwise eager. compiled: the same with both
    networks compiled by torch.compile, which takes minutes before the first round. eager: step by step."""
    log_every: int | None = None
    """Rounds between lines of metrics.jsonl. Default: a hundredth of all, at most 100."""
    checkpoint_every: int | None = None
    """Rounds between checkpoints. Default: a twentieth of all, at most 500."""
    picture_every: int | None = None
    """Rounds between grids of pseudo images. Default: a tenth of all."""
    log: Literal["none", "tensorboard"] = "none"
    """Where logged rows go besides metrics.jsonl. tensorboard: the folder tensorboard within the run folder."""

    def __post_init__(self) -> None:
        for name in ("devices", "micro_batch", "log_every", "checkpoint_every", "picture_every"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise SettingsError(f"{name} must be at least 1; got {value}")

    def filled(self, rounds: int) -> "RunOptions":
        """Settle the intervals that were left open."""
        return replace(
            self,
            log_every=self.log_every or min(max(rounds // 100, 1), 100),
            checkpoint_every=self.checkpoint_every or min(max(rounds // 20, 1), 500),
            picture_every=self.picture_every or max(rounds // 10, 1),
        )
