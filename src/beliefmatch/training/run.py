"""Running a transfer in a folder: prepare, preflight, train, finish."""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace

import torch
from lightning_fabric.utilities.rank_zero import rank_zero_only

from beliefmatch.log_once import log_once
from beliefmatch.networks.cost import measure_latency, peak_memory
from beliefmatch.networks.normalisation import warn_of_default_normalisation
from beliefmatch.runs.folder import RunFolder
from beliefmatch.runs.pruning import write_plan
from beliefmatch.runs.schema.result import Result
from beliefmatch.runs.schema.row import Row
from beliefmatch.runs.serialisation import default_names
from beliefmatch.runs.student_checksum import is_student_whole
from beliefmatch.sources.pooled import PooledSettings
from beliefmatch.students.pruned import PrunedStudent
from beliefmatch.training.attempt import Attempt, begin_attempt
from beliefmatch.training.collapse_policy import BeginAgain, advance_attempt, seed_of
from beliefmatch.training.execution.kernels import deterministic_kernels, fastest_kernels
from beliefmatch.training.interruption import deferring_signals
from beliefmatch.training.options import RunOptions, choose_accelerator
from beliefmatch.training.pace import Pace
from beliefmatch.training.pictures import write_curves
from beliefmatch.training.preflight import preflight
from beliefmatch.training.prepare import Prepared, log_taps, prepare, prepare_again, warn_of_larger_student
from beliefmatch.training.processes import ending_together
from beliefmatch.training.progress import RunProgress
from beliefmatch.training.run_settings import settings_of
from beliefmatch.training.sensitivity import record_sensitivity
from beliefmatch.training.student_files import checksum, write_student
from beliefmatch.training.tensorboard import check_tensorboard
from beliefmatch.training.transfer import Transfer

logger = logging.getLogger(__name__)

Observer = Callable[[int, Row | None], None]
"""Called after every round with the rounds completed, and with the logged row where one was due."""
Follow = Callable[[str, int], AbstractContextManager[Observer]]
"""Gives an observer for the run of this name and so many rounds, which is left when the run ends."""


def run(
    transfer: Transfer,
    options: RunOptions,
    *,
    progress: bool = True,
    on_round: Observer | None = None,
    may_hold: tuple[str, ...] = (),
    folder: RunFolder | None = None,
) -> Result:
    """Run a transfer to its end in a folder, or continue it there.

    Everything is checked before anything is written. torch's global random state is left as it was. Ctrl-C ends the
    round under way and writes a checkpoint; the same call with `resume=True` in the options continues from it.

    Args:
        transfer: what to compute.
        options: where, and on what.
        progress: whether to show the rounds and the time left: a bar in a terminal or a notebook, else lines on the
            standard error.
        on_round: called in the first process after every round with the number of rounds completed and the row that
            metrics.jsonl got, or None in rounds that log none. What it raises ends the run, which can be continued.
        may_hold: names of files that a new run may find in its folder.
        folder: the run folder, where the caller has locked it already; it is unlocked at the end.

    Raises:
        BeliefMatchError: a network, a file or a setting does not fit; the folder cannot be used; training collapsed
            and the options ask to stop then.
    """
    options, folder = options.with_intervals(transfer.rounds), folder or RunFolder(options.folder)
    pace = None if transfer.minutes is None else Pace(transfer.minutes, transfer.rounds)
    if options.log == "tensorboard":
        check_tensorboard()
    with ExitStack() as stack:
        stack.enter_context(_kernels(options))
        stack.enter_context(torch.random.fork_rng(devices=range(torch.cuda.device_count())))
        if getattr(rank_zero_only, "rank", 0) == 0:
            # Networks may take long to load.
            folder.check_usable(resume=options.resume, may_hold=may_hold)
        prepared = prepare(transfer, options)
        stack.enter_context(ending_together(prepared.fabric, timeout=options.timeout))
        try:
            _begin_folder(prepared, options, folder, may_hold)
            while True:
                number = advance_attempt(folder, prepared.fabric)
                if number > 0:
                    prepared = prepare_again(prepared, seed=seed_of(transfer.seed, number))
                try:
                    with (
                        begin_attempt(prepared, options, folder, number) as attempt,
                        _showing(transfer.rounds if progress else None) as shown,
                    ):
                        train(attempt, _both(_both(shown, pace), on_round))
                    was_finished = folder.result.is_file()
                    result = finish(attempt)
                except BeginAgain:
                    continue
                if prepared.fabric.is_global_zero and not was_finished:
                    record_sensitivity(prepared, result, folder)
                return result
        finally:
            folder.release()


def _kernels(options: RunOptions) -> AbstractContextManager[None]:
    """Return the choice of kernels for a run, which holds until its block ends."""
    return deterministic_kernels(choose_accelerator(options)) if options.deterministic else fastest_kernels()


def _showing(num_rounds: int | None) -> AbstractContextManager[Observer | None]:
    """Return the progress of so many rounds; of None, nothing that is shown."""
    return nullcontext() if num_rounds is None else RunProgress(num_rounds)


