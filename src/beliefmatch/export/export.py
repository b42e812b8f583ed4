"""Export the student of a finished run: write, load the file in a fresh process, compare, and only then keep it."""

import hashlib
import importlib.metadata
import logging
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from beliefmatch.errors import ExportError, FolderError, SettingsError
from beliefmatch.export.base import FormatName
from beliefmatch.export.card import card_of, check_card, write_card
from beliefmatch.export.check import check_examples_fit, check_file
from beliefmatch.export.costs import measure_deployed
from beliefmatch.export.formats import FORMATS, check_format
from beliefmatch.export.fresh_process import fresh_process
from beliefmatch.export.graph import DeployedGraph, Pixels, check_pixels_fit
from beliefmatch.export.normalising import check_normalisation, deployed_spec
from beliefmatch.export.pseudo_inputs import draw_pseudo
from beliefmatch.log_once import each_message_once
from beliefmatch.measurement.stored_run import StoredRun
from beliefmatch.networks.examples import AbstractExamples, Inputs
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.given import PREFIX, GivenNetworks
from beliefmatch.networks.loading.packages import require
from beliefmatch.networks.quantization.layers import quantized_layers
from beliefmatch.networks.tasks import TASKS
from beliefmatch.paths import as_path
from beliefmatch.runs.atomic import make_folder, replacing
from beliefmatch.runs.folder import TEACHER_FILE, RunFolder
from beliefmatch.runs.schema.export import Export
from beliefmatch.setting_names import Setting
from beliefmatch.training.student_files import read_student
from beliefmatch.training.trusted_code import TrustedCode

logger = logging.getLogger(__name__)

