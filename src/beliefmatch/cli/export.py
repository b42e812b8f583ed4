"""The command `export`: a file to deploy."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from beliefmatch.cli.output import print_table
from beliefmatch.cli.printing import print_text
from beliefmatch.training.progress import Display, print_json

if TYPE_CHECKING:
    from beliefmatch.export.export import Exported


def export(
    run: tyro.conf.Positional[Path],
    /,
    *,
    to: Annotated[str, tyro.conf.arg(metavar="{onnx,pt2,safetensors}")],
    out: Path | None = None,
    int8: bool = False,
    min_agreement: Annotated[float | None, "FRACTION"] = None,
    pixels: Literal["uint8", "unit"] | None = None,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    assume_normalisation: bool = False,
    images: Path | None = None,
    teacher_license: str | None = None,
    overwrite: bool = False,
    trust_code: bool = False,
    display: Display = "full",
) -> None:
    """Export the student of a run as a file to deploy, checked in a fresh process, with a model card beside it.

    A file that does not predict what the student does is not left anywhere. What was found goes into result.json too.

    Args:
        run: Run folder.
        to: onnx for onnxruntime and others (pip install 'beliefmatch[onnx]'), pt2 for torch.export.load, safetensors
            for the weights alone.
        out: File to write, or folder for it. Default: model.onnx, model.pt2 or model.safetensors in the run folder.
        int8: Write the student in 8 bits, calibrated without data as quantize does; onnx alone. Default file:
            model_int8.onnx. More choices: beliefmatch quantize RUN.
        min_agreement: With --int8: fraction of made inputs that must get the student's class, else no file is left.
            Default: 0.95.
        pixels: Let the file take (batch, channels, height, width) pixels and normalise them itself: uint8 from 0 to
            255, or unit for floats from 0 to 1. Default: it takes network inputs.
        mean: Mean of each channel that the teacher was trained with, in pixels scaled to [0, 1]. Default: the run's.
        std: Standard deviation of each channel that the teacher was trained with, likewise.
        assume_normalisation: Normalise the pixels that a file takes by the run's default values.
        images: File .npz to compare the file with the student on: an array images (n, height, width, channels) uint8,
            or inputs (n, *shape) of numbers that are network inputs already (vectors, signals), and, for accuracy,
            labels (n,).
        teacher_license: Licence of the teacher's weights, for the model card.
        overwrite: Replace a file and a model card that are there.
        trust_code: Import a Python file that the run folder names as one of its networks, file.py:function. It may do
            anything, so read it first where you did not make the folder yourself.
        display: Tables, warnings and errors alone, or JSON for scripts.
    """
    from beliefmatch.data.images import read_examples
    from beliefmatch.export.export import export_student
    from beliefmatch.export.formats import check_format
    from beliefmatch.runs.folder import RunFolder

    format_name = check_format(to)
    _check_int8(to, int8=int8, min_agreement=min_agreement)
    folder = RunFolder(run)
    folder.read_run()
    if int8:
        from beliefmatch.measurement.stored_run import StoredRun
        from beliefmatch.quantization.export import export_in_8_bits
        from beliefmatch.quantization.quantize import MIN_AGREEMENT, QuantizationSettings

        exported = export_in_8_bits(
            StoredRun(folder=folder, trust_code=trust_code),
            out=out,
            pixels=pixels,
            mean=mean,
            std=std,
            assume_normalisation=assume_normalisation,
            images=None if images is None else read_examples(images),
            settings=QuantizationSettings(min_agreement=MIN_AGREEMENT if min_agreement is None else min_agreement),
            teacher_license=teacher_license,
            overwrite=overwrite,
        )
        _print_export(exported, display)
        return
    exported = export_student(
        folder,
        format_name,
        out=out,
        pixels=pixels,
        mean=mean,
        std=std,
        assume_normalisation=assume_normalisation,
        images=None if images is None else read_examples(images),
        teacher_license=teacher_license,
        overwrite=overwrite,
        trust_code=trust_code,
    )
    _print_export(exported, display)


def _check_int8(to: str, *, int8: bool, min_agreement: float | None) -> None:
    """Check that flags of 8 bits go with the format and with each other.

    Raises:
        SettingsError: they do not.
    """
    from beliefmatch.errors import SettingsError

    if int8 and to != "onnx":
        raise SettingsError(f"--int8 writes ONNX with 8-bit weights, so it needs --to onnx; got --to {to}")
    if min_agreement is not None and not int8:
        raise SettingsError("--min-agreement is for --int8: a file in 32 bits must agree but for rounding")


def _print_export(exported: "Exported", display: Display) -> None:
    if display == "json":
        from dataclasses import asdict

        files = {"file": str(exported.file), "card": str(exported.card)}
        print_json({**files, **asdict(exported.export)})
    elif display == "full":
        from beliefmatch.cli.tables import export_table, percent
        from beliefmatch.runs.schema.export import describe_checks

        export = exported.export
        print_table(export_table(export))
        checks = describe_checks(export.pseudo, export.images)
        if export.in_8_bits is not None:
            from beliefmatch.cli.eight_bits import describe_8_bits

            num_bytes, threads = export.student.bytes or 0, export.threads
            lines = describe_8_bits(exported.file.name, export.in_8_bits, checks, num_bytes=num_bytes, threads=threads)
            print_text("\n".join(lines))
        for examples, check in checks if export.in_8_bits is None else ():
            accuracy = "" if check.accuracy is None else f"; accuracy {percent(check.accuracy)}"
            print_text(
                f"{exported.file.name} and the student on {examples}: outputs differ by at most "
                f"{check.max_logit_difference:.2g} (of {check.largest_logit:.3g}), agreement "
                f"{percent(check.agreement)}{accuracy}"
            )
        if export.num_noise:
            print_text(f"{export.num_noise} of these were standard normal noise: {export.why_noise}")
        if export.why_no_teacher:
            print_text(f"numbers of the teacher are missing: {export.why_no_teacher}")
        print_text(f"wrote {exported.file} and its model card, {exported.card}")
