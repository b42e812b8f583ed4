"""Commands as a user types them: the one that began a run, and those on its folder."""

import shlex
from collections.abc import Sequence
from itertools import pairwise
from pathlib import PurePath

from beliefmatch.report.runs import Run

PROGRAM = "beliefmatch"
RESUMED = ("transfer", "demo", "toy")
"""Commands that continue a run with --resume. The others continue it when they are typed again."""
ORIGINS = ("timm:", "torchvision:", "hf:")
"""How names of networks begin that hold a colon and are no Python code."""
GIVEN = "given in Python: "
"""How names of networks begin that a folder cannot make again; see `networks.loading.given`."""


def began(run: Run) -> str:
    """Return the command that began a run; the path of the program is left out where it is ours."""
    return shlex.join((PROGRAM, *run.command[1:]) if _is_ours(run) else run.command)


def continued(run: Run) -> str:
    """Return the command that continues a run; empty where no command of ours began it."""
    words = run.command[1:]
    if not _is_ours(run) or not words:
        return ""
    resume = ("--resume",) if words[0] in RESUMED and "--resume" not in words else ()
    return shlex.join((PROGRAM, *words, *resume))


def on_folder(command: str, run: Run, flags: Sequence[str]) -> str:
    """Return a command on a run folder, or a line of Python for networks that were given there."""
    names = [run.settings.get(f"{network}.architecture", "") for network in ("teacher", "student")]
    if any(name.startswith(GIVEN) for name in names):
        count = dict(pairwise(flags)).get("--transition")
        plan = f", transition=bm.measurement.TransitionPlan(num_images={count})" if count else ""
        calls = {"export": f"export({str(run.path / 'student.onnx')!r})", "measure": f"measure(examples{plan})"}
        return f"result.{calls[command]}  # result is what bm.compress returned"
    trust = ("--trust-code",) if any(map(is_code, names)) else ()
    return shlex.join((PROGRAM, command, str(run.path), *flags, *trust))


def _is_ours(run: Run) -> bool:
    program = PurePath(run.command[0] if run.command else "")
    return program.stem == PROGRAM or program.parts[-2:] == (PROGRAM, "__main__.py")


def is_code(architecture: str) -> bool:
    """Whether a name stands for Python code of a user's, file.py:function."""
    return ":" in architecture and not architecture.startswith(ORIGINS)