STEM = "model"
"""Of the file's name, unless the user names it; the run folder holds a student.safetensors of its own."""


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What came of an export."""

    file: Path
    card: Path
    export: Export


@each_message_once()
def export_student(
    folder: RunFolder | Path | str,
    to: FormatName,
    *,
    out: Path | str | None = None,
    pixels: Pixels | None = None,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    assume_normalisation: bool = False,
    images: AbstractExamples | None = None,
    teacher_license: str | None = None,
    overwrite: bool = False,
    trust_code: TrustedCode = False,
    given: GivenNetworks = GivenNetworks(),
) -> Exported:
    """Export the student of a finished run, with a model card beside it, and enter what was found into result.json.

    The file is written beside its path, loaded in a fresh process and compared with the student; it is moved to its
    path only if it agrees.

    Args:
        folder: of the run.
        to: format.
        out: file to write, or folder for it. Default: the run folder.
        pixels: whether the file takes pixels, uint8 or float32 in [0, 1], and normalises them itself; None: it takes
            network inputs.
        mean: of each channel that the teacher was trained with, in pixels scaled to [0, 1]. Default: the run's.
        std: likewise.
        assume_normalisation: whether a file may normalise pixels by a default mean and std of the run.
        images: real examples, images or others, to compare on besides pseudo inputs.
        teacher_license: licence of the teacher, for the model card.
        overwrite: whether a file and a model card that are there may be replaced.
        trust_code: whether to import Python files that the folder names as its networks, or names of those that may be
            imported.
        given: networks that the run was given in Python.

    Raises:
        FolderError: there is no finished run, it names Python code that is not trusted, or the file or the card cannot
            be written or would replace another.
        SettingsError: the format does not exist or needs what is not installed, or takes no pixels; or their
            normalisation is a default.
        ExamplesError: real examples do not fit the student, or pseudo inputs are not finite.
        ExportError: the student cannot be exported, or the file does not agree with it.
    """
    folder, out = RunFolder.at(folder), None if out is None else as_path(out, "out")
    run = StoredRun(folder=folder, trust_code=trust_code, given=given)
    transfer = run.read_transfer()
    spec = deployed_spec(transfer.inputs, mean, std)
    target = check_target(folder, to, spec, out=out, pixels=pixels, images=images, overwrite=overwrite)
    check_normalisation(spec, pixels, assume=assume_normalisation)
    metadata = asdict(read_student(folder, trust_code=trust_code))
    task = TASKS[metadata["task"]]
    network = run.load_student()
    if quantized_layers(network):
        logger.info("the file simulates the student's few bits: it computes in 32 bits, and is as large and as slow")
    student = DeployedGraph(network, spec, pixels)
    content = FORMATS[to].write(student, spec)
    teacher, why_no_teacher = run.find_teacher()
    drawn = draw_pseudo(run, transfer, teacher)
    name = "pseudo inputs and noise" if drawn.num_noise else "fresh pseudo inputs"
    examples = [Inputs(name=name, inputs=drawn.inputs), *([] if images is None else [images])]
    make_folder(target.parent)
    with replacing(target, content) as temporary:
        with fresh_process(temporary, to, metadata) as process:
            checks = [check_file(process, student.network, spec, pixels, each, task=task) for each in examples]
        teacher_graph = None if teacher is None else DeployedGraph(teacher.module, spec, pixels)
        costs = measure_deployed(to, spec, student, content, teacher_graph)
    export = Export(
        format=to,
        pixels=pixels,
        sha256=hashlib.sha256(content).hexdigest(),
        pseudo=checks[0],
        num_noise=drawn.num_noise,
        why_noise=drawn.why_noise,
        images=None if images is None else checks[1],
        student=costs.student,
        teacher=costs.teacher,
        why_no_teacher=why_no_teacher or costs.why_no_teacher,
        threads=torch.get_num_threads(),
        versions={package: importlib.metadata.version(package) for package in ("torch", *FORMATS[to].modules)},
        teacher_license=teacher_license,
        mean=None if spec.mean is None else list(spec.mean),
        std=None if spec.std is None else list(spec.std),
        normalisation_from=spec.normalisation_from,
    )
    enter_export(folder, target, export)
    return Exported(file=target, card=write_card(folder, card_of(target, out)), export=export)


def enter_export(folder: RunFolder, file: Path, export: Export) -> None:
    """Enter what was found of a file into result.json, in place of what was there of the same file."""
    folder.change_result(lambda result: replace(result, exports=(result.exports or {}) | {_key(folder, file): export}))


def check_target(
    folder: RunFolder,
    to: FormatName,
    spec: InputSpec,
    *,
    out: Path | None,
    pixels: Pixels | None,
    images: AbstractExamples | None,
    overwrite: bool,
    stem: str = STEM,
) -> Path:
    """Check all that can be checked before any work, and return where the file goes.

    Args:
        folder: of the run.
        to: format.
        spec: of the student's inputs.
        out: see `export_student`.
        pixels: likewise.
        images: likewise.
        overwrite: likewise.
        stem: of the file's name, unless the user names it.

    Raises:
        BeliefMatchError: see `export_student`.
    """
    check_format(to)
    folder.read_result()
    if pixels is not None and not FORMATS[to].holds_graph:
        raise SettingsError(f"a {to} file holds weights alone, so it cannot take pixels: leave out {Setting('pixels')}")
    if not FORMATS[to].holds_graph and folder.read_student().architecture.startswith(PREFIX):
        raise ExportError(
            f"the student was {folder.read_student().architecture}, and a {to} file holds weights alone, which could "
            "not be checked in a fresh process: export to onnx or pt2, or take student.safetensors of the run folder"
        )
    if not FORMATS[to].holds_graph and folder.read_student().is_made_of_teacher:
        kind = "pruned" if folder.read_student().quantization is None else "quantised"
        raise ExportError(
            f"a {kind} student is more than a name and weights, which is all that a {to} file holds: export to onnx or "
            "pt2, or take the run folder, which beliefmatch.load_student reads"
        )
    check_pixels_fit(spec, pixels)
    target = resolve_target(folder.path, to, out, stem)
    if target.exists() and not overwrite:
        raise FolderError(
            f"{target} is there already: add {Setting('overwrite', value=True)} to replace it, or name another "
            f"{Setting('out')}"
        )
    if _is_inside(folder, target) and target.name in (folder.student.name, TEACHER_FILE):
        raise FolderError(f"{target} belongs to the run itself: name another {Setting('out')}")
    existing = next(parent for parent in target.absolute().parents if parent.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise FolderError(f"{existing} is no folder that can be written: name another {Setting('out')}")
    check_card(folder, card_of(target, out), overwrite=overwrite)
    if images is not None:
        check_examples_fit(images, spec, folder.read_student())
    for module in FORMATS[to].modules:
        require(module, install=f"beliefmatch[{to}]")
    return target


def resolve_target(folder: Path, to: FormatName, out: Path | None, stem: str = STEM) -> Path:
    """Return the path of a file to write.

    Args:
        folder: where it goes unless the user names it.
        to: format, which the path must end in.
        out: what the user named: the file, a folder for it, or None.
        stem: of its name, unless the user names it.

    Raises:
        SettingsError: the user's ends in something else.
    """
    if out is None or out.is_dir():
        return (out or folder) / f"{stem}.{to}"
    if out.suffix == f".{to}":
        return out
    if out.suffix:
        raise SettingsError(f"{Setting('out', str(out))} should end in .{to}, or be a folder")
    return out / f"{stem}.{to}"


def _key(folder: RunFolder, target: Path) -> str:
    """Return the name of a file in result.json: in the run folder by its name, elsewhere by its path."""
    return target.name if _is_inside(folder, target) else os.path.realpath(target)


def _is_inside(folder: RunFolder, target: Path) -> bool:
    """Whether a file lies in a run folder, through links."""
    return os.path.realpath(target.parent) == os.path.realpath(folder.path)
