"""The folder, device and precision of a run."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from beliefmatch.checks import check_numbers
from beliefmatch.errors import SettingsError
from beliefmatch.paths import as_path
from beliefmatch.setting_names import Setting
from beliefmatch.training.precision import TIMEOUT, Precision

OnCollapse = Literal["continue", "stop", "restart"]
ExecutionName = Literal["auto", "eager", "captured", "compiled"]
"""How rounds are done; see `RunOptions.execution`."""
MAX_TIMEOUT = 86_400
"""Seconds; a day."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """The folder, device and precision of a run. None of this changes what is computed, but for precision, devices, the
    micro-batch of networks with batch-norm, and a restart after a collapse.
    """

    folder: Path
    """Run folder; made if missing. A run in it is never overwritten."""
    resume: bool = False
    """Continue the run in the folder from its last checkpoint; begin it if there is none."""
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Kind of device."""
    devices: int = 1
    """Number of devices, one process each. Each takes its shard of the batch."""
    timeout: float = TIMEOUT
    """Seconds that the processes of several devices wait for each other, above 0 and at most 86,400. Then all of them
    end."""
    precision: Precision = "auto"
    """Floating-point precision. auto: that of the run that is continued; otherwise bf16-mixed on hardware that
    multiplies 16-bit floats, and 32-true on other."""
    micro_batch: int | None = None
    """Most examples that pass teacher and student at once on one device, where a whole batch does not fit in memory.
    Gradients are those of the whole batch but for what a batch has as a whole: batch-norm takes its statistics of the
    micro-batch, and so do a source's terms statistics, balance and contrast."""
    execution: ExecutionName = "auto"
    """captured: rounds are recorded as a CUDA graph and replayed, where that can be; otherwise eager. compiled: the
    same with both networks compiled by torch.compile, which takes a minute or more before the first round. auto:
    compiled where rounds are captured and the student has 100,000 steps or more to take, for which that pays;
    otherwise captured. eager: step by step."""
    deterministic: bool = False
    """Whether torch uses its deterministic algorithms, so that a run that is resumed on a GPU gives the student of a
    whole one bit for bit, where torch has such algorithms; a CPU does so anyway. Rounds are slower, and auto compiles
    none. On CUDA it needs CUBLAS_WORKSPACE_CONFIG=:4096:8 in the environment."""
    log_every: int | None = None
    """Rounds between lines of metrics.jsonl. Default: a hundredth of all, at most 100."""
    checkpoint_every: int | None = None
    """Rounds between checkpoints. Default: a twentieth of all, at most 500."""
    picture_every: int | None = None
    """Rounds between grids of pseudo images. Default: a tenth of all."""
    log: Literal["none", "tensorboard"] = "none"
    """Where logged rows go besides metrics.jsonl. tensorboard: the folder tensorboard within the run folder."""

    on_collapse: OnCollapse = "continue"
    """What to do when the student gives one class, all inputs are alike, a confidence is pinned, or a loss is not
    finite. continue: log it once and go on, where losses are finite. stop: end the run. restart: begin again with
    another seed, at most three times. All of it stands in collapses.json and in the report."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", as_path(self.folder, "folder"))
        check_numbers(self)
        for name in ("devices", "micro_batch", "log_every", "checkpoint_every", "picture_every"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise SettingsError(f"{Setting(name)} must be at least 1; got {value}")

        if not 0 < self.timeout <= MAX_TIMEOUT:
            raise SettingsError(
                f"{Setting('timeout')} must be above 0 and at most {MAX_TIMEOUT:,} seconds; got {self.timeout}"
            )

    def with_intervals(self, rounds: int) -> "RunOptions":
        """Return the same options with the intervals that were left open resolved for so many rounds."""
        return replace(
            self,
            log_every=self.log_every or min(max(rounds // 100, 1), 100),
            checkpoint_every=self.checkpoint_every or min(max(rounds // 20, 1), 500),
            picture_every=self.picture_every or max(rounds // 10, 1),
        )


def choose_accelerator(options: RunOptions) -> Literal["cpu", "cuda", "mps"]:
    """Return the kind of device; for auto, the fastest there is.

    Raises:
        SettingsError: what was asked for is not there.
    """
    if options.accelerator == "cuda" and torch.cuda.device_count() < options.devices:
        raise SettingsError(f"{options.devices} CUDA devices were asked for and {torch.cuda.device_count()} are there")
    if options.accelerator == "mps" and not torch.backends.mps.is_available():
        raise SettingsError(f"no MPS device is there; try {Setting('accelerator', 'auto')}")
    if options.accelerator != "auto":
        return options.accelerator
    return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
