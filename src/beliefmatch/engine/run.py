"""Running a transfer in a folder: start or resume, log, checkpoint, and write what came out."""

import copy
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from beliefmatch.engine.atomic import write_json
from beliefmatch.engine.checkpoint import load_checkpoint, save_checkpoint
from beliefmatch.engine.files import Result, Row
from beliefmatch.engine.pictures import write_curves, write_grid, write_plane
from beliefmatch.engine.record import RunFolder, settings_of
from beliefmatch.engine.state import modules_in, pack
from beliefmatch.engine.tensorboard import TensorBoardLog, check_tensorboard
from beliefmatch.engine.transfer import Transfer, TransferState, run_round, start, with_taps
from beliefmatch.errors import BeliefMatchError, DivergedError, NetworkError, SettingsError, first_line
from beliefmatch.models.cost import measure_cost, measure_latency, peak_memory
from beliefmatch.models.teacher import Teacher

logger = logging.getLogger(__name__)

Precision = Literal["32-true", "bf16-mixed", "64-true"]

Observer = Callable[[int, Row | None], None]
"""Called after every round with the rounds completed, and with the logged row where one was due."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Where and on what a run takes place. None of this changes what is computed, but for precision and devices."""

    folder: Path
    """Run folder; made if missing. A run in it is never overwritten."""
    resume: bool = False
    """Continue the run in the folder from its last checkpoint; begin it if there is none."""
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Kind of device."""
    devices: int = 1
    """Number of devices, one process each. The batch is shared out between them."""
    precision: Precision = "32-true"
    """Floating-point precision."""
    log_every: int | None = None
    """Rounds between lines of metrics.jsonl. Default: a hundredth of all, at most 100."""
    checkpoint_every: int | None = None
    """Rounds between checkpoints. Default: a twentieth of all, at most 500."""
    picture_every: int | None = None
    """Rounds between grids of pseudo images. Default: a tenth of all."""
    log: Literal["none", "tensorboard"] = "none"
    """Where logged rows go besides metrics.jsonl. tensorboard: the folder tensorboard within the run folder."""

    def __post_init__(self) -> None:
        for name in ("devices", "log_every", "checkpoint_every", "picture_every"):
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


def run(
    transfer: Transfer, options: RunOptions, *, observer: Observer | None = None, may_hold: tuple[str, ...] = ()
) -> Result:
    """Run a transfer to its end in a folder, or continue it there.

    Everything is checked before anything is written. torch's global random state is left as it was.

    Args:
        transfer: what to compute.
        options: where, and on what.
        observer: follows the run, in the first process alone.
        may_hold: names of files that a new run may find in its folder.

    Raises:
        BeliefMatchError: a network, a file or a setting does not fit; the folder cannot be used; training diverged.
    """
    options = options.filled(transfer.rounds)
    if options.log == "tensorboard":
        check_tensorboard()
    fabric = _make_fabric(options)
    share = transfer.plan.share(fabric)
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(transfer.seed)
        teacher = Teacher(transfer.teacher.load(transfer.inputs), transfer.inputs)
        student = transfer.student.build(teacher)
        transfer = replace(transfer, objective=with_taps(transfer.objective, teacher, student))
        settings = settings_of(
            transfer,
            teacher,
            num_processes=fabric.world_size,
            device=fabric.device.type,
            precision=options.precision,
        )
        folder = RunFolder(options.folder)
        if fabric.is_global_zero:
            folder.check_place(resume=options.resume, may_hold=may_hold)
            folder.check_settings(settings)
            rehearse(transfer, teacher, student, share=share, precision=options.precision)
        fabric.launch()
        if fabric.is_global_zero:
            folder.begin(settings)
            _say_taps(transfer)
        fabric.barrier()
        try:
            return _Run(transfer, options, teacher, student, folder=folder, fabric=fabric, observer=observer).to_end()
        finally:
            folder.release()


def rehearse(transfer: Transfer, teacher: Teacher, student: nn.Module, *, share: int, precision: Precision) -> None:
    """Do one round with copies of both networks, on the CPU and on two examples, before anything is written.

    Args:
        transfer: with the taps of its objective settled.
        teacher: copied.
        student: copied.
        share: examples a batch in one process; with one, the rehearsal takes one too.
        precision: of the run.

    Raises:
        NetworkError: a round fails in a way that a forward pass in eval mode did not show, such as batch-norm on one
            value a channel.
        BeliefMatchError: the source cannot serve these networks.
    """
    small = replace(transfer, batch_size=min(share, 2))
    with torch.random.fork_rng(devices=[]):
        try:
            copied = Teacher(copy.deepcopy(teacher.module), teacher.spec)
            fabric = Fabric(accelerator="cpu", devices=1, precision=precision)
            state = start(small, copied, copy.deepcopy(student), fabric)
            run_round(small, state, copied, fabric)
            pack(state)
        except BeliefMatchError:
            raise
        except Exception as error:
            # Networks are the user's own and can fail in any way.
            raise NetworkError(
                f"a first round in train mode fails: {type(error).__name__}: {first_line(error)}"
            ) from error


def _say_taps(transfer: Transfer) -> None:
    if transfer.objective.uses_taps:
        pairs = ", ".join(f"{pair.teacher} with {pair.student}" for pair in transfer.objective.taps or ())
        none = "none: these architectures declare no common taps; name some with --taps TEACHER_MODULE=STUDENT_MODULE"
        logger.info("attention transfer: %s", pairs or none)


def _make_fabric(options: RunOptions) -> Fabric:
    if options.accelerator == "cuda" and torch.cuda.device_count() < options.devices:
        raise SettingsError(f"{options.devices} CUDA devices were asked for and {torch.cuda.device_count()} are there")
    if options.accelerator == "mps" and not torch.backends.mps.is_available():
        raise SettingsError("no MPS device is there; try --accelerator auto")
    return Fabric(
        accelerator=options.accelerator,
        devices=options.devices,
        strategy="ddp" if options.devices > 1 else "auto",
        precision=options.precision,
    )


class _Run:
    """One run under way."""

    def __init__(
        self,
        transfer: Transfer,
        options: RunOptions,
        teacher: Teacher,
        student: nn.Module,
        *,
        folder: RunFolder,
        fabric: Fabric,
        observer: Observer | None,
    ) -> None:
        self.transfer = transfer
        self.options = options
        self.teacher = teacher
        self.folder = folder
        self.fabric = fabric
        self.observer = observer if fabric.is_global_zero else None
        self.costs = measure_cost(teacher.module, teacher.spec), measure_cost(student, teacher.spec)
        self.state: TransferState = start(transfer, teacher, student, fabric)
        self._count_passes()
        # Each process draws its own dropout, from here on.
        torch.manual_seed(transfer.seed + fabric.global_rank)
        self.seconds_before = self._resume()
        self.tensorboard: TensorBoardLog | None = None
        if fabric.is_global_zero:
            if facts := transfer.source.facts(self.state.source):
                write_json(folder.source, facts)
            if options.log == "tensorboard":
                self.tensorboard = TensorBoardLog(folder.path / "tensorboard", first_round=self.state.round)
        self.began = time.perf_counter()

    def _count_passes(self) -> None:
        def count_teacher(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            self.state.teacher_passes += len(inputs[0])

        def count_student(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            self.state.student_passes += len(inputs[0])

        self.counters = (
            self.teacher.module.register_forward_pre_hook(count_teacher),
            self.state.student.register_forward_pre_hook(count_student),
        )

    def to_end(self) -> Result:
        """Do the rounds that are left and write what came out."""
        while self.state.round < self.transfer.rounds:
            record = run_round(self.transfer, self.state, self.teacher, self.fabric)
            last = self.state.round == self.transfer.rounds
            pictured = last or self.state.round % self._every("picture") == 0
            row = self._log(record) if pictured or self.state.round % self._every("log") == 0 else None
            if pictured:
                self._picture()
            if last or self.state.round % self._every("checkpoint") == 0:
                self._checkpoint()
            if self.observer:
                self.observer(self.state.round, row)
        return self._finish()

    def _every(self, kind: Literal["log", "checkpoint", "picture"]) -> int:
        return getattr(self.options, f"{kind}_every")

    def _seconds(self) -> float:
        return self.seconds_before + time.perf_counter() - self.began

    def _resume(self) -> float:
        if not self.folder.checkpoint.is_file():
            if self.fabric.is_global_zero:
                self.folder.rewind_metrics(0)
            return 0.0
        resumed = load_checkpoint(self.folder.checkpoint, self.state, self.fabric)
        if self.fabric.is_global_zero:
            self.folder.rewind_metrics(resumed.round)
            logger.info("continuing %s after round %d", self.folder.path, resumed.round)
        return resumed.seconds

    def _log(self, record: dict[str, Tensor]) -> Row:
        self._stop_if_diverged()
        means = {name: value.mean(dim=0) if value.dim() else value for name, value in record.items()}
        joined = self.fabric.all_reduce(torch.cat([mean.flatten() for mean in means.values()]), reduce_op="mean")
        assert isinstance(joined, Tensor)
        row: Row = {"round": self.state.round, "seconds": round(self._seconds(), 3)}
        for name, value in zip(means, joined.cpu().split([mean.numel() for mean in means.values()]), strict=True):
            row[name] = value.item() if means[name].dim() == 0 else [round(part, 4) for part in value.tolist()]
        if self.fabric.is_global_zero:
            self.folder.append_metrics(row)
        if self.tensorboard:
            self.tensorboard.write(row)
        return row

    def _picture(self) -> None:
        if self.fabric.is_global_zero:
            inputs = self.transfer.source.samples(self.state.source, self.fabric)
            place = self.folder.pseudo / f"round_{self.state.round:06d}"
            if self.teacher.spec.is_image:
                write_grid(place.with_suffix(".png"), inputs, self.teacher.spec)
            elif self.teacher.spec.shape == (2,):
                write_plane(place.with_suffix(".npz"), inputs, self.teacher.module, self.state.student)

    def _checkpoint(self) -> None:
        self._stop_if_diverged()
        parameters = [parameter for module in modules_in(self.state) for parameter in module.parameters()]
        if not all(bool(parameter.isfinite().all()) for parameter in parameters):
            self.state.first_bad_round.fill_(self.state.round)
            self._stop_if_diverged()
        save_checkpoint(self.folder.checkpoint, self.state, seconds=self._seconds(), fabric=self.fabric)

    def _stop_if_diverged(self) -> None:
        bad = int(self.state.first_bad_round)
        if bad >= 0:
            kept = f"the checkpoint in {self.folder.path} is from before it" if self.folder.checkpoint.is_file() else ""
            raise DivergedError(
                f"a loss or gradient stopped being finite in round {bad}; {kept or 'no checkpoint was written yet'}. "
                "Try a lower --student-learning-rate or --source.learning-rate in another --folder"
            )

    def _finish(self) -> Result:
        for counter in self.counters:
            counter.remove()
        if self.tensorboard:
            self.tensorboard.close()
        if self.folder.result.is_file():
            result = self.folder.read_result()
        else:
            result = self._result()
            if self.fabric.is_global_zero:
                write_curves(self.folder.curves, self.folder.read_metrics())
                self.folder.write_student(self.state.student, self.transfer, self.teacher.num_classes)
                self.folder.write_result(result)
        self.fabric.barrier()
        return result

    def _result(self) -> Result:
        teacher_cost, student_cost = self.costs
        seconds = self._seconds()
        teacher_latency, student_latency = measure_latency((self.teacher.module, self.state.student), self.teacher.spec)
        published = self.transfer.published_rounds
        return Result(
            student_accuracy=None,
            teacher_accuracy=None,
            agreement=None,
            student_parameters=student_cost.parameters,
            teacher_parameters=teacher_cost.parameters,
            rounds=self.state.round,
            seconds=round(seconds, 3),
            budget=published and self.state.round / published,
            student_macs=student_cost.macs,
            teacher_macs=teacher_cost.macs,
            student_bytes=student_cost.bytes,
            teacher_bytes=teacher_cost.bytes,
            student_latency=student_latency,
            teacher_latency=teacher_latency,
            peak_memory=peak_memory(self.fabric.device),
            student_passes=self.state.student_passes * self.fabric.world_size,
            teacher_passes=self.state.teacher_passes * self.fabric.world_size,
        )
