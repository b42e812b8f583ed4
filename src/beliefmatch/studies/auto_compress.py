"""Compress a network to a target: measure what fits, train the one or few that meet it, return the nearest."""

import logging
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from beliefmatch.errors import ExportError, FolderError, SettingsError
from beliefmatch.functional.classification import agreement
from beliefmatch.networks.loading.given import GivenNetworks
from beliefmatch.networks.passes import run_padded
from beliefmatch.networks.teacher import Teacher
from beliefmatch.quantization.calibration_inputs import make_calibration_inputs
from beliefmatch.quantization.comparison import predict_by_onnxruntime
from beliefmatch.quantization.export import STEM, export_in_8_bits
from beliefmatch.quantization.quantize import quantize_network
from beliefmatch.runs.atomic import make_folder, write_json
from beliefmatch.runs.folder import RunFolder
from beliefmatch.runs.reading import read
from beliefmatch.runs.schema.candidates import Candidate, Candidates, Target
from beliefmatch.setting_names import Setting
from beliefmatch.students.base import AbstractStudent
from beliefmatch.studies.auto_student import check_target, list_proposals, measure_proposals, order_candidates
from beliefmatch.studies.compression import Compression
from beliefmatch.studies.compression_settings import CompressionSettings, StudentLike, network_of, transfer_of
from beliefmatch.training.run_settings import fingerprint

logger = logging.getLogger(__name__)

AUTO = "auto"
"""Name of the student that is chosen."""
RECORD = "candidates.json"
NUM_COMPARED = 256
"""Inputs made without data on which those that were trained are compared."""
MOST_TRAINED = 20

CompressOne = Callable[[CompressionSettings], Compression]
"""Trains one student to the end, or continues or returns what its folder holds."""


@dataclass(frozen=True, kw_only=True)
class AutoPlan:
    """What was measured for a target, and what will be trained."""

    settings: CompressionSettings
    """Of the compression; their folder holds the folders of all that are trained."""
    teacher: Teacher
    found: Candidates
    students: Mapping[str, AbstractStudent]
    """By name, those whose settings say more than the name, such as the plan of a pruned one."""
    num_trained: int
    """How many are trained at most."""

    @property
    def folder(self) -> Path:
        """Folder of all."""
        return self.settings.options.folder

    def settings_for(self, candidate: Candidate) -> CompressionSettings:
        """Return the settings with which one candidate is trained: its part of the time, in a folder of its own."""
        assert candidate.student is not None
        minutes, count = self.settings.minutes, min(self.num_trained, len(self.found.order))
        return replace(
            self.settings,
            student=self.students.get(candidate.student, candidate.student),
            minutes=None if minutes is None else minutes / count,
            began=None,
            options=replace(self.settings.options, folder=self.folder / _folder_name(candidate)),
        )


def _folder_name(candidate: Candidate) -> str:
    return re.sub(r"[^\w.-]+", "_", candidate.student or STEM).strip("_.")


def is_auto(student: StudentLike, target: Target) -> bool:
    """Whether a student is chosen for a target, rather than named.

    Raises:
        SettingsError: it is named, and there is a target.
    """
    if isinstance(student, str) and student == AUTO:
        return True
    asked = [name for name, value in asdict(target).items() if value is not None]
    if asked:
        raise SettingsError(f"{Setting('student')} is named, and {Setting(asked[0])} chooses one: leave one out")
    return False


def plan_auto(settings: CompressionSettings, target: Target, *, num_trained: int = 1) -> AutoPlan:
    """List what fits and measure it on this machine; nothing is trained or written.

    Where the folder holds what was measured for the same network and target, that is taken.

    Args:
        settings: of the compression; its student is "auto".
        target: what has to be met.
        num_trained: how many are trained at most, from 1 to 20.

    Raises:
        SettingsError: the target cannot be, or nothing that was tried meets it.
        FolderError: the folder holds something else.
        BeliefMatchError: the teacher cannot be loaded, see `compress`.
    """
    check_target(target)
    if not 1 <= num_trained <= MOST_TRAINED:
        raise SettingsError(f"{Setting('candidates')} must be from 1 to {MOST_TRAINED}; got {num_trained}")
    kept = _read_kept(settings.options.folder)
    # The student, "auto", is a name of none: nothing is built of it.
    transfer, _ = transfer_of(settings)
    teacher = Teacher.load(transfer.teacher, transfer.inputs)
    students: dict[str, AbstractStudent] = {}
    if kept is None:
        found, students = _measure(settings, teacher, target)
    else:
        _check_kept(kept, teacher, target, settings.options.folder)
        found = kept
    return AutoPlan(settings=settings, teacher=teacher, found=found, students=students, num_trained=num_trained)


def _read_kept(folder: Path) -> Candidates | None:
    record = folder / RECORD
    if record.is_file():
        return read(record, Candidates)
    if RunFolder(folder).holds_run or (folder.is_dir() and any(folder.iterdir())):
        raise FolderError(f"{folder} is not empty and holds no {RECORD}: name another folder")
    return None


def _check_kept(kept: Candidates, teacher: Teacher, target: Target, folder: Path) -> None:
    """Check that what a folder holds was measured for the same network and target."""
    if kept.teacher_sha256 != fingerprint(teacher.module):
        raise FolderError(f"{folder / RECORD} was measured for another network: name another folder")
    if kept.target != target:
        raise FolderError(f"{folder / RECORD} was measured for {describe_target(kept.target)}: name another folder")


def describe_target(target: Target) -> str:
    """Return a target in words, such as speedup 2 and size 0.25."""
    return " and ".join(f"{name} {value:g}" for name, value in asdict(target).items() if value is not None)


