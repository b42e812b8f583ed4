"""Detect a collapse from the rows that a run logs, without any data and without torch.

Losses do not show it: a student that gives one class, or a generator that gives one image, can have a loss that falls.
The predictions of both networks on the same batches do.
"""

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean

from beliefmatch.runs.schema.result import Kind
from beliefmatch.runs.schema.row import Row
from beliefmatch.setting_names import Setting, where_known

LOWER_RATE = "a lower learning rate of the student{student}"
ADVICE: dict[str, str] = {
    "diverged": f"{LOWER_RATE} or of the source{{source}}",
    "constant_source": "a lower learning rate of the source{source}, or another generator",
    "one_class": LOWER_RATE,
    "constant_student": LOWER_RATE,
    "pinned": f"{LOWER_RATE}, or inputs nearer to what the teacher knows (a recipe that matches its batch-norm "
    "statistics)",
    "learns_nothing": "a higher learning rate of the student{student}, or another student, to which gradients come",
}
"""What to try, by what was found; settings follow in the braces."""

ONE_CLASS = 0.95
"""Frequency in a batch from which on a student gives one class: ten classes in balance have 0.1 each."""
BALANCE = 0.5
"""Fraction of the largest entropy that the teacher's predictions could have. Below it the batches themselves lack
classes, which is no fault of the student."""
LEAST_DIVERSITY = 0.01
"""Of a batch. 16-bit floats are a hundred and twenty-eighth of their size apart, so networks in them see no less."""
ALL_FIXED, SOME_FREE = 0.999, 0.9
"""Fraction of the labels that a collapsed student predicts for all of a batch or for none, at least, and that its
teacher does, at most."""
LEAST_SPREAD = 0.02
"""Standard deviation of a student's numbers, as a fraction of its teacher's, below which they are constant."""
SURE = 1e-3
"""Distance of a mean confidence from 1 below which it is pinned there."""
UNSURE = 0.01
"""Likewise from 1 / classes, as a fraction of it."""
CHANCE = 0.2
"""Agreement beyond chance (Cohen's kappa) up to which predictions hardly agree: "slight" in Landis & Koch 1977.
Networks that are sure of everything and agree, as they may late in training, lie far above it."""
UNMOVED = 2e-7
"""Change of the norm of the student's parameters, as a fraction of it, up to which they stay as they are: what 32 bits
resolve. The last steps of a cosine can be as small, but then the networks have agreed for long."""
FEWEST_EXAMPLES = 64
"""Examples that can show that a teacher gives one class to all."""
WINDOW_ROWS = 8
"""Logged rows in sequence that must look alike before a collapse is named."""
WINDOW_FRACTION, LEAST_STEPS, LARGEST_WINDOW = 0.05, 200, 500
"""Those rows must span this fraction of all rounds, but at least so many student steps, and no more rounds than that.
As many rounds at the start do not count: a fresh student gives one class to nearly everything, and takes a hundred
steps or two to leave it. A window longer than 500 rounds would name a collapse of a long run too late."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A collapse that lasts, as the rows show it."""

    kind: Kind
    since: int
    """First round of those in sequence that look so."""
    seen: str
    """What was seen, in words."""


