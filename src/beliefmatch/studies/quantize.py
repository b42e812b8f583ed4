"""One call from a trained network, or a run, to a file in 8 bits, without data."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from beliefmatch.data.gather import gather_examples
from beliefmatch.errors import FolderError
from beliefmatch.export.export import resolve_target
from beliefmatch.export.graph import Pixels
from beliefmatch.log_once import each_message_once
from beliefmatch.measurement.stored_run import StoredRun
from beliefmatch.networks.examples import AbstractExamples
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.model_settings import Dataset, ModelSettings
from beliefmatch.networks.output_kinds import OutputKind
from beliefmatch.networks.scale import warn_of_scale
from beliefmatch.paths import as_path
from beliefmatch.quantization.export import STEM, quantize_run
from beliefmatch.quantization.quantize import QuantizationSettings, Quantized, quantize_network
from beliefmatch.runs.folder import RunFolder
from beliefmatch.setting_names import settings_of_run, speaks_python
from beliefmatch.studies.compression_settings import Numbers, TeacherLike, load_alone, numbers
from beliefmatch.training.trusted_code import TrustedCode


@each_message_once()
@speaks_python
def quantize(
    model: TeacherLike | RunFolder,
    out: Path | str | None = None,
    *,
    dataset: Dataset | None = None,
    shape: tuple[int, ...] | None = None,
    mean: Numbers | None = None,
    std: Numbers | None = None,
    weights: Path | str | None = None,
    state_key: str | None = None,
    num_classes: int | None = None,
    outputs: OutputKind | None = None,
    output: str | None = None,
    allow_untrained: bool = False,
    pixels: Pixels | None = None,
    images: Any = None,
    settings: QuantizationSettings = QuantizationSettings(),
    overwrite: bool = False,
    trust_code: TrustedCode = False,
) -> Quantized:
    """Write a trained network, or the student of a run, in 8 bits as an ONNX file, without data.

    What is found of a run's student is entered into its result.json, as exports are.

    Args:
        model: trained network, as `compress` takes a teacher; or a run folder, whose student is meant.
        out: file to write, which ends in .onnx, or folder for it. None: model_int8.onnx in the run folder, or in the
            working directory.
        dataset: what the model was trained on, such as "cifar10", instead of shape, mean and std. Not for a run.
        shape: of one input, such as (3, 32, 32). None: the model's own configuration says. Not for a run.
        mean: of each channel that the model was trained with, in pixels scaled to [0, 1]. Not for a run.
        std: standard deviation, likewise.
        weights: file with the model's weights, where they are not in it yet. Not for a run.
        state_key: which of several state dicts in that file, such as ema. Not for a run.
        num_classes: outputs of a model that is made by name and filled from a file of weights. Not for a run.
        outputs: what the model returns. None: detected. Not for a run.
        output: which of several outputs holds the logits, by index or key, where that is ambiguous. Not for a run.
        allow_untrained: whether to take a function that loads no weights, so that the model is random. Not for a run.
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
    return quantize_model(
        model,
        None if out is None else as_path(out, "out"),
        ModelSettings(
            weights=None if weights is None else Path(weights),
            state_key=state_key,
            dataset=dataset,
            shape=None if shape is None else tuple(shape),
            mean=numbers("mean", mean),
            std=numbers("std", std),
            num_classes=num_classes,
            outputs=outputs,
            output=output,
            allow_untrained=allow_untrained,
        ),
        pixels=pixels,
        images=images,
        settings=settings,
        overwrite=overwrite,
        trust_code=trust_code,
    )


def quantize_model(
    model: TeacherLike | RunFolder,
    out: Path | None,
    of_model: ModelSettings,
    *,
    pixels: Pixels | None,
    images: Any,
    settings: QuantizationSettings,
    overwrite: bool,
    trust_code: TrustedCode,
) -> Quantized:
    """Write a network in 8 bits; see `quantize`."""
    path = model.path if isinstance(model, RunFolder) else model
    if isinstance(path, str | Path) and (Path(path) / "run.json").is_file():
        with settings_of_run(path, asdict(of_model)):
            folder = RunFolder(Path(path))
            run = StoredRun(folder=folder, trust_code=trust_code)
            transfer = run.read_transfer()
            quantized, _ = quantize_run(
                run,
                resolve_target(folder.path, "onnx", out, STEM),
                transfer.inputs,
                pixels=pixels,
                images=_examples(images, transfer.inputs, folder.read_student().num_classes),
                settings=settings,
                overwrite=overwrite,
            )
            return quantized
    assert not isinstance(model, RunFolder)
    _check_folder(model)
    teacher = load_alone(model, of_model)
    return quantize_network(
        teacher.module,
        teacher.spec,
        resolve_target(Path(), "onnx", out, STEM),
        settings=settings,
        teacher=teacher,
        pixels=pixels,
        images=_examples(images, teacher.spec, teacher.num_classes),
        overwrite=overwrite,
    )


def _check_folder(model: TeacherLike) -> None:
    """Check that a folder, which holds no run, holds a model.

    Raises:
        FolderError: it does not.
    """
    if isinstance(model, str | Path) and Path(model).is_dir() and not (Path(model) / "config.json").is_file():
        raise FolderError(f"{model} holds no run (no run.json) and no model (no config.json): name another folder")


def _examples(images: Any, spec: InputSpec, num_classes: int) -> AbstractExamples | None:
    if images is None:
        return None
    examples = gather_examples(images, spec=spec)
    examples.check_fit(spec, num_classes)
    warn_of_scale(examples, spec)
    return examples
