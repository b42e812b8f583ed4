"""What a run with a pruned student leaves besides: its plan, and the sensitivity of its teacher; without torch."""

from dataclasses import asdict

from beliefmatch.runs.atomic import write_json
from beliefmatch.runs.folder import RunFolder
from beliefmatch.runs.reading import read
from beliefmatch.runs.schema.plan import PruningPlan
from beliefmatch.runs.schema.sensitivity import Sensitivity


def read_plan(folder: RunFolder) -> PruningPlan | None:
    """Read plan.json; None where there is none.

    Raises:
        FolderError: the file is damaged.
    """
    return read(folder.plan, PruningPlan) if folder.plan.exists() else None


def write_plan(folder: RunFolder, plan: PruningPlan) -> None:
    """Write plan.json at once."""
    write_json(folder.plan, asdict(plan))


def read_sensitivity(folder: RunFolder) -> Sensitivity | None:
    """Read sensitivity.json; None where it was not measured.

    Raises:
        FolderError: the file is damaged.
    """
    return read(folder.sensitivity, Sensitivity) if folder.sensitivity.exists() else None


def write_sensitivity(folder: RunFolder, sensitivity: Sensitivity) -> None:
    """Write sensitivity.json at once."""
    write_json(folder.sensitivity, asdict(sensitivity))
