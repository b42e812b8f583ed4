"""The command `inspect`: what is understood of a model, and which students would fit."""

import shlex
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from beliefmatch.cli.flag_words import ModelFlags
from beliefmatch.cli.output import open_table, print_table
from beliefmatch.cli.printing import print_text
from beliefmatch.cli.sensitivity import print_sensitivity
from beliefmatch.networks.model_settings import ModelSettings
from beliefmatch.training.progress import Display, print_json

if TYPE_CHECKING:
    from beliefmatch.networks.teacher import Teacher
    from beliefmatch.studies.suggestions import SuggestedStudent


def inspect_model(
    model: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="MODEL")]],
    /,
    *,
    teacher: ModelFlags = ModelSettings(),
    prune: bool = False,
    plot: Annotated[Path | None, "FILE"] = None,
    display: Display = "full",
) -> None:
    """Print what is understood of a model, students that would fit, and the compress command to type.

    Example: beliefmatch inspect my_model.py:net --weights w.pt --shape 3 32 32

    Args:
        model: Trained network: my_file.py:function for your own, timm:NAME, torchvision:NAME, hf:FOLDER, an .onnx or
            .pt2 file, or a built-in name.
        teacher: What is given with the model.
        prune: Show, too, its sensitivity to the loss of each group of channels and of each residual block.
        plot: With --prune: file .png, .svg or .pdf to draw that into.
        display: Tables, warnings and errors alone, or JSON for scripts.
    """
    from beliefmatch.errors import SettingsError
    from beliefmatch.networks.pruning.sensitivity import measure_sensitivity
    from beliefmatch.report.sensitivity import check_plot, write_plot
    from beliefmatch.studies.compression_plan import describe_inputs
    from beliefmatch.studies.compression_settings import load_alone
    from beliefmatch.studies.suggestions import suggest_students

    if plot is not None:
        if not prune:
            raise SettingsError("--plot draws what --prune measures: add --prune")
        check_plot(plot)
    loaded = load_alone(model, teacher)
    sensitivity = measure_sensitivity(loaded.module, loaded.spec) if prune else None
    if plot is not None and sensitivity is not None:
        write_plot(plot, sensitivity)
    first, *students = suggest_students(model, loaded)
    lines = _lines(loaded, ["beliefmatch", "compress", model, *_words(teacher)], students)
    line = next(iter(lines.values()), "")
    if display == "json":
        found: dict[str, Any] = {
            "model": asdict(first),
            "classes": loaded.num_classes,
            "task": loaded.task.name,
            "students": [asdict(each) for each in students],
            "pruning": sensitivity and asdict(sensitivity),
        }
        found |= {"shape": loaded.spec.shape, "outputs": loaded.inspection.outputs}
        print_json(found | {"command": line, "commands": list(lines.values())})
    elif display == "full":
        inputs = describe_inputs(loaded.spec)
        described = [("model", model), *_describe(loaded), *inputs]
        print_text("\n".join(f"{name:14}{text}" for name, text in described))
        _print_table(first, students)
        if sensitivity is not None:
            print_sensitivity(sensitivity)
            if plot is not None:
                print_text(f"wrote {plot}")
        if students:
            print_text(_estimate(first, students[0], loaded))
        else:
            print_text("no network of ours is smaller and fits; name one of your own: --student my_file.py:function")
        print_text("\n".join(f"{what}:\n  {typed}" for what, typed in lines.items()))


def _words(settings: ModelSettings) -> list[str]:
    """Return the words of a command that give settings of a model."""
    words = []
    for field in fields(settings):
        if value := getattr(settings, field.name):
            values = () if value is True else value if isinstance(value, tuple) else (value,)
            words += [f"--{field.name.replace('_', '-')}", *map(str, values)]
    return words


def _lines(teacher: "Teacher", words: list[str], students: "list[SuggestedStudent]") -> dict[str, str]:
    """Return lines to type that compress a model, by what each does; none where nothing smaller is known."""
    from beliefmatch.students.pruned import plan_students

    halved = "thin:0.5"
    can_be_thinned = bool(plan_students([halved], teacher))
    found = dict[str, tuple[str, str]]()
    if students:
        found["to compress it into a network of ours"] = ("--student", students[0].architecture)
    if can_be_thinned:
        found["to compress it into itself, narrower, with half of its MACs"] = ("--student", halved)
    if students or can_be_thinned:
        found["to search for a student that is twice as fast on this machine"] = ("--speedup", "2")
    return {what: shlex.join([*words, *typed, "--minutes", "10"]) for what, typed in found.items()}


def _estimate(model: "SuggestedStudent", student: "SuggestedStudent", teacher: "Teacher") -> str:
    """Estimate by latencies how long the recipe best takes; a pass with a gradient counts as three."""
    from beliefmatch.recipes.best import DEFAULTS
    from beliefmatch.sources.procedural_pool import ProceduralPool
    from beliefmatch.studies.compression_plan import describe_duration
    from beliefmatch.studies.suggestions import BATCH_SIZE

    source = ProceduralPool(match_normalisation=False).resolve(teacher)
    batch_size = DEFAULTS.batch_size
    refined = (source.refined_fraction or 0.0) * (source.made_batch or batch_size)
    of_model = source.student_steps * batch_size + 3 * source.making_steps * refined
    of_student = 3 * source.student_steps * batch_size
    seconds = DEFAULTS.rounds * (of_model * model.batch_latency + of_student * student.batch_latency) / BATCH_SIZE
    time = describe_duration(seconds)
    return (
        f"with {student.architecture}, all {DEFAULTS.rounds:,} rounds of best take about {time} on this CPU, going by "
        "these latencies; --minutes does as many as fit"
    )


def _describe(teacher: "Teacher") -> list[tuple[str, str]]:
    from beliefmatch.runs.schema.task import OUTPUT_WORDS

    found = teacher.inspection
    num_norms = len(found.batch_norms)
    gradient = "yes" if found.why_no_gradient is None else f"no: {found.why_no_gradient}"
    return [
        (OUTPUT_WORDS[found.task], f"{teacher.num_classes}"),
        ("outputs", found.outputs if teacher.task.knows_classes else f"of {teacher.task.description}"),
        ("last layer", f"{found.head or type(teacher.module).__name__}" if found.head is not None else "not found"),
        ("batch-norm", f"{num_norms} layer{'' if num_norms == 1 else 's'} with running statistics"),
        ("gradient", f"{gradient} (of the outputs to the inputs, which all recipes but a few need)"),
    ]


def _print_table(model: "SuggestedStudent", students: "list[SuggestedStudent]") -> None:
    from beliefmatch.cli.tables import short
    from beliefmatch.number_texts import three_digits

    table = open_table()
    table.add_column("")
    for heading in ("parameters", "MACs", "1 example, ms", "64 examples, ms"):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in (model, *students):
        latencies = (three_digits(1e3 * seconds) for seconds in (each.latency, each.batch_latency))
        table.add_row(each.architecture, f"{each.cost.parameters:,}", short(each.cost.macs), *latencies)
    print_table(table)
