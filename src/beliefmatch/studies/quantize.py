"""One call from a trained network, or a run, to a file in 8 bits, without data."""

from pathlib import Path
from typing import Any

from beliefmatch.data.gather import gather_examples
from beliefmatch.errors import BeliefMatchError, SettingsError
from beliefmatch.export.graph import Pixels
from beliefmatch.measurement.run import load_teacher
from beliefmatch.networks.examples import AbstractExamples
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.inspection import inspect
from beliefmatch.networks.output_kinds import OutputKind
from beliefmatch.networks.teacher import Teacher
from beliefmatch.quantization.quantize import QuantizationSettings, Quantized, quantize_network
from beliefmatch.recipes.stored import read_transfer
from beliefmatch.runs.folder import RunFolder
from beliefmatch.studies.compression_settings import Numbers, TeacherLike, load_alone
from beliefmatch.training.student_files import load_student_with_logits
from beliefmatch.training.trust import TrustedCode

STEM = "model_int8.onnx"
"""Name of the file in a run folder."""


def quantize(
    model: TeacherLike | RunFolder,
    out: Path | str | None = None,
    *,
    shape: tuple[int, ...] | None = None,
    mean: Numbers | None = None,
    std: Numbers | None = None,
    weights: Path | str | None = None,
    num_classes: int | None = None,
    outputs: OutputKind | None = None,
    pixels: Pixels | None = None,
    images: Any = None,
    settings: QuantizationSettings = QuantizationSettings(),
    overwrite: bool = False,
    trust_code: TrustedCode = False,
) -> Quantized:
    """Write a trained network, or the student of a run, in 8 bits as an ONNX file, without data.

    Args:
        model: trained network, as `compress` takes a teacher; or a run folder, whose student is meant.
        out: file to write, which ends in .onnx. None: model_int8.onnx in the run folder, or in the working directory.
        shape: of one input, such as (3, 32, 32). None: the model's own configuration says. Not for a run.
        mean: of each channel that the model was trained with, in pixels scaled to [0, 1]. Not for a run.
        std: standard deviation, likewise.
        weights: file with the model's weights, where they are not in it yet. Not for a run.
        num_classes: outputs of a model that is made by name and filled from a file of weights. Not for a run.
        outputs: what the model returns. None: detected. Not for a run.
        pixels: let the file take pixels and normalise them itself: uint8 from 0 to 255, or unit from 0 to 1.
        images: real examples to compare on, of any form that `Compression.measure` takes. They calibrate nothing.
        settings: how it is quantised and checked.
        overwrite: whether a file that is there may be replaced.
        trust_code: for a run that names a Python file, see `export_student`.

    Returns:
        The file, and what was found.

    Raises:
        BeliefMatchError: the model, the settings or the examples cannot be used, or the file does not agree enough.
    """
    path = model.path if isinstance(model, RunFolder) else model
    if isinstance(path, str | Path) and (Path(path) / "run.json").is_file():
        folder = RunFolder(Path(path))
        teacher, network, spec = _read_run(folder, trust_code)
        target = folder.path / STEM if out is None else Path(out)
    else:
        assert not isinstance(model, RunFolder)
        teacher = load_alone(
            model,
            weights=weights,
            num_classes=num_classes,
            outputs=outputs,
            shape=shape,
            mean=mean,
            std=std,
        )
        network, spec = teacher.module, teacher.spec
        target = Path(STEM) if out is None else Path(out)
    if not teacher.task.knows_classes:
        raise SettingsError(
            f"quantize is for classifiers of whose classes one is right, as it counts how often 8 bits give the class "
            f"of 32; this is {teacher.task.description}, and that is not supported: export it as ONNX in 32 bits"
        )
    return quantize_network(
        network,
        spec,
        target,
        settings=settings,
        teacher=teacher,
        pixels=pixels,
        images=_examples(images, spec, teacher),
        overwrite=overwrite,
    )


def _read_run(folder: RunFolder, trust_code: TrustedCode) -> tuple[Teacher, Any, InputSpec]:
    """Return the teacher of a run, or where it cannot be loaded its student as one; the student; and their inputs."""
    transfer = read_transfer(folder, trust_code=trust_code)
    student = load_student_with_logits(folder.path, trust_code=trust_code)
    try:
        return load_teacher(folder, trust_code=trust_code), student, transfer.inputs
    except BeliefMatchError:
        copied = load_student_with_logits(folder.path, trust_code=trust_code)
        inspection = inspect(copied, transfer.inputs, role="student", task=folder.read_student().task)
        return Teacher(copied, transfer.inputs, inspection), student, transfer.inputs


def _examples(images: Any, spec: InputSpec, teacher: Teacher) -> AbstractExamples | None:
    if images is None:
        return None
    examples = gather_examples(images, spec=spec)
    examples.check_fit(spec, teacher.num_classes)
    return examples
