"""The command `quantize`: a network in 8 bits, without data."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from beliefmatch.cli.flag_words import ModelFlags
from beliefmatch.cli.output import print_table
from beliefmatch.cli.printing import print_text
from beliefmatch.networks.model_settings import ModelSettings
from beliefmatch.training.progress import Display, print_json

if TYPE_CHECKING:
    from beliefmatch.quantization.quantize import Quantized
    from beliefmatch.runs.schema.quantization import Quantization


def quantize(
    model: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="RUN|MODEL")]],
    /,
    *,
    to: Literal["int8"] = "int8",  # noqa: ARG001
    out: Annotated[Path | None, "FILE"] = None,
    teacher: ModelFlags = ModelSettings(),
    pixels: Literal["uint8", "unit"] | None = None,
    images: Annotated[Path | None, "FILE"] = None,
    calibration: Literal["auto", "noise", "procedural", "refined", "weighted"] = "auto",
    ranges: Literal["auto", "minmax", "entropy", "percentile"] = "auto",
    reduce_range: Literal["auto", "yes", "no"] = "auto",
    keep_float: Annotated[tuple[str, ...], tyro.conf.arg(metavar="auto|none|NODE ...")] = ("auto",),
    min_agreement: float = 0.95,
    num_inputs: int = 256,
    seed: int = 0,
    overwrite: bool = False,
    trust_code: bool = False,
    display: Display = "full",
) -> None:
    """Write a network in 8 bits for onnxruntime, calibrated without any data.

    Example: beliefmatch quantize my_model.py:net --weights w.pt --shape 3 32 32 --mean .49 .48 .45 --std .2 .2 .2

    The inputs that it is calibrated on are made from the network alone. What was tried, how far the file agrees with
    the network in 32 bits, its size and its latency go into a .json file beside it.

    Args:
        model: Run folder, whose student is meant; or a trained network: my_file.py:function for your own, timm:NAME,
            torchvision:NAME, hf:FOLDER, an .onnx or .pt2 file, or a built-in name.
        to: Type of weights and activations.
        out: File to write, or folder for it. Default: model_int8.onnx in the run folder, or in the working directory.
        teacher: What is given with the model.
        pixels: Let the file take pixels and normalise them itself: uint8 from 0 to 255, or unit from 0 to 1. Default:
            it takes network inputs.
        images: File .npz to compare on, as measure takes it. Nothing is calibrated on it.
        calibration: Inputs to calibrate on. auto: what comes nearest to the network in 32 bits.
        ranges: How activations get their ranges. auto: what comes nearest.
        reduce_range: Use 7 bits for weights, since 8 overflow on CPUs without VNNI. auto: where this CPU lacks it.
        keep_float: Nodes that stay in 32 bits. auto: those that cost most, where agreement needs it.
        min_agreement: Fraction of the pseudo inputs that must get the same class; a file below it is not written.
        num_inputs: Inputs to calibrate on, and as many to check with.
        seed: Of these inputs.
        overwrite: Replace a file that is there.
        trust_code: Import a Python file that the run folder names, see export.
        display: Tables, warnings and errors alone, or JSON for scripts.
    """
    from beliefmatch.data.images import read_examples
    from beliefmatch.errors import SettingsError
    from beliefmatch.quantization.quantize import QuantizationSettings
    from beliefmatch.studies.quantize import quantize_model

    if len(keep_float) > 1 and {"auto", "none"} & set(keep_float):
        raise SettingsError("--keep-float is auto, none, or names of nodes, not both")
    if teacher.output is not None and teacher.output.endswith(".onnx"):
        raise SettingsError(
            f"--output is which of the model's outputs holds the logits; the file is --out {teacher.output}"
        )
    names = {"auto": "auto", "none": "none"}
    kept = names.get(" ".join(keep_float), keep_float)
    settings = QuantizationSettings(
        calibration=None if calibration == "auto" else calibration,
        ranges=None if ranges == "auto" else ranges,
        reduce_range=None if reduce_range == "auto" else reduce_range == "yes",
        keep_float=kept,  # pyright: ignore[reportArgumentType]
        min_agreement=min_agreement,
        num_inputs=num_inputs,
        seed=seed,
    )
    quantized = quantize_model(
        model,
        out,
        teacher,
        pixels=pixels,
        images=None if images is None else read_examples(images),
        settings=settings,
        overwrite=overwrite,
        trust_code=trust_code,
    )
    if display == "json":
        from dataclasses import asdict

        print_json({"file": str(quantized.file), **asdict(quantized.quantization)})
    elif display == "full":
        _print_table(quantized.quantization)
        print_text("\n".join(_sentences(quantized)))


def _print_table(found: "Quantization") -> None:
    from rich.table import Table

    from beliefmatch.cli.tables import percent

    table = Table("calibrated on", "ranges", "biases")
    for title in ("agreement", "KL, nats"):
        table.add_column(title, justify="right")
    for each in found.candidates:
        made = (each.calibration, each.ranges, each.bias_correction)
        style = "bold" if made == (found.calibration, found.ranges, found.bias_correction) else None
        biases = "corrected" if each.bias_correction else "as they are"
        numbers = percent(each.agreement), f"{each.divergence:.5f}"
        table.add_row(each.calibration, each.ranges, biases, *numbers, style=style)
    print_table(table)


def _sentences(quantized: "Quantized") -> list[str]:
    """Return what was found, in words."""
    from beliefmatch.cli.eight_bits import describe_8_bits
    from beliefmatch.quantization.export import eight_bits_of
    from beliefmatch.runs.schema.export import describe_checks

    found = quantized.quantization
    checks = describe_checks(found.pseudo, found.images)
    described = eight_bits_of(found)
    return [
        *describe_8_bits(quantized.file.name, described, checks, num_bytes=found.bytes, threads=found.threads),
        f"wrote {quantized.file} and {quantized.record}",
    ]
