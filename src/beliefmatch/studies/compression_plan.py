"""What a compression understood of its two networks and what it will do, before anything is done."""

import time
from dataclasses import dataclass, replace

from beliefmatch import recipes
from beliefmatch.networks.cost import Cost, cost_of, peak_memory
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.given import GivenNetworks
from beliefmatch.runs.schema.export import NormalisationFrom
from beliefmatch.runs.schema.task import DESCRIPTIONS, OUTPUT_WORDS, TaskName
from beliefmatch.students.pruned import PrunedStudent
from beliefmatch.students.quantized import QuantizedStudent
from beliefmatch.students.start_from_teacher import is_of_family
from beliefmatch.training.budget import Timing, time_run
from beliefmatch.training.options import RunOptions
from beliefmatch.training.prepare import prepare
from beliefmatch.training.transfer import Transfer

SOURCES: dict[NormalisationFrom | None, str] = {
    "user": "as you gave it",
    "checkpoint": "from the teacher's own configuration",
    "default": "Warning: not given, so this is assumed. If the teacher was trained with another normalisation, results "
    "will be wrong",
    None: "inputs are no images",
}
"""By source of a normalisation: what is said of it."""
FEW_ROUNDS = 0.05
"""Part of a recipe's usual rounds below which a run says little of what the recipe can do."""
FEW_TO_TIME = 5
"""Rounds that are not timed where their number is given: to time them takes as long as to do them."""


@dataclass(frozen=True, kw_only=True)
class CompressionPlan:
    """A compression that is ready to begin. `str(plan)` says in words what was understood and what will be done."""

    transfer: Transfer
    """What will be computed, with its number of rounds."""
    options: RunOptions
    """Where, and on what."""
    given: GivenNetworks
    """Networks that were given in Python."""
    teacher: Cost
    student: Cost
    task: TaskName
    """What the outputs predict."""
    num_classes: int
    """Or labels, or numbers."""
    is_of_family: bool
    """Whether the student has enough layers of its teacher's to start from its weights."""
    device: str
    """Kind of device: cpu, cuda or mps."""
    timing: Timing | None
    """None: the folder holds a run already, whose number of rounds is kept."""
    memory: int
    """Bytes in use at most while rounds were timed."""
    note: str = ""
    """What the user should know first, such as that a run continues."""
    is_finished: bool = False
    """Whether the folder holds the run already, with its result, so that nothing is left to do."""

    def __str__(self) -> str:
        """Return one line a fact, ready to print."""
        lines = [("teacher", f"{self.transfer.teacher.architecture}: {_size(self.teacher)}")]
        lines += [
            ("student", self._student()),
            (OUTPUT_WORDS[self.task], self._outputs()),
            *describe_inputs(self.transfer.inputs),
        ]
        lines += [*self._work(), *(("warning", text) for text in self._warnings())]
        return "\n".join([*([self.note] if self.note else []), *(f"{name:14}{text}" for name, text in lines)])

    def _outputs(self) -> str:
        return f"{self.num_classes}" + ("" if self.task == "single_label" else f", of {DESCRIPTIONS[self.task]}")

    def _student(self) -> str:
        smaller = f"{_times(self.teacher.parameters, self.student.parameters)} the parameters"
        if self.teacher.macs and self.student.macs:
            smaller += f" and {_times(self.teacher.macs, self.student.macs)} the MACs"
        return f"{self.transfer.student.architecture}: {_size(self.student)}; {smaller}; begins with {self._start()}"

    def _start(self) -> str:
        """Return the weights that the student begins with."""
        student = self.transfer.student
        if student.weights is not None:
            return f"the weights in {student.weights}"
        if student.has_weights:
            return "the weights that its name asks for"
        if isinstance(student, PrunedStudent):
            return "fresh weights" if student.start == "fresh" else "what is left of the teacher's weights"
        if isinstance(student, QuantizedStudent):
            return "the teacher's weights; its bits are simulated, and its bytes are what they would take"
        if student.start == "teacher" and self.is_of_family:
            return "the teacher's weights, where both have a layer"
        own = "fresh weights" if self.given.student is None else "the weights that it was given with"
        return f"{own}, since it is of another family than its teacher" if student.start == "teacher" else own

    def _work(self) -> list[tuple[str, str]]:
        transfer, each = self.transfer, ""
        if transfer.recipe in recipes.ALL:
            each = f", each of {recipes.defaults_of(transfer.recipe).each_round}"
        usual = transfer.usual_rounds
        part = "" if usual in (None, transfer.rounds) else f" of the usual {usual:,} rounds"
        rounds = f"{transfer.rounds:,}{part}{each}, in batches of {transfer.batch_size}, with seed {transfer.seed}"
        lines = [("recipe", transfer.recipe), ("rounds", rounds)]
        if self.timing is not None:
            seconds = self.timing.planned_seconds
            lines.append(
                ("time", f"about {describe_duration(seconds)} on {self.device}, by rounds that were timed just now")
            )
        return [*lines, ("memory", f"about {self.memory / 2**30:.1f} GiB"), ("folder", f"{self.options.folder}")]

    def _warnings(self) -> list[str]:
        """Return what the user may not have meant."""
        found, usual, rounds = [], self.transfer.usual_rounds, self.transfer.rounds
        if self.student.parameters > self.teacher.parameters:
            found.append("the student is larger than its teacher, so nothing is compressed: name a smaller student")
        if usual is not None and rounds < FEW_ROUNDS * usual:
            found.append(
                f"{100 * rounds / usual:.2g} % of the usual rounds say little about what the recipe can do: "
                "give it more minutes"
            )
        return found