class CollapseDetector:
    """Follows the rows of one run. It knows nothing but them, so a resumed run that reads them again knows the same."""

    def __init__(self, *, rounds: int, batch_size: int) -> None:
        """Build a detector that has seen no row.

        Args:
            rounds: of the whole run.
            batch_size: examples a batch.
        """
        self.rounds = rounds
        self.looks: dict[Kind, Callable[[Row], str | None]] = {
            "constant_source": _see_constant_source,
            "one_class": partial(_see_one_class, batch_size),
            "constant_student": _see_constant_student,
            "pinned": _see_pinned,
            "learns_nothing": _Movement().see_none,
        }
        self.beyond_chance: deque[float] = deque(maxlen=WINDOW_ROWS)
        self.since: dict[Kind, int] = {}
        self.counts: dict[Kind, int] = {}

    def detect(self, row: Row) -> list[Finding]:
        """Check one more row and return the collapses that stand by now, the nearest to a cause first."""
        found = []
        self.beyond_chance.append(agreement_beyond_chance(row))
        # One small batch agrees by luck now and then.
        beyond = fmean(self.beyond_chance)
        span = window(self.rounds, row["student_steps"])
        for kind, look in self.looks.items():
            seen = look(row)
            if seen is None or row["round"] <= span:
                self.counts.pop(kind, None)
                self.since.pop(kind, None)
                continue
            since = self.since.setdefault(kind, row["round"])
            self.counts[kind] = self.counts.get(kind, 0) + 1
            lasts = self.counts[kind] >= WINDOW_ROWS and row["round"] - since >= span
            if lasts and kind in ("constant_source", "constant_student"):
                found.append(Finding(kind=kind, since=since, seen=seen))
            # Whatever else is found says more than that nothing moves any longer.
            elif lasts and beyond <= CHANCE and not (found and kind == "learns_nothing"):
                chance = f"they agree hardly more than by chance (kappa {beyond:.2f})"
                found.append(Finding(kind=kind, since=since, seen=f"{seen}; {chance}"))
        return found


def advice_on(kind: str) -> str:
    """Return what to try after a collapse of a kind, with the settings that the caller has; empty for another kind."""
    rates = {
        "student": where_known(" ({})", Setting("optimiser.learning_rate")),
        "source": where_known(" ({})", Setting("source.learning_rate")),
    }
    return ADVICE.get(kind, "").format(**rates)


def see_constant_teacher(row: Row, batch_size: int) -> str | None:
    """Return in words that a teacher predicts the same for all inputs of a round that differ; None: it does not.

    That is no collapse, for it may be so from the first round on: with a wrong normalisation, or weights that were not
    loaded.

    Args:
        row: of the first round that is logged.
        batch_size: examples a batch.
    """
    num_examples = batch_size * row["student_steps"]
    if "teacher_classes" not in row:
        return None if num_examples < FEWEST_EXAMPLES or _see_constant_source(row) else _see_constant_outputs(row)
    teacher = row["teacher_classes"]
    largest = max(teacher)
    if num_examples < FEWEST_EXAMPLES or largest <= 1 - 1 / FEWEST_EXAMPLES or _see_constant_source(row):
        return None
    return (
        f"the teacher gives class {teacher.index(largest)} to {100 * largest:.1f} % of the {num_examples:,} inputs of "
        "the first round, so a student can learn little else. Are its mean and std right, and its weights loaded?"
    )


