"""The command in a process of its own, of which memory and processor time are bounded."""

import subprocess
import sys
from pathlib import Path

MAX_BYTES = 2**30
"""Resident memory that the process may take at most; a command that needs torch takes a third."""
MAX_SECONDS = 20
"""Of processor time, after which the system ends the process."""
# What wait4 tells of a child includes what its parent had when it forked.
ENTRY = f"""
import resource, sys
resource.setrlimit(resource.RLIMIT_CPU, ({MAX_SECONDS}, {MAX_SECONDS}))
from beliefmatch.cli import main
code = main()
with open("/proc/self/status") as status:
    print(*(line for line in status if line.startswith("VmHWM")))
sys.exit(code)
"""


def run_bounded(*words: object, log: Path) -> tuple[int, str]:
    """Run the command; return the exit code and the last line that it wrote to its standard error."""
    with log.open("w") as errors:
        command = [sys.executable, "-c", ENTRY, *map(str, words)]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=errors, text=True, check=False)
    peak = done.stdout.rpartition("VmHWM:")[2].split()
    assert peak, f"it was ended before it told what it took, by {done.returncode}"
    assert int(peak[0]) * 1024 < MAX_BYTES
    return done.returncode, (log.read_text().strip().splitlines() or [""])[-1]
