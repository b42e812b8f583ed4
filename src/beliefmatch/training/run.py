"""Running a transfer in a folder: start or resume, log, checkpoint, and write what came out."""

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Literal

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from beliefmatch.networks.cost import measure_cost, measure_latency, peak_memory
from beliefmatch.networks.inputs import warn_of_assumed
from beliefmatch.networks.taps import why_no_pairs
from beliefmatch.networks.teacher import Teacher
from beliefmatch.runs.atomic import write_json
from beliefmatch.runs.folder import Result, Row
from beliefmatch.training.checkpoint import load_checkpoint, save_checkpoint
from beliefmatch.training.collapse_policy import BeginAgain, Guard, seconds_before, seed_of, settle_attempt
from beliefmatch.training.options import RunOptions, choose_accelerator
from beliefmatch.training.pictures import write_curves, write_grid, write_plane
from beliefmatch.training.precision import SettledPrecision, make_fabric, settle_precision
from beliefmatch.training.preflight import rehearse
from beliefmatch.training.rounds import Rounds, fastest_kernels
from beliefmatch.training.run_folder import RunFolder, settings_of
from beliefmatch.training.state import modules_in
from beliefmatch.training.tensorboard import TensorBoardLog, check_tensorboard
from beliefmatch.training.transfer import Transfer, TransferState, settle, start

logger = logging.getLogger(__name__)

Observer = Callable[[int, Row | None], None]
"""Called after every round with the rounds completed, and with the logged row where one was due."""
Follow = Callable[[str, int], AbstractContextManager[Observer]]
"""Gives an observer for the run of this name and so many rounds, which is left when the run ends."""


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
        BeliefMatchError: a network, a file or a setting does not fit; the folder cannot be used; training collapsed
            and the options say to stop then.
    """
    options = options.filled(transfer.rounds)
    if options.micro_batch is not None:
        transfer = replace(transfer, micro_batch=options.micro_batch)
    if options.log == "tensorboard":
        check_tensorboard()
    folder = RunFolder(options.folder)
    accelerator = choose_accelerator(options)
    precision = _choose_precision(options, folder, accelerator)
    fabric = make_fabric(accelerator, precision, devices=options.devices)
    share = transfer.plan.share(fabric)
    with fastest_kernels(), torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        teacher, student = _make_networks(transfer)
        transfer = settle(transfer, teacher, student)
        settings = settings_of(
            transfer,
            teacher,
            num_processes=fabric.world_size,
            device=fabric.device.type,
            precision=precision,
        )
        if fabric.is_global_zero:
            folder.check_place(resume=options.resume, may_hold=may_hold)
            folder.check_settings(settings)
            rehearse(transfer, teacher, student, share=share, precision=precision)
        fabric.launch()
        if fabric.is_global_zero:
            folder.begin(settings)
            warn_of_assumed(transfer.inputs)
            _say_taps(transfer, teacher, student)
        fabric.barrier()
        try:
            return _do_attempts(transfer, options, teacher, student, folder=folder, fabric=fabric, observer=observer)
        finally:
            folder.release()


def _make_networks(transfer: Transfer, attempt: int = 0) -> tuple[Teacher, nn.Module]:
    """Load the teacher, which the seed of the run decides where it has no weights, and make an attempt's student."""
    torch.manual_seed(transfer.seed)
    teacher = Teacher(transfer.teacher.load(transfer.inputs), transfer.inputs)
    if attempt:
        torch.manual_seed(seed_of(transfer.seed, attempt))
    return teacher, transfer.student.build(teacher)


def _do_attempts(
    transfer: Transfer,
    options: RunOptions,
    teacher: Teacher,
    student: nn.Module,
    *,
    folder: RunFolder,
    fabric: Fabric,
    observer: Observer | None,
) -> Result:
    """Do attempts, mostly one, until one comes to its end."""
    while True:
        if attempt := settle_attempt(folder, fabric):
            teacher, student = _make_networks(transfer, attempt)
        seeded = replace(transfer, seed=seed_of(transfer.seed, attempt))
        try:
            return _Run(
                seeded, options, teacher, student, folder=folder, fabric=fabric, observer=observer, attempt=attempt
            ).to_end()
        except BeginAgain:
            continue


def _say_taps(transfer: Transfer, teacher: Teacher, student: nn.Module) -> None:
    if transfer.objective.uses_taps:
        pairs = ", ".join(f"{pair.teacher} with {pair.student}" for pair in transfer.objective.taps or ())
        none = f"none found, none used: {why_no_pairs(teacher.module, student, transfer.inputs)}"
        logger.info("attention transfer: %s", pairs or none)


def _choose_precision(options: RunOptions, folder: RunFolder, accelerator: str) -> SettledPrecision:
    if options.precision == "auto" and options.resume and folder.holds_run:
        return folder.read()["settings"]["precision"]
    return settle_precision(options.precision, accelerator)


