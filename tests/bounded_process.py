"""The command in a process of its own, of which memory and processor time are bounded."""

import os
import subprocess
import sys
from pathlib import Path

MAX_BYTES = 2**30
"""Resident memory that the process may take at most; a command that needs torch takes a third."""
MAX_SECONDS = 20
"""Of processor time, after which the system ends the process."""
ENTRY = f"""
import resource, sys
resource.setrlimit(resource.RLIMIT_CPU, ({MAX_SECONDS}, {MAX_SECONDS}))
from beliefmatch.cli import main
sys.exit(main())
"""


def run_bounded(*words: object, log: Path) -> tuple[int, str]:
    """Run the command; return the exit code and the last line that it wrote to its standard error."""
    with log.open("w") as errors:
        command = [sys.executable, "-c", ENTRY, *map(str, words)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
    # Other children of this process do not count.
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert used.ru_maxrss * 1024 < MAX_BYTES
    return process.returncode, (log.read_text().strip().splitlines() or [""])[-1]