def make_plan(
    transfer: Transfer,
    options: RunOptions,
    given: GivenNetworks,
    *,
    minutes: float | None,
    is_timed: bool = True,
    note: str = "",
    began: float | None = None,
) -> CompressionPlan:
    """Load and inspect both networks, time some rounds, and choose how many fit the time.

    Args:
        transfer: what to compute; its rounds are replaced where minutes are given.
        options: where, and on what.
        given: networks that were given in Python.
        minutes: wall time of the whole run, with what was before it and what this function takes; None: the rounds of
            the transfer.
        is_timed: whether rounds are timed, unless they are few and their number is given; otherwise it stays.
        note: see `CompressionPlan.note`.
        began: when the minutes began, as `time.monotonic` has it. None: now.

    Raises:
        BeliefMatchError: a network does not fit, or a setting does not fit the networks.
    """
    began = time.monotonic() if began is None else began
    prepared = prepare(transfer, options)
    # How a pruned student is made of its teacher was found just now, and can take minutes.
    transfer = replace(transfer, student=prepared.transfer.student)
    timing = None
    if is_timed and (minutes is not None or transfer.rounds > FEW_TO_TIME):
        timing = time_run(transfer, options, minutes, began=began)
        transfer = replace(transfer, rounds=timing.rounds)
    return CompressionPlan(
        transfer=transfer,
        options=options,
        given=given,
        teacher=cost_of(prepared.teacher.module, prepared.teacher.inspection.macs),
        student=cost_of(prepared.student, prepared.inspection.macs),
        task=prepared.teacher.task.name,
        num_classes=prepared.teacher.num_classes,
        is_of_family=is_of_family(prepared.student, prepared.teacher.module),
        device=prepared.fabric.device.type,
        timing=timing,
        memory=peak_memory(prepared.fabric.device),
        note=note,
    )


def describe_inputs(inputs: InputSpec) -> list[tuple[str, str]]:
    """Return shape and normalisation in words, and where each is from."""
    origin = "as you gave it" if inputs.shape_from == "user" else "from the teacher's own configuration"
    lines = [("input shape", f"{' x '.join(map(str, inputs.shape))} ({origin})")]
    if inputs.is_made_of_pixels:
        lines.append(("normalisation", f"{inputs.describe_normalisation()} ({SOURCES[inputs.normalisation_from]})"))
    return lines


def _size(cost: Cost) -> str:
    size = f"{cost.bytes / 1e6:.1f} MB" if cost.bytes >= 1e6 else f"{cost.bytes / 1e3:.1f} kB"
    macs = f"{cost.macs:,} MACs" if cost.macs else "MACs not counted"
    return f"{cost.parameters:,} parameters, {macs}, {size}"


def _times(teacher: int, student: int) -> str:
    """Return the student's number as a fraction of the teacher's in words."""
    if not student or not teacher:
        return "-"
    return f"1/{teacher / student:.1f} of" if student <= teacher else f"{student / teacher:.1f} times"


def describe_duration(seconds: float) -> str:
    """Return seconds in words."""
    if seconds < 120:
        return _several(round(seconds), "second")
    minutes = round(seconds / 60)
    if minutes < 120:
        return _several(minutes, "minute")
    return f"{_several(minutes // 60, 'hour')} {_several(minutes % 60, 'minute')}"


def _several(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