def _both(first: Observer | None, second: Observer | None) -> Observer | None:
    """Return what calls both, as far as they are there."""
    if first is None or second is None:
        return first or second

    def call(completed: int, row: Row | None) -> None:
        first(completed, row)
        second(completed, row)

    return call


def train(attempt: Attempt, observer: Observer | None) -> None:
    """Run the rounds that are left. Log a row, check for a collapse, write pictures and checkpoints, each when due.

    Raises:
        CollapseError: it collapsed, and the options ask to stop then.
        BeginAgain: it collapsed, and the options ask to begin again then.
        KeyboardInterrupt: Ctrl-C was pressed; a checkpoint of the last round is written.
        SystemExit: SIGTERM or SIGHUP came, likewise.
    """
    state, recorder, policy, fabric = attempt.state, attempt.recorder, attempt.policy, attempt.prepared.fabric
    source = attempt.prepared.transfer.source
    if state.round == 0 and isinstance(source, PooledSettings) and source.warm_up:
        # Where making one takes many steps, minutes may pass before the first round is over.
        logger.info("the first round makes %d more batches of inputs than others do", source.warm_up)
    with deferring_signals(num_processes=fabric.world_size) as interruption:
        while state.round < attempt.prepared.transfer.rounds:
            metrics = attempt.execution.next()
            row = None
            if recorder.row_is_due:
                policy.check_finite()
                row = recorder.write_row(metrics)
                policy.check_row(row)
            if recorder.picture_is_due:
                recorder.write_picture()
            if recorder.checkpoint_is_due:
                policy.check_parameters()
                recorder.write_checkpoint()
            if observer and fabric.is_global_zero:
                observer(state.round, row)
            if interruption.signal:
                policy.check_parameters()
                recorder.write_checkpoint()
                interruption.end_run()


def finish(attempt: Attempt) -> Result:
    """Write the result, the student and its learning curves, unless an earlier end of the run did.

    A student that was removed or damaged since is written again.
    """
    folder, prepared = attempt.recorder.folder, attempt.prepared
    if folder.result.is_file():
        result = folder.read_result()
        if prepared.fabric.is_global_zero and not is_student_whole(folder):
            sha256 = write_student(folder, attempt.state.student, prepared.transfer, prepared.inspection)
            folder.write_result(replace(result, student_sha256=sha256))
            logger.warning("the student in %s was missing or damaged, and was written again", folder.path)
    else:
        result = _make_result(attempt)
        if prepared.fabric.is_global_zero:
            rows = folder.read_metrics()
            attempt.policy.log_short_run(rows)
            write_curves(folder.curves, rows)
            write_student(folder, attempt.state.student, prepared.transfer, prepared.inspection)
            folder.write_result(result)
    prepared.fabric.barrier()
    return result


def _begin_folder(prepared: Prepared, options: RunOptions, folder: RunFolder, may_hold: tuple[str, ...]) -> None:
    """Check folder, settings and a first round, and only then take the folder and start all processes."""
    fabric = prepared.fabric
    settings = settings_of(
        prepared.transfer,
        prepared.teacher,
        num_processes=fabric.world_size,
        device=fabric.device.type,
        precision=prepared.precision,
    )
    if fabric.is_global_zero:
        folder.check_usable(resume=options.resume, may_hold=may_hold)
        folder.check_settings(settings)
        preflight(prepared)
    fabric.launch()
    if fabric.is_global_zero:
        defaults = default_names(prepared.transfer)
        folder.begin(settings, resume=options.resume, may_hold=may_hold, defaults=defaults)
        if isinstance(prepared.transfer.student, PrunedStudent) and prepared.transfer.student.plan is not None:
            write_plan(folder, prepared.transfer.student.plan)
        warn_of_default_normalisation(prepared.transfer.inputs)
        warn_of_larger_student(prepared)
        log_taps(prepared)
    fabric.barrier()


def _make_result(attempt: Attempt) -> Result:
    seconds, state = attempt.clock.seconds, attempt.state
    transfer, teacher, fabric = attempt.prepared.transfer, attempt.prepared.teacher, attempt.prepared.fabric
    log_once(logger, logging.INFO, "measuring the latency of both networks, one example at a time")
    teacher_latency, student_latency = measure_latency((teacher.module, state.student), teacher.spec)
    return Result(
        student_accuracy=None,
        teacher_accuracy=None,
        agreement=None,
        student_parameters=attempt.student_cost.parameters,
        teacher_parameters=attempt.teacher_cost.parameters,
        rounds=state.round,
        seconds=round(seconds, 3),
        student_sha256=checksum(state.student),
        rounds_fraction=transfer.usual_rounds and state.round / transfer.usual_rounds,
        student_macs=attempt.student_cost.macs or None,
        teacher_macs=attempt.teacher_cost.macs or None,
        student_bytes=attempt.student_cost.bytes,
        teacher_bytes=attempt.teacher_cost.bytes,
        student_latency=student_latency,
        teacher_latency=teacher_latency,
        peak_memory=peak_memory(fabric.device),
        student_passes=state.student_passes * fabric.world_size,
        teacher_passes=state.teacher_passes * fabric.world_size,
        collapses=tuple(attempt.recorder.folder.read_collapses()),
    )
