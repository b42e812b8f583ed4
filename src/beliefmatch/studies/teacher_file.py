"""A teacher that is trained into the folder of a run, as the demo and the toy do."""

import time
from collections.abc import Callable

import safetensors.torch
import torch
from torch import nn

from beliefmatch.runs.atomic import make_folder, write_bytes
from beliefmatch.runs.folder import TEACHER_FILE, RunFolder


def write_teacher(folder: RunFolder, train: Callable[[], nn.Module], *, seed: int, resume: bool) -> float:
    """Train a teacher and write its weights into a run folder, unless a run that continues finds them there.

    Args:
        folder: of the run.
        train: trains the teacher, drawing from torch's random state, which is left as it was.
        seed: of that random state.
        resume: whether the folder may hold a run, or a teacher without one.

    Returns:
        Seconds that it took.

    Raises:
        FolderError: the folder is occupied or cannot be written.
    """
    folder.check_usable(resume=resume, may_hold=(TEACHER_FILE,) if resume else ())
    file = folder.path / TEACHER_FILE
    began = time.perf_counter()
    if not file.is_file():
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            teacher = train()
        make_folder(folder.path)
        write_bytes(file, safetensors.torch.save(teacher.state_dict()))
    return time.perf_counter() - began
