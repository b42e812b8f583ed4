"""What a reader must know before all else: that a run collapsed, how, and what was done then."""

from collections.abc import Sequence

from beliefmatch.report.elements import Alarm
from beliefmatch.report.groups import Group
from beliefmatch.report.runs import Run
from beliefmatch.runs.collapse_detection import advice_on
from beliefmatch.runs.schema.result import Collapse, Kind

TITLES: dict[Kind, str] = {
    "diverged": "Training diverged",
    "constant_source": "All inputs of a batch became alike",
    "one_class": "The student collapsed to one class",
    "constant_student": "The student's outputs became constant",
    "pinned": "A confidence was pinned",
    "learns_nothing": "The student learnt nothing",
}
ACTIONS = {
    "continue": "The run went on: take what came out of it with doubt.",
    "stop": "The run was stopped there.",
    "restart": "The run began again with another seed; what is shown here comes after that.",
}


def alarms(groups: Sequence[Group]) -> list[Alarm]:
    """Return what happened, for each collapse of each run."""
    single = sum(len(group.runs) for group in groups) == 1
    return [
        _alarm(run, collapse, single=single) for group in groups for run in group.runs for collapse in run.collapses
    ]


def _alarm(run: Run, collapse: Collapse, *, single: bool) -> Alarm:
    title = f"{TITLES[collapse.kind]} in round {collapse.round:,}"
    which = f", attempt {collapse.attempt + 1} with seed {collapse.seed}" if len(run.collapses) > 1 else ""
    since = "" if collapse.kind == "diverged" else f"Since round {collapse.since:,} "
    seen = f"{since}{collapse.seen}"
    advice = advice_on(collapse.kind)
    return Alarm(
        title=f"{'' if single else f'{run.name}: '}{title}{which}.",
        text=f"{seen[:1].upper()}{seen[1:]}. {ACTIONS.get(collapse.action, '')} {f'Try {advice}.' if advice else ''}",
    )
