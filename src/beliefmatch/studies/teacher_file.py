"""A teacher that is trained into the folder of a run, as the demo and the toy do."""

import time
from collections.abc import Callable

import safetensors.torch
import torch
from torch import nn

from beliefmatch.runs.atomic import write_bytes
from beliefmatch.runs.folder import TEACHER_FILE, RunFolder


def write_teacher(folder: RunFolder, train: Callable[[], nn.Module], *, seed: int, resume: bool) -> float:
    """Train a teacher and write its weights into a run folder, unless a run that continues finds them there.

    The folder is locked for this process, and stays so until the caller releases it: the run that follows is the
    teacher's.

    Args:
        folder: of the run.
        train: trains the teacher, drawing from torch's random state, which is left as it was.
        seed: of that random state.
        resume: whether the folder may hold a run, or a teacher without one.

    Returns:
        Seconds that it took.

    Raises:
        FolderError: the folder is occupied or cannot be written, or another process runs in it.
    """
    may_hold = (TEACHER_FILE,) if resume else ()
    folder.check_usable(resume=resume, may_hold=may_hold)
    folder.acquire()
    # What ran here before this process locked the folder may have ended since.
    folder.check_usable(resume=resume, may_hold=may_hold)
    file = folder.path / TEACHER_FILE
    began = time.perf_counter()
    if not file.is_file():
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            teacher = train()
        write_bytes(file, safetensors.torch.save(teacher.state_dict()))
    return time.perf_counter() - began
