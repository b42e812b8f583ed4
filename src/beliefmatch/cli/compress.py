"""The command `compress`: one network of the user's own to a smaller one."""

import re
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from beliefmatch.cli.flag_words import ModelFlags
from beliefmatch.cli.output import print_run
from beliefmatch.cli.printing import is_first_process, print_text
from beliefmatch.networks.model_settings import ModelSettings
from beliefmatch.training.progress import Display, RunProgress, print_json

if TYPE_CHECKING:
    from beliefmatch.runs.schema.candidates import Target
    from beliefmatch.studies.compression import Compression
    from beliefmatch.studies.compression_plan import CompressionPlan
    from beliefmatch.studies.compression_settings import CompressionSettings


def compress(
    model: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="MODEL")]],
    /,
    *,
    student: Annotated[str | None, "NAME"] = None,
    speedup: Annotated[float | None, "TIMES"] = None,
    size: Annotated[float | None, "FRACTION"] = None,
    macs: Annotated[float | None, "FRACTION"] = None,
    candidates: int = 1,
    teacher: ModelFlags = ModelSettings(),
    minutes: Annotated[float | None, "MINUTES"] = None,
    folder: Annotated[Path | None, "FOLDER"] = None,
    plan: bool = False,
    recipe: str = "best",
    rounds: Annotated[int | None, "COUNT"] = None,
    start: Literal["teacher", "fresh"] | None = None,
    batch_size: Annotated[int | None, "COUNT"] = None,
    seed: int = 0,
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    precision: Literal["auto", "32-true", "64-true", "bf16-mixed"] = "auto",
    display: Display = "full",
) -> None:
    """Compress a network of yours into a smaller one, without any of its data.

    Example: beliefmatch compress my_model.py:net --weights w.pt --shape 3 32 32 --mean .49 .48 .45 --std .2 .2 .2
    --student wide_resnet_16_1 --minutes 10

    It prints what it understood and what it will do, then does it. The same command continues a run that was cut short.
    With more minutes than a finished run had, a new schedule begins from its student, in a folder beside it.

    Args:
        model: Trained network: my_file.py:function for your own, timm:NAME, torchvision:NAME, hf:FOLDER, an .onnx or
            .pt2 file, or a built-in name; beliefmatch architectures lists names.
        student: Smaller network that learns, named likewise; beliefmatch inspect MODEL suggests some. thin:0.5 makes it
            of the teacher, with half of the MACs in fewer channels; shallow:0.7 leaves residual blocks out;
            quantized:w4a8 simulates 4 bits for weights and 8 for activations. auto, or none with --speedup, --size or
            --macs: what meets them is found and measured on this machine.
        speedup: Times as fast as the teacher at least, for one example on this machine's CPU, such as 2.
        size: Part of the teacher's bytes at most, such as 0.25.
        macs: Part of the teacher's multiply-accumulates at most, such as 0.5.
        candidates: Of those that meet them: how many are trained, each for an equal part of the minutes. The one that
            agrees best with the teacher on made inputs is taken.
        teacher: What is given with the model.
        minutes: Wall time of all of it. Default: as many rounds as the recipe does, which the plan tells.
        folder: Run folder. Default: runs/TEACHER_to_STUDENT.
        plan: Print what was understood and what would be done, and stop there.
        recipe: How; beliefmatch recipes lists them.
        rounds: Rounds, instead of minutes.
        start: teacher: the student begins with the teacher's weights where both have a layer; fresh: with random ones.
            Default: what the recipe finds right.
        batch_size: Examples a batch. Default: the recipe's.
        seed: Of fresh weights and of all noise.
        accelerator: Kind of device.
        precision: Floating-point precision. auto: bf16-mixed on hardware that multiplies 16-bit floats, else 32-true.
        display: Progress and tables, warnings and errors alone, or JSON lines for scripts.
    """
    began = time.monotonic()
    from beliefmatch.errors import SettingsError
    from beliefmatch.runs.schema.candidates import Target
    from beliefmatch.studies.auto_compress import AUTO, is_auto
    from beliefmatch.studies.compression_settings import CompressionSettings
    from beliefmatch.training.options import RunOptions

    target = Target(speedup=speedup, size=size, macs=macs)
    if student is None and target == Target():
        raise SettingsError(
            "--student is missing: name one, such as thin:0.5, or say what it must meet, such as --speedup 2"
        )
    student = AUTO if student is None else student
    where = folder or Path("runs") / f"{_short(model)}_to_{_short(student)}"
    settings = CompressionSettings(
        teacher=model,
        of_teacher=teacher,
        student=student,
        start=start,
        recipe=recipe,
        minutes=minutes,
        rounds=rounds,
        batch_size=batch_size,
        seed=seed,
        began=began,
        options=RunOptions(folder=where, resume=True, accelerator=accelerator, precision=precision),
    )
    if is_auto(student, target):
        _compress_auto(settings, target, num_trained=candidates, only_plan=plan, display=display)
    else:
        _compress_one(settings, only_plan=plan, display=display)


