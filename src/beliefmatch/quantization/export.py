"""The student of a run in 8 bits: quantised without data, checked, and entered where other exported files are."""

from dataclasses import asdict, replace
from pathlib import Path

from beliefmatch.export.card import card_of, write_card
from beliefmatch.export.costs import Costs, measure_deployed
from beliefmatch.export.export import Exported, check_target, enter_export
from beliefmatch.export.graph import DeployedGraph, Pixels
from beliefmatch.export.normalising import check_normalisation, deployed_spec
from beliefmatch.measurement.stored_run import StoredRun
from beliefmatch.networks.examples import AbstractExamples
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.inspection import inspect
from beliefmatch.networks.teacher import Teacher
from beliefmatch.quantization.quantize import QuantizationSettings, Quantized, quantize_network
from beliefmatch.runs.atomic import write_json
from beliefmatch.runs.schema.export import EightBits, Export
from beliefmatch.runs.schema.quantization import Quantization

STEM = "model_int8"
"""Of the file's name, unless the user names it."""


def export_in_8_bits(
    run: StoredRun,
    *,
    out: Path | None = None,
    pixels: Pixels | None = None,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    assume_normalisation: bool = False,
    images: AbstractExamples | None = None,
    settings: QuantizationSettings = QuantizationSettings(),
    teacher_license: str | None = None,
    overwrite: bool = False,
) -> Exported:
    """Export the student of a finished run in 8 bits as an ONNX file, with a model card beside it.

    It is quantised and checked as `quantize_network` does, and entered into result.json as other exports are.

    Args:
        run: finished.
        out: file to write, or folder for it. Default: model_int8.onnx in the run folder.
        pixels: see `export.export_student`.
        mean: likewise.
        std: likewise.
        assume_normalisation: likewise.
        images: likewise. They calibrate nothing.
        settings: how it is quantised, and how far it has to agree.
        teacher_license: see `export.export_student`.
        overwrite: likewise.

    Raises:
        BeliefMatchError: see `export.export_student` and `quantize_network`.
    """
    spec = deployed_spec(run.read_transfer().inputs, mean, std)
    target = check_target(
        run.folder, "onnx", spec, out=out, pixels=pixels, images=images, overwrite=overwrite, stem=STEM
    )
    check_normalisation(spec, pixels, assume=assume_normalisation)
    _, export = quantize_run(
        run,
        target,
        spec,
        pixels=pixels,
        images=images,
        settings=settings,
        teacher_license=teacher_license,
        overwrite=overwrite,
    )
    return Exported(file=target, card=write_card(run.folder, card_of(target, out)), export=export)


def quantize_run(
    run: StoredRun,
    target: Path,
    spec: InputSpec,
    *,
    pixels: Pixels | None,
    images: AbstractExamples | None,
    settings: QuantizationSettings,
    teacher_license: str | None = None,
    overwrite: bool = False,
) -> tuple[Quantized, Export]:
    """Write the student of a run in 8 bits and enter what was found into result.json; no card is written.

    Args:
        run: finished.
        target: file to write.
        spec: of the student's inputs.
        pixels: see `export.export_student`.
        images: likewise.
        settings: how it is quantised, and how far it has to agree.
        teacher_license: see `export.export_student`.
        overwrite: likewise.

    Raises:
        BeliefMatchError: see `quantize_network`.
    """
    student = run.load_student()
    teacher, why_no_teacher = run.find_teacher()
    # The student's own statistics come from made inputs, so the teacher's count where it can be loaded.
    remembers = teacher or _student_as_teacher(run, spec)
    quantized = quantize_network(
        student,
        spec,
        target,
        settings=settings,
        teacher=remembers,
        pixels=pixels,
        images=images,
        overwrite=overwrite,
    )
    costs = measure_deployed(
        "onnx",
        spec,
        DeployedGraph(student, spec, pixels),
        target.read_bytes(),
        None if teacher is None else DeployedGraph(teacher.module, spec, pixels),
        in_32_bits=quantized.in_32_bits,
    )
    found = _with_latencies(quantized, costs)
    quantized = replace(quantized, quantization=found)
    export = Export(
        format="onnx",
        pixels=pixels,
        sha256=found.sha256,
        pseudo=found.pseudo,
        num_noise=0,
        why_noise=None,
        images=found.images,
        # In torch the student is in 32 bits.
        student=replace(costs.student, torch_latency=None),
        teacher=costs.teacher,
        why_no_teacher=why_no_teacher or costs.why_no_teacher,
        threads=found.threads,
        versions=found.versions,
        teacher_license=teacher_license,
        mean=None if spec.mean is None else list(spec.mean),
        std=None if spec.std is None else list(spec.std),
        normalisation_from=spec.normalisation_from,
        in_8_bits=eight_bits_of(found),
    )
    enter_export(run.folder, target, export)
    return quantized, export


def _with_latencies(quantized: Quantized, costs: Costs) -> Quantization:
    """Put latencies that were measured beside the teacher's into the record, so that one file has one latency."""
    latency, float_latency = costs.student.onnxruntime_latency, costs.in_32_bits
    assert latency is not None
    assert float_latency is not None
    found = replace(quantized.quantization, latency=latency, float_latency=float_latency)
    write_json(quantized.record, asdict(found))
    return found


def eight_bits_of(found: Quantization) -> EightBits:
    """Return what result.json keeps of a quantisation."""
    return EightBits(
        calibrated_on=found.calibration,
        ranges=found.ranges,
        keep_float=found.keep_float,
        num_nodes=found.num_nodes,
        float_bytes=found.float_bytes,
        latency=found.latency,
        float_latency=found.float_latency,
    )


def _student_as_teacher(run: StoredRun, spec: InputSpec) -> Teacher:
    """Load the student of a run once more, as what remembers statistics."""
    copied = run.load_student()
    return Teacher(copied, spec, inspect(copied, spec, role="student", task=run.folder.read_student().task))
