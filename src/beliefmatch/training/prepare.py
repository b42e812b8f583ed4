"""Loading and inspecting both networks, and resolving every setting that machine and networks decide."""

import logging
from collections.abc import Container
from dataclasses import dataclass, replace

import torch
from lightning_fabric import Fabric
from torch import nn

from beliefmatch.errors import SettingsError, TapError
from beliefmatch.log_once import log_once
from beliefmatch.networks.cost import count_parameters
from beliefmatch.networks.heads import compute_in_32_bits
from beliefmatch.networks.inspection import Inspection
from beliefmatch.networks.pairs import choose_pairs
from beliefmatch.networks.placement import keep_contiguous, keep_what_serves, keeps_contiguous
from beliefmatch.networks.skipped_modules import find_skipped
from beliefmatch.networks.taps import TapPair, find_module, why_no_pairs, why_untappable
from beliefmatch.networks.teacher import Teacher
from beliefmatch.objectives.base import AbstractObjective
from beliefmatch.recipe_overviews import WITHOUT_CLASSES
from beliefmatch.runs.folder import RunFolder
from beliefmatch.runs.pruning import read_plan
from beliefmatch.students.base import build_student, inspect_student
from beliefmatch.students.pruned import PrunedStudent, with_plan
from beliefmatch.students.start_from_teacher import is_of_family
from beliefmatch.training.memory import check_batch_fits, check_inputs_fit
from beliefmatch.training.options import RunOptions, choose_accelerator
from beliefmatch.training.precision import ResolvedPrecision, make_fabric, resolve_precision
from beliefmatch.training.standardisation import standardise
from beliefmatch.training.transfer import Transfer

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A transfer whose settings are all resolved, with both networks loaded and inspected, on the CPU."""

    transfer: Transfer
    """With what settings leave to machine and networks: micro-batch, taps, how the source makes its inputs, and how the
    student is made of the teacher."""
    teacher: Teacher
    student: nn.Module
    inspection: Inspection
    """Of the student; the teacher has its own."""
    fabric: Fabric
    """Device, precision and processes."""
    local_batch_size: int
    """Examples a batch in this process."""

    @property
    def precision(self) -> ResolvedPrecision:
        """Floating-point precision of the run."""
        return self.fabric._precision.precision  # pyright: ignore[reportReturnType]


def prepare(transfer: Transfer, options: RunOptions) -> Prepared:
    """Prepare a run: choose device and precision, load both networks and resolve every setting that they decide.

    Args:
        transfer: what to compute.
        options: where, and on what; a micro-batch that they name replaces the transfer's.

    Raises:
        BeliefMatchError: a device is missing, a network does not fit, or a setting does not fit the networks.
    """
    return prepare_on(resolve_fabric(options), _with_kept_plan(with_micro_batch(transfer, options), options))


def prepare_on(
    fabric: Fabric, transfer: Transfer, *, teacher: nn.Module | None = None, student: nn.Module | None = None
) -> Prepared:
    """Prepare a transfer on a device and in a precision that are chosen already.

    The seed of the transfer decides what has no weights of its own: torch's global random state begins from it.

    Args:
        fabric: device, precision and processes.
        transfer: what to compute.
        teacher: stands in for the transfer's own.
        student: likewise.

    Raises:
        BeliefMatchError: a network does not fit, or a setting does not fit the networks.
    """
    local_batch_size = transfer.plan.local_batch_size(fabric)
    check_inputs_fit(transfer, fabric, local_batch_size)
    torch.manual_seed(transfer.seed)
    frozen = Teacher(teacher, transfer.inputs) if teacher else Teacher.load(transfer.teacher, transfer.inputs)
    made, inspection = inspect_student(student, frozen) if student else build_student(transfer.student, frozen)
    _compute_logits_in_32_bits(frozen, made, inspection)
    if student is None:
        transfer = replace(transfer, student=with_plan(transfer.student, made))
    standardise(frozen, made, inspection)
    for role, network in (("teacher", frozen.module), ("student", made)):
        keep_what_serves(network, transfer.inputs, role=role)
    check_batch_fits(transfer, frozen, inspection, fabric, local_batch_size)
    return Prepared(
        transfer=resolve(transfer, frozen, made, inspection),
        teacher=frozen,
        student=made,
        inspection=inspection,
        fabric=fabric,
        local_batch_size=local_batch_size,
    )


def prepare_again(prepared: Prepared, *, seed: int) -> Prepared:
    """Prepare another attempt: the same teacher, and a student that begins from another seed."""
    torch.manual_seed(seed)
    student, inspection = build_student(prepared.transfer.student, prepared.teacher)
    _compute_logits_in_32_bits(prepared.teacher, student, inspection)
    standardise(prepared.teacher, student, inspection)
    if keeps_contiguous(prepared.student):
        keep_contiguous(student)
    transfer = replace(prepared.transfer, seed=seed)
    return replace(prepared, transfer=transfer, student=student, inspection=inspection)


def resolve_fabric(options: RunOptions) -> Fabric:
    """Choose device and precision: those that were asked for; a run that continues keeps its precision.

    Raises:
        SettingsError: what was asked for is not there.
    """
    accelerator = choose_accelerator(options)
    folder = RunFolder(options.folder)
    if options.precision == "auto" and options.resume and folder.holds_run:
        precision: ResolvedPrecision = folder.read_run().settings.precision
    else:
        precision = resolve_precision(options.precision, accelerator)
    return make_fabric(accelerator, precision, devices=options.devices, timeout=options.timeout)


def with_micro_batch(transfer: Transfer, options: RunOptions) -> Transfer:
    """Return a transfer with the micro-batch of the options, where they name one."""
    return replace(transfer, micro_batch=options.micro_batch or transfer.micro_batch)


def _with_kept_plan(transfer: Transfer, options: RunOptions) -> Transfer:
    """Return a transfer whose pruned student is made as the run in its folder was begun, where one continues."""
    folder, student = RunFolder(options.folder), transfer.student
    if not (isinstance(student, PrunedStudent) and options.resume and folder.holds_run):
        return transfer
    begun = folder.read_run().settings.transfer
    for part in ("teacher", "student"):
        architecture = begun[part].get("architecture") if isinstance(begun.get(part), dict) else None
        if architecture != getattr(transfer, part).architecture:
            # Another run: whoever begins it is told so.
            return transfer
    return replace(transfer, student=replace(student, plan=read_plan(folder)))


def resolve(transfer: Transfer, teacher: Teacher, student: nn.Module, inspection: Inspection) -> Transfer:
    """Resolve what settings leave to the networks: how the source makes inputs, and which activations are read.

    Raises:
        SettingsError: source or objective need classes, and the teacher has none.
        TapError: see `resolve_taps`.
    """
    source = transfer.source.resolve(teacher)
    if not teacher.task.knows_classes and (source.needs.classes or transfer.objective.uses_labels):
        what = type(source if source.needs.classes else transfer.objective).__name__
        raise SettingsError(
            f"{transfer.recipe} is for teachers of whose classes one is right, as {what} asks inputs for a class; this "
            f"teacher is {teacher.task.description}: take {WITHOUT_CLASSES}"
        )
    return replace(
        transfer,
        source=source,
        objective=resolve_taps(_resolve_features(transfer.objective, teacher, student), teacher, student, inspection),
    )


def _resolve_features(objective: AbstractObjective, teacher: Teacher, student: nn.Module) -> AbstractObjective:
    """Leave features out where nobody paired them and to match them costs a student more than it brings.

    What layers of another family compute hardly follows from the student's, and without batch-norm features brought
    nothing, at a third of the time; see docs/methods/best.md.
    """
    without = objective.without_features()
    if objective.taps is not None or without == objective:
        return objective
    if not is_of_family(student, teacher.module):
        why = "the student is of another family than its teacher"
    elif not teacher.batch_norms:
        why = "the teacher has no batch-norm"
    else:
        return objective
    log_once(logger, logging.INFO, "%s, so features are not matched", why)
    return without


def resolve_taps(
    objective: AbstractObjective, teacher: Teacher, student: nn.Module, inspection: Inspection
) -> AbstractObjective:
    """Resolve which activations an objective reads, and check that they can be compared.

    Where there are any, copies of the student run in train mode, to find what passes can skip. A pair that nobody named
    falls away where it cannot be compared, and the log says so.

    Args:
        objective: may name them.
        teacher: inspected.
        student: learns from it.
        inspection: of the student.

    Raises:
        TapError: a name does not exist, its module did not run, or not in all passes of the student, or two activations
            of a pair that the user names differ in their positions.
    """
    if not objective.uses_taps:
        return replace(objective, taps=())
    maps = {"teacher_maps": teacher.inspection.feature_maps, "student_maps": inspection.feature_maps}
    tried = choose_pairs(teacher.module, student, **maps) if objective.taps is None else objective.taps
    skipped = find_skipped(student, teacher.spec) if tried else set[str]()
    if objective.taps is not None:
        for pair in objective.taps:
            _check_pair(pair, teacher, student, inspection, skipped)
        return objective
    pairs: list[TapPair] = []
    for pair in tried:
        try:
            _check_pair(pair, teacher, student, inspection, skipped)
            pairs.append(pair)
        except TapError as error:
            log_once(logger, logging.INFO, "%s and %s are not compared: %s", pair.teacher, pair.student, error)
    return replace(objective, taps=tuple(pairs))


def _check_pair(
    pair: TapPair, teacher: Teacher, student: nn.Module, inspection: Inspection, skipped: Container[str]
) -> None:
    """Check that the two activations of a pair can be compared, in every step.

    Raises:
        TapError: see `resolve_taps`.
    """
    first = _shape_at(pair.teacher, teacher.module, teacher.inspection)
    second = _shape_at(pair.student, student, inspection)
    if len(first) < 2 or first[1:] != second[1:]:
        raise TapError(
            f"activations cannot be compared: {pair.teacher} of the teacher gives {first}, {pair.student} of the "
            f"student {second}; expected (channels, positions...) with equal positions"
        )
    if pair.student in skipped:
        raise TapError(
            f"module {pair.student!r} of the student is skipped in some passes in train mode, so that there would be "
            "nothing to read in some steps: tap one that every pass runs"
        )


def warn_of_larger_student(prepared: Prepared) -> None:
    """Write a warning to the log where the student has more parameters than its teacher."""
    student, teacher = (count_parameters(network) for network in (prepared.student, prepared.teacher.module))
    if student > teacher:
        log_once(
            logger,
            logging.WARNING,
            "the student is larger than its teacher (%s parameters, the teacher has %s), so nothing is compressed. "
            "Name a smaller student.",
            f"{student:,}",
            f"{teacher:,}",
        )


def log_taps(prepared: Prepared) -> None:
    """Log which activations the objective compares, or why none."""
    objective = prepared.transfer.objective
    if not objective.uses_taps:
        return
    if objective.taps:
        pairs = ", ".join(f"{pair.teacher} with {pair.student}" for pair in objective.taps)
        log_once(logger, logging.INFO, "compared activations: %s", pairs)
    else:
        reason = why_no_pairs(prepared.teacher.module, prepared.student, prepared.transfer.inputs)
        log_once(logger, logging.INFO, "compared activations: none found, none used: %s", reason)


def _shape_at(name: str, network: nn.Module, inspection: Inspection) -> tuple[int, ...]:
    """Return the shape of an activation, without its batch axis."""
    if why := why_untappable(network):
        raise TapError(f"nothing can be tapped in {why}")
    find_module(network, name)
    if name not in inspection.shapes:
        raise TapError(
            f"module {name!r} did not run, ran more than once, or returned no tensor, so nothing could be read from it"
        )
    return inspection.shapes[name]


def _compute_logits_in_32_bits(teacher: Teacher, student: nn.Module, inspection: Inspection) -> None:
    """Make the layers whose outputs are the logits compute in 32 bits under autocast, until the attempt ends."""
    compute_in_32_bits(teacher.module, teacher.inspection.layer_in_32_bits)
    compute_in_32_bits(student, inspection.layer_in_32_bits)