def _compress_one(settings: "CompressionSettings", *, only_plan: bool, display: Display) -> "Compression | None":
    """Plan one compression and do it; give None where it is only planned."""
    from beliefmatch.studies.compress import plan_compression, run_plan

    made = plan_compression(settings)
    if display == "full" and is_first_process():
        print_text(made.note if made.is_finished and not only_plan else str(made))
    if only_plan:
        return None
    with RunProgress(made.transfer.rounds, display) as progress:
        result = run_plan(made, progress=False, on_round=progress)
    if is_first_process():
        print_run(made.options.folder, display)
        if display == "full":
            _print_next(made)
    return result


def _compress_auto(
    settings: "CompressionSettings", target: "Target", *, num_trained: int, only_plan: bool, display: Display
) -> None:
    """Find what meets a target, print what was measured, train, and print what was chosen."""
    from beliefmatch.cli.candidates_table import print_candidates
    from beliefmatch.studies.auto_compress import check_met, plan_auto, run_auto

    found = plan_auto(settings, target, num_trained=num_trained)
    if display == "full":
        print_candidates(found.found)
    check_met(found.found)
    if only_plan:
        candidate = found.found.candidates[found.found.order[0]]
        if candidate.student is None:
            print_text("to do: the network itself is quantised to 8 bits; nothing is trained")
        else:
            _compress_one(found.settings_for(candidate), only_plan=True, display=display)
        return

    def compress_one(of_one: "CompressionSettings") -> "Compression":
        result = _compress_one(of_one, only_plan=False, display=display)
        assert result is not None
        return result

    result = run_auto(found, compress_one)
    assert result.found is not None
    if display == "json":
        print_json({"folder": str(result.folder), "int8": result.int8 and str(result.int8), **asdict(result.found)})
    elif display == "full":
        print_candidates(result.found)
        print_text(f"chosen: {result!r}" + (f"; in 8 bits: {result.int8}" if result.int8 else ""))


def _print_next(plan: "CompressionPlan") -> None:
    """Say where the student is and what to type next."""
    from beliefmatch.runs.folder import RunFolder
    from beliefmatch.training.trusted_code import code_named_in

    folder, trust = plan.options.folder, " --trust-code" if code_named_in(plan.transfer) else ""
    found = RunFolder(folder).read_measurement()
    on_data = "nothing was measured on data" if found is None else f"measured on {found.num_images:,} examples"
    print_text(
        f"the student is in {folder}; {on_data}\n"
        f"to measure: beliefmatch measure {folder} --images FILE.npz{trust}\n"
        f"to deploy:  beliefmatch export {folder} --to onnx{trust}\n"
        f"one page:   beliefmatch report {folder}"
    )


def _short(name: str) -> str:
    """Return what a folder can be called after a network: my_model_net for path/my_model.py:net."""
    last = re.split(r"[/\\]", name.rstrip("/\\"))[-1].replace(".py:", "_")
    return re.sub(r"[^\w.-]+", "_", last.partition("?")[0]).strip("_.")