def _measure(
    settings: CompressionSettings, teacher: Teacher, target: Target
) -> tuple[Candidates, dict[str, AbstractStudent]]:
    name = network_of(settings.teacher, settings.of_teacher).architecture
    logger.info("listing students for %s, and measuring them on this machine", describe_target(target))
    proposals = list_proposals(name, teacher, target)
    runtime, candidates = measure_proposals(proposals, teacher.spec, target)
    found = Candidates(
        teacher=name,
        teacher_sha256=fingerprint(teacher.module),
        target=target,
        runtime=runtime,
        threads=torch.get_num_threads(),
        candidates=tuple(candidates),
        order=order_candidates(candidates),
    )
    return found, {each.name: each.student for each in proposals if each.name and each.student}


def check_met(found: Candidates) -> None:
    """Check that something meets the target.

    Raises:
        SettingsError: nothing does; the message says what came nearest.
    """
    if found.order:
        return
    first, *others = found.candidates
    asked = [name for name, value in asdict(found.target).items() if value is not None]
    if not others:
        raise SettingsError(f"nothing smaller than the network was found for {describe_target(found.target)}")
    nearest = [_describe_nearest(quantity, first, others) for quantity in asked]
    raise SettingsError(
        f"nothing that was tried meets {describe_target(found.target)}: {', '.join(nearest)}; ask for less, or name a "
        "student"
    )


def _describe_nearest(quantity: str, first: Candidate, others: Sequence[Candidate]) -> str:
    """Return which candidate comes nearest in one quantity of a target, and what it has of the network's."""
    match quantity:
        case "speedup":
            best = min(others, key=lambda each: each.latency)
            return f"{name_of(best)} is {first.latency / best.latency:.2f} times as fast"
        case "size":
            best = min(others, key=lambda each: each.bytes)
            return f"{name_of(best)} has {best.bytes / first.bytes:.2f} of the bytes"
        case _:
            best = min(others, key=lambda each: each.macs)
            return f"{name_of(best)} has {best.macs / first.macs:.2f} of the multiply-accumulates"


def name_of(candidate: Candidate) -> str:
    """Return what a candidate is called, such as thin:0.5 in 8 bits."""
    return f"{candidate.student or 'the network itself'}{' in 8 bits' if candidate.in_8_bits else ''}"


def run_auto(plan: AutoPlan, compress_one: CompressOne) -> Compression:
    """Train those that come first, quantise those that need 8 bits, and return the one that agrees best.

    Agreement is with the teacher, on inputs made from it alone. One whose file in 8 bits does not agree enough gives
    its place to the next.

    Args:
        plan: what was measured.
        compress_one: trains one.

    Raises:
        SettingsError: nothing meets the target.
        BeliefMatchError: see `compress`.
    """
    check_met(plan.found)
    make_folder(plan.folder)
    found = replace(plan.found, chosen=None)
    _write(plan, found)
    inputs = make_calibration_inputs(plan.teacher, count=NUM_COMPARED, seed=plan.settings.seed).held_out
    with torch.no_grad():
        expected = run_padded(plan.teacher.module, inputs)
    results: dict[int, Compression] = {}
    for number in found.order:
        if len(results) == plan.num_trained:
            break
        candidate = found.candidates[number]
        try:
            result = _finish(plan, candidate, compress_one)
        except ExportError as error:
            logger.warning("%s does not do: %s", name_of(candidate), error)
            continue
        results[number] = result
        where = result.folder if result.is_trained else result.int8
        done = replace(
            candidate,
            folder=os.path.relpath(where or result.folder, plan.folder),
            agreement=_agree(expected, result, inputs),
        )
        candidates = (*found.candidates[:number], done, *found.candidates[number + 1 :])
        found = replace(found, candidates=candidates)
        _write(plan, found)
    if not results:
        raise ExportError(f"none that meets {describe_target(found.target)} agrees enough in 8 bits; name a student")
    chosen = max(results, key=lambda number: found.candidates[number].agreement or 0.0)
    found = replace(found, chosen=chosen)
    _write(plan, found)
    return replace(results[chosen], found=found)


def _write(plan: AutoPlan, found: Candidates) -> None:
    write_json(plan.folder / RECORD, asdict(found))


def _finish(plan: AutoPlan, candidate: Candidate, compress_one: CompressOne) -> Compression:
    """Train a candidate, and write its file in 8 bits where it has one."""
    if candidate.student is None:
        return _quantize_itself(plan)
    result = compress_one(plan.settings_for(candidate))
    if not candidate.in_8_bits:
        return result
    file = result.folder / f"{STEM}.onnx"
    if not (file.is_file() and file.name in (result.result.exports or {})):
        export_in_8_bits(result.stored, overwrite=True)
    return replace(result, int8=file)


def _quantize_itself(plan: AutoPlan) -> Compression:
    """Write the network itself in 8 bits; nothing is trained."""
    file, teacher = plan.folder / f"{STEM}.onnx", plan.teacher
    if not (file.is_file() and file.with_suffix(".json").is_file()):
        quantize_network(teacher.module, teacher.spec, file, teacher=teacher, overwrite=True)
    # Thinned to all of its channels it is itself.
    transfer, given = transfer_of(replace(plan.settings, student="thin:1"))
    return Compression(folder=plan.folder, transfer=transfer, given=GivenNetworks(teacher=given.teacher), int8=file)


def _agree(expected: Tensor, result: Compression, inputs: Tensor) -> float:
    """Return how often the student, or its file in 8 bits, gives the class of the teacher's logits for these inputs."""
    with torch.no_grad():
        if result.int8 is not None:
            given = predict_by_onnxruntime(result.int8.read_bytes(), inputs)
        else:
            given = run_padded(result.stored.load_student(), inputs)
    return float(agreement(expected, given).float().mean())
