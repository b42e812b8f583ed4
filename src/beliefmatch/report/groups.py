"""Runs that differ in their seed alone belong together; the rest stand side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

from beliefmatch.report.runs import Run
from beliefmatch.report.settings import OWN, Settings, labels
from beliefmatch.runs.serialisation import WITHOUT_EFFECT


@dataclass(frozen=True, kw_only=True)
class Group:
    """Runs of one recipe with the same settings, but for the seed."""

    label: str
    runs: tuple[Run, ...]

    @property
    def settings(self) -> Settings:
        """Settings that all its runs have in common."""
        return self.runs[0].settings

    @property
    def owns_teachers(self) -> bool:
        """Whether each seed made a teacher of its own, so that deviations are over teachers too."""
        return len(self.runs) > 1 and self.settings.get("teacher_sha256") == OWN

    @property
    def is_measured_alike(self) -> bool:
        """Whether all of its runs that were measured were measured on the same examples."""
        return len({run.measured.data for run in self.runs if run.measured is not None}) < 2

    @property
    def description(self) -> str:
        """How many runs there are, and of which seeds."""
        return f"{count(len(self.runs), 'run')}, {seeds(self.runs)}"


def group_runs(runs: Sequence[Run]) -> list[Group]:
    """Return runs together whose settings differ in the seed alone, in the order in which they came."""
    found: dict[frozenset[tuple[str, str]], list[Run]] = {}
    for run in runs:
        key = frozenset((name, text) for name, text in run.settings.items() if name not in WITHOUT_EFFECT)
        found.setdefault(key, []).append(run)
    together = list(found.values())
    names = labels([runs[0].settings for runs in together], [runs[0].name for runs in together])
    return [Group(label=name, runs=tuple(runs)) for name, runs in zip(names, together, strict=True)]


def seeds(runs: Sequence[Run]) -> str:
    """Return the seeds of runs in words."""
    numbers = [str(run.seed) for run in runs]
    first, last = runs[0].seed, runs[-1].seed
    if len(runs) > 3 and [run.seed for run in runs] == list(range(first, last + 1)):
        return f"seeds {first} to {last}"
    return f"seed {numbers[0]}" if len(numbers) == 1 else f"seeds {', '.join(numbers[:-1])} and {numbers[-1]}"


def batches_of(groups: Sequence[Group]) -> str:
    """Return what batches are called: pseudo, unless a run was trained on real data."""
    return "batches" if any(run.uses_real_images for group in groups for run in group.runs) else "pseudo batches"


def count(number: int, noun: str) -> str:
    """Return a number with its noun, such as 3 runs."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