class _Run:
    """One attempt under way: mostly the whole run."""

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
        attempt: int,
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
        self.guard = Guard(
            transfer,
            options.on_collapse,
            folder=folder,
            fabric=fabric,
            attempt=attempt,
            last_round=self.state.round,
        )
        self.rounds = Rounds(transfer, self.state, teacher, fabric, options.execution)
        logger.info("on %s in %s, %s", fabric.device.type, fabric._precision.precision, self.rounds.describe())
        self.tensorboard: TensorBoardLog | None = None
        if fabric.is_global_zero:
            if facts := transfer.source.facts(self.state.source):
                write_json(folder.source, facts)
            if options.log == "tensorboard":
                place = folder.path / "tensorboard"
                place = place / f"restart_{attempt}" if attempt else place
                self.tensorboard = TensorBoardLog(place, first_round=self.state.round)
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
        """Do the rounds that are left and write what came out.

        Raises:
            BeginAgain: it collapsed, and the options say to begin again then.
        """
        try:
            self._do_rounds()
        finally:
            self._let_go()
        return self._finish()

    def _do_rounds(self) -> None:
        while self.state.round < self.transfer.rounds:
            record = self.rounds.next()
            last = self.state.round == self.transfer.rounds
            pictured = last or self.state.round % self._every("picture") == 0
            row = self._log(record) if pictured or self.state.round % self._every("log") == 0 else None
            if pictured:
                self._picture()
            if last or self.state.round % self._every("checkpoint") == 0:
                self._checkpoint()
            if self.observer:
                self.observer(self.state.round, row)

    def _let_go(self) -> None:
        """Give both networks back as they were, and close the log."""
        self.rounds.end()
        for counter in self.counters:
            counter.remove()
        if self.tensorboard:
            self.tensorboard.close()

    def _every(self, kind: Literal["log", "checkpoint", "picture"]) -> int:
        return getattr(self.options, f"{kind}_every")

    def _seconds(self) -> float:
        return self.seconds_before + time.perf_counter() - self.began

    def _resume(self) -> float:
        if not self.folder.checkpoint.is_file():
            if self.fabric.is_global_zero:
                self.folder.rewind_metrics(0)
            return seconds_before(self.folder)
        resumed = load_checkpoint(self.folder.checkpoint, self.state, self.fabric)
        if self.fabric.is_global_zero:
            self.folder.rewind_metrics(resumed.round)
            logger.info("continuing %s after round %d", self.folder.path, resumed.round)
        return resumed.seconds

    def _log(self, record: dict[str, Tensor]) -> Row:
        self._check_finite()
        means = {name: value.mean(dim=0) if value.dim() else value for name, value in record.items()}
        joined = self.fabric.all_reduce(torch.cat([mean.flatten() for mean in means.values()]), reduce_op="mean")
        assert isinstance(joined, Tensor)
        row: Row = {"round": self.state.round, "seconds": round(self._seconds(), 3)}
        row["student_steps"] = len(record["student_loss"])
        for name, value in zip(means, joined.cpu().split([mean.numel() for mean in means.values()]), strict=True):
            row[name] = value.item() if means[name].dim() == 0 else [round(part, 4) for part in value.tolist()]
        row["confidence_gap"] = row["teacher_confidence"] - row["student_confidence"]
        if self.fabric.is_global_zero:
            self.folder.append_metrics(row)
        if self.tensorboard:
            self.tensorboard.write(row)
        self.guard.see(row)
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
        parameters = [parameter for module in modules_in(self.state) for parameter in module.parameters()]
        self._check_finite()
        if not all(bool(parameter.isfinite().all()) for parameter in parameters):
            self.state.first_bad_round.fill_(self.state.round)
            self._check_finite()
        save_checkpoint(self.folder.checkpoint, self.state, seconds=self._seconds(), fabric=self.fabric)

    def _check_finite(self) -> None:
        bad = int(self.state.first_bad_round)
        if bad >= 0:
            self.guard.diverged(bad, round(self._seconds(), 3))

    def _finish(self) -> Result:
        if self.folder.result.is_file():
            result = self.folder.read_result()
        else:
            result = self._result()
            if self.fabric.is_global_zero:
                rows = self.folder.read_metrics()
                self.guard.end(rows)
                write_curves(self.folder.curves, rows)
                self.folder.write_student(self.state.student, self.transfer, self.teacher.num_classes)
                self.folder.write_result(result)
        self.fabric.barrier()
        return result

    def _result(self) -> Result:
        teacher_cost, student_cost = self.costs
        seconds = self._seconds()
        teacher_latency, student_latency = measure_latency((self.teacher.module, self.state.student), self.teacher.spec)
        usual = self.transfer.usual_rounds
        return Result(
            student_accuracy=None,
            teacher_accuracy=None,
            agreement=None,
            student_parameters=student_cost.parameters,
            teacher_parameters=teacher_cost.parameters,
            rounds=self.state.round,
            seconds=round(seconds, 3),
            budget=usual and self.state.round / usual,
            student_macs=student_cost.macs,
            teacher_macs=teacher_cost.macs,
            student_bytes=student_cost.bytes,
            teacher_bytes=teacher_cost.bytes,
            student_latency=student_latency,
            teacher_latency=teacher_latency,
            peak_memory=peak_memory(self.fabric.device),
            student_passes=self.state.student_passes * self.fabric.world_size,
            teacher_passes=self.state.teacher_passes * self.fabric.world_size,
            collapses=tuple(self.folder.read_collapses()),
        )
