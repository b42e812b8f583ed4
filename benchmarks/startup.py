"""Time until beliefmatch is there.

    python benchmarks/startup.py [--repeats 9]

Times fresh processes, interleaved: python alone, importing torch, torch and beliefmatch, beliefmatch alone (which waits
with torch until something is asked of it), all that a run needs, `beliefmatch --help` and the help of a recipe. Writes
`benchmarks/results/startup.json`. The last line is one JSON object: {"help_seconds", "recipe_help_seconds",
"import_ratio", "run_ratio"}; both ratios are to importing torch, of torch and beliefmatch and of a run.
"""

import argparse
import json
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from statistics import median

from machine import describe_machine, write_results

BELIEFMATCH = str(Path(sysconfig.get_path("scripts")) / "beliefmatch")
COMMANDS = {
    "python": [sys.executable, "-c", "pass"],
    "torch": [sys.executable, "-c", "import torch"],
    "torch_and_beliefmatch": [sys.executable, "-c", "import torch, beliefmatch"],
    "beliefmatch": [sys.executable, "-c", "import beliefmatch"],
    "run": [sys.executable, "-c", "from beliefmatch import run"],
    "help": [BELIEFMATCH, "--help"],
    "recipe_help": [BELIEFMATCH, "transfer", "best", "--help"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    arguments = parser.parse_args()
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for repeat in range(arguments.repeats + 1):
        for name, command in COMMANDS.items():
            began = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            if repeat:
                seconds[name].append(round(time.perf_counter() - began, 4))
    medians = {name: median(timed) for name, timed in seconds.items()}
    summary = {
        "help_seconds": round(medians["help"], 3),
        "recipe_help_seconds": round(medians["recipe_help"], 3),
        "import_ratio": round(medians["torch_and_beliefmatch"] / medians["torch"], 3),
        "run_ratio": round(medians["run"] / medians["torch"], 3),
    }
    write_results("startup", {"machine": describe_machine(), "seconds": seconds, "medians": medians, **summary})
    print(json.dumps({"medians": medians}))
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