def window(rounds: int, student_steps: int) -> int:
    """Compute the rounds that a collapse must last, in a run of so many rounds, each of so many student steps."""
    return min(max(round(WINDOW_FRACTION * rounds), -(-LEAST_STEPS // student_steps)), LARGEST_WINDOW)


def is_long_enough(rows: Sequence[Row], rounds: int) -> bool:
    """Whether the rows of a whole run could have shown a collapse that lasts; too short a run shows none."""
    span = window(rounds, rows[-1]["student_steps"]) if rows else 0
    counted = [row["round"] for row in rows if row["round"] > span]
    return len(counted) >= WINDOW_ROWS and counted[-1] - counted[0] >= span


def agreement_beyond_chance(row: Row) -> float:
    """Compute Cohen's kappa of both networks' predictions: 1 where all agree, 0 where as many do as by chance.

    Where both give one class alone it is 0, for then their agreement carries no information. Labels are compared one by
    one. For numbers it is R^2, which is 0 where the student explains nothing.
    """
    if "batch_r2" in row:
        return row["batch_r2"]
    name = "classes" if "teacher_classes" in row else "label_frequencies"
    pairs = list(zip(row[f"teacher_{name}"], row[f"student_{name}"], strict=True))
    by_chance = sum(first * second for first, second in pairs)
    if name == "label_frequencies":
        by_chance = (by_chance + sum((1 - first) * (1 - second) for first, second in pairs)) / len(pairs)
    return (row["batch_agreement"] - by_chance) / (1 - by_chance) if by_chance < 1 - SURE else 0.0


def effective_number(frequencies: Sequence[float]) -> float:
    """Compute the exponential of the entropy of frequencies, which need not sum to one; 0 where all are 0."""
    whole = sum(frequencies)
    if whole == 0:
        return 0.0
    return math.exp(-sum(part / whole * math.log(part / whole) for part in frequencies if part > 0))


class _Movement:
    """Follows the norm of the student's parameters from row to row."""

    def __init__(self) -> None:
        self.norm = math.inf

    def see_none(self, row: Row) -> str | None:
        if not abs(row["student_norm"] - self.norm) <= UNMOVED * self.norm < math.inf:
            self.norm = row["student_norm"]
            return None
        return f"the student learns nothing: its parameters stay as they are (their norm is {self.norm:.6g})"


def _see_constant_source(row: Row) -> str | None:
    for name, inputs in (("batch_diversity", "of a batch"), ("generator_diversity", "made at a time")):
        found = row.get(name)
        if found is not None and found < LEAST_DIVERSITY:
            return f"all inputs {inputs} are alike (diversity {found:.2g}, expected above {LEAST_DIVERSITY})"
    return None


def _see_constant_outputs(row: Row) -> str | None:
    if row.get("teacher_fixed_labels", 0.0) < 1 and row.get("teacher_spread", 1.0) > LEAST_SPREAD:
        return None
    what = "predicts the same labels" if "teacher_label_frequencies" in row else "gives nearly the same numbers"
    return (
        f"the teacher {what} for all inputs of each batch of the first round, so a student can learn little else. Are "
        "its mean and std right, and its weights loaded?"
    )


def _see_constant_student(row: Row) -> str | None:
    if "teacher_label_frequencies" in row:
        student, teacher = row["student_fixed_labels"], row["teacher_fixed_labels"]
        if student < ALL_FIXED or teacher > SOME_FREE:
            return None
        return (
            "the student predicts every label for all of each batch or for none; of the teacher's labels "
            f"{100 * (1 - teacher):.1f} % differ within a batch"
        )
    if "teacher_spread" in row:
        student, teacher = row["student_spread"], row["teacher_spread"]
        if student >= LEAST_SPREAD * teacher:
            return None
        return (
            f"the student's numbers are alike (standard deviation {student:.2g} over a batch, the teacher's has "
            f"{teacher:.2g})"
        )
    return None


def _see_one_class(batch_size: int, row: Row) -> str | None:
    if "teacher_classes" not in row:
        return None
    student, teacher = row["student_classes"], row["teacher_classes"]
    # A student may give one class to a batch and another to the next, so that all look even in the mean.
    largest = row["student_largest_class"]
    # Fewer examples than classes cannot show them all.
    most = min(len(teacher), batch_size)
    balanced = most > 1 and effective_number(teacher) > most**BALANCE
    if largest <= ONE_CLASS or not balanced:
        return None
    one = f"class {student.index(max(student))}" if max(student) > ONE_CLASS else "one class, now this, now that,"
    return (
        f"the student gives {one} to {100 * largest:.1f} % of each batch, to which the teacher gives "
        f"{effective_number(teacher):.1f} classes (exponential of their entropy)"
    )


def _see_pinned(row: Row) -> str | None:
    if "teacher_confidence" not in row:
        return None
    for network in ("student", "teacher"):
        # Of a label two things can be predicted.
        found, num_classes = row[f"{network}_confidence"], len(row.get(f"{network}_classes", (0, 1)))
        if found > 1 - SURE or found * num_classes < 1 + UNSURE:
            bound = "1" if found > 1 - SURE else f"1 / {num_classes}, that of no knowledge"
            other = "teacher" if network == "student" else "student"
            return (
                f"the {network}'s confidence is pinned at {bound} ({found:.4f}; the {other}'s is "
                f"{row[f'{other}_confidence']:.4f})"
            )
    return None
