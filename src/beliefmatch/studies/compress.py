"""One call from two networks to a student: understand them, plan, run, or continue what a folder holds."""

import sys
import time
from dataclasses import replace
from pathlib import Path

from beliefmatch.checks import check_length
from beliefmatch.errors import SettingsError
from beliefmatch.log_once import each_message_once
from beliefmatch.networks.loading.given import GivenNetworks
from beliefmatch.networks.model_settings import Dataset, ModelSettings
from beliefmatch.networks.output_kinds import OutputKind
from beliefmatch.runs.folder import RunFolder
from beliefmatch.runs.schema.candidates import Target
from beliefmatch.runs.schema.run import RunSettings
from beliefmatch.setting_names import Setting, speaks_python
from beliefmatch.students.base import Start
from beliefmatch.studies.auto_compress import is_auto, plan_auto, run_auto
from beliefmatch.studies.compression import Compression
from beliefmatch.studies.compression_plan import CompressionPlan, make_plan
from beliefmatch.studies.compression_settings import (
    CompressionSettings,
    Numbers,
    RecipeLike,
    StudentLike,
    TeacherLike,
    numbers,
    transfer_of,
)
from beliefmatch.training.options import RunOptions
from beliefmatch.training.run import Observer, run
from beliefmatch.training.transfer import Transfer


@speaks_python
def compress(
    teacher: TeacherLike,
    student: StudentLike,
    *,
    dataset: Dataset | None = None,
    shape: tuple[int, ...] | None = None,
    mean: Numbers | None = None,
    std: Numbers | None = None,
    speedup: float | None = None,
    size: float | None = None,
    macs: float | None = None,
    candidates: int = 1,
    minutes: float | None = None,
    rounds: int | None = None,
    recipe: RecipeLike = "best",
    folder: Path | str | None = None,
    seed: int = 0,
    weights: Path | str | None = None,
    state_key: str | None = None,
    num_classes: int | None = None,
    outputs: OutputKind | None = None,
    output: str | None = None,
    allow_untrained: bool = False,
    start: Start | None = None,
    batch_size: int | None = None,
    options: RunOptions | None = None,
    progress: bool = True,
    on_round: Observer | None = None,
) -> Compression:
    """Compress a trained network into a smaller one without any of the data that it was trained on.

    Before the first round it writes to the standard error what it understood of both networks and what it will do. The
    networks that are given do not change: the run takes copies.

    Args:
        teacher: trained network: a module; a function without arguments that makes one and loads its weights, or that
            `weights` fills; a name such as "wide_resnet_40_1", "timm:NAME", "hf:FOLDER" or "my_file.py:make_network";
            or the path of an .onnx or .pt2 file or of a Hugging Face folder.
        student: smaller network that learns: likewise, such as "wide_resnet_16_1" or your own module; or "thin:0.5" or
            "shallow:0.7", the teacher with fewer channels or blocks (docs/pruning.md); "quantized:w4a8", the teacher
            in few bits (docs/quantization.md); or "auto": what meets speedup, size or macs is listed, measured on this
            machine, and trained (docs/which_student.md); or `GivenStudent.of(module, output="0")` where it returns
            several outputs.
        dataset: what the teacher was trained on, such as "cifar10" or "imagenet", instead of shape, mean and std. No
            data is read.
        shape: of one input, without the batch axis, such as (3, 32, 32). None: the teacher's own configuration says.
        mean: of each channel that the teacher was trained with, in pixels scaled to [0, 1]; one number serves all.
        std: standard deviation, likewise.
        speedup: for "auto": times as fast as the teacher at least, for one example on the CPU of this machine.
        size: for "auto": part of the teacher's bytes at most, such as 0.25.
        macs: for "auto": part of the teacher's multiply-accumulates at most.
        candidates: for "auto": how many are trained, each for an equal part of the minutes; the one that agrees best
            with the teacher on inputs made without data is returned.
        minutes: wall time of all of it. None: `rounds`, or else as many rounds as the recipe does by default. A
            finished run in the folder that took less is extended: see `folder`.
        rounds: number of rounds, instead of minutes.
        recipe: name of a recipe, or a function of a `Setup` that returns a `Transfer`, such as a
            `functools.partial(recipes.dfq, source=...)`.
        folder: run folder. The same call again continues the run in it, or returns what it gave. With more minutes, or
            rounds, than a finished run had, a new schedule begins from its student in a folder beside it. None: a new
            folder in runs/.
        seed: of fresh weights and of all noise.
        weights: file with the teacher's weights, where they are not in it yet.
        state_key: which of several state dicts in that file, such as ema. None: the only one.
        num_classes: outputs of a teacher that is made by name and filled from a file of weights. None: 10.
        outputs: what the teacher returns: logits, probabilities, sigmoid or binary, of classes of which one is right;
            multi_label, or regression. None: what its configuration says, or else detected.
        output: which of several outputs of the teacher holds the logits, by index or key, where that is ambiguous.
        allow_untrained: whether to take a function that loads no weights, so that the teacher is random.
        start: "teacher": what the student has in common with the teacher begins with the teacher's weights; "fresh":
            the student's own weights. None: what the recipe finds right; best takes "teacher".
        batch_size: examples a batch. None: the recipe's.
        options: device, precision and intervals; its folder and its `resume` do not count.
        progress: whether to show the plan, the rounds and the time left.
        on_round: called after every round with the number of rounds completed, and with a dictionary of losses,
            confidences and agreement in rounds that are logged, else None. What it raises ends the run.

    Returns:
        The student, and what can be done with it next, as in `result.student`, `result.measure(examples)`,
        `result.report()` and `result.export("student.onnx")`.

    Raises:
        BeliefMatchError: a network, a setting or the folder cannot be used; a `ValueError` that says what to do.
        WrongTypeError: an argument has another type, a `TypeError`.

    Example:
        >>> from torch import nn
        >>> import beliefmatch as bm
        >>> def make_network(width):
        ...     return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 3))
        >>> teacher = make_network(16)  # stands for one that was trained
        >>> result = bm.compress(
        ...     teacher, make_network(8), shape=(4,), rounds=1, folder="runs/example", progress=False
        ... )
        >>> result
        Compression('given in Python: Sequential', 67 of 131 parameters, folder='runs/example')
        >>> type(result.student).__name__
        'Sequential'
    """
    began = time.monotonic()
    where = _new_folder() if folder is None else Path(folder)
    settings = CompressionSettings(
        teacher=teacher,
        of_teacher=ModelSettings(
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
        student=student,
        start=start,
        recipe=recipe,
        minutes=minutes,
        rounds=rounds,
        batch_size=batch_size,
        seed=seed,
        began=began,
        options=replace(options or RunOptions(folder=where), folder=where, resume=True),
    )

    def compress_one(of_one: CompressionSettings) -> Compression:
        with each_message_once():
            plan = plan_compression(of_one)
            if progress:
                sys.stderr.write(f"{plan.note if plan.is_finished else plan}\n")
            return run_plan(plan, progress=progress, on_round=on_round)

    target = Target(speedup=speedup, size=size, macs=macs)
    if not is_auto(student, target):
        return compress_one(settings)
    return run_auto(plan_auto(settings, target, num_trained=candidates), compress_one)


def plan_compression(settings: CompressionSettings) -> CompressionPlan:
    """Understand both networks, and choose how many rounds fit the time; nothing is written.

    Raises:
        BeliefMatchError: see `compress`.
    """
    check_length(minutes=settings.minutes, rounds=settings.rounds)
    # Networks may take long to load, and rounds to be timed.
    RunFolder(settings.options.folder).check_usable(resume=True)
    transfer, given = transfer_of(settings)
    return _plan_in_folder(transfer, given, settings)


def run_plan(plan: CompressionPlan, *, progress: bool = True, on_round: Observer | None = None) -> Compression:
    """Do what a plan says; see `compress`."""
    run(plan.transfer, plan.options, progress=progress, on_round=on_round)
    return Compression(folder=plan.options.folder, transfer=plan.transfer, given=plan.given)


def _plan_in_folder(transfer: Transfer, given: GivenNetworks, settings: CompressionSettings) -> CompressionPlan:
    """Plan a new run, or go on with the one that the folder holds."""
    folder = RunFolder(settings.options.folder)
    if not folder.holds_run:
        transfer = replace(transfer, minutes=settings.minutes)
        return make_plan(transfer, settings.options, given, minutes=settings.minutes, began=settings.began)
    more = _more_than(folder.read_run().settings, settings, folder)
    kept = folder.read_run().settings.transfer
    if more is None:
        transfer = replace(transfer, rounds=kept["rounds"], minutes=kept["minutes"])
        is_finished = folder.result.is_file()
        state = "has finished; nothing is left to do" if is_finished else "continues from its last checkpoint"
        plan = make_plan(
            transfer,
            settings.options,
            given,
            minutes=None,
            is_timed=False,
            note=f"The run in {folder.path} {state}.",
        )
        return replace(plan, is_finished=is_finished)
    unit, total, left = more
    longer = folder.path.with_name(f"{folder.path.name}_to_{total:g}_{unit}")
    plan = _plan_in_folder(
        replace(
            transfer,
            rounds=int(left) if unit == "rounds" else transfer.rounds,
            student=replace(transfer.student, weights=folder.student.absolute(), start=None),
            seed=transfer.seed + 1,
        ),
        given,
        replace(
            settings,
            minutes=left if unit == "minutes" else None,
            rounds=int(left) if unit == "rounds" else None,
            options=replace(settings.options, folder=longer),
        ),
    )
    begins = f"a new schedule of {left:g} {unit} begins from its student in {longer}, with another seed"
    return replace(plan, note=f"The run in {folder.path} has finished: {begins}. {plan.note}".rstrip())


def _more_than(kept: RunSettings, settings: CompressionSettings, folder: RunFolder) -> tuple[str, float, float] | None:
    """Return unit, total and remainder of a longer run than the folder holds; None: it is the same run.

    Raises:
        SettingsError: it has not finished, or did as much already.
    """
    for unit, asked, had in (
        ("minutes", settings.minutes, kept.transfer["minutes"]),
        ("rounds", settings.rounds, kept.transfer["rounds"]),
    ):
        if asked is None or asked == had:
            continue
        length = f"{had:g} {unit}" if had is not None else f"{kept.transfer['rounds']} rounds"
        if had is None or asked < had:
            raise SettingsError(
                f"{Setting(unit)} is {asked:g}, but the run in {folder.path} was begun for {length}: ask for "
                f"more than that to extend it, or name another {Setting('folder')}"
            )
        if not folder.result.is_file():
            raise SettingsError(
                f"{Setting(unit)} is {asked:g}, but the run in {folder.path} was begun for {length} and has not "
                f"finished: let it finish with {Setting(unit, had)} first"
            )
        return unit, asked, asked - had
    return None


def _new_folder() -> Path:
    """Return the first of runs/compressed_1, runs/compressed_2 and so on that is not there."""
    number = 1
    while Path("runs", f"compressed_{number}").exists():
        number += 1
    return Path("runs", f"compressed_{number}")
