"""Runs that are killed: do they continue to the same bytes? A hundred kills of tiny runs, as SIGKILL ends a process.

A process is killed in the middle of a file, before or after it gets its name, in the middle of a line of
metrics.jsonl, between two rounds, or after some time; then the run is resumed, which may be killed too. At its end the
student, its metadata, the logged rows without their seconds and the pictures must be those of a run that nobody
killed. Writes benchmarks/results/kills.json.

    python benchmarks/kills.py --kills 100 --seed 0
"""

import argparse
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from beliefmatch.networks.loading.network import Network, make_network
from beliefmatch.recipes import fast, noise, zero_shot
from beliefmatch.recipes.setup import Setup
from beliefmatch.runs.folder import RunFolder
from beliefmatch.runs.schema.row import Row
from beliefmatch.sources.adversarial import Adversarial
from beliefmatch.sources.fast import Fast
from beliefmatch.students.named import NamedStudent
from beliefmatch.training.options import RunOptions
from beliefmatch.training.run import run
from beliefmatch.training.transfer import Transfer
from machine import describe_machine, write_results

ROUNDS = 24
MOST_MOMENTS = 30
"""Counted moments after which a process is killed at most; a whole run has about twice as many."""
LONGEST = 1.0
"""Seconds after which a process is killed at most, where time decides; a run takes about as long."""
NETWORKS = {"noise": ((12,), "mlp_8"), "zero_shot": ((1, 8, 8), "convnet_4"), "fast": ((1, 8, 8), "convnet_4")}
"""Shape of the inputs and architecture of both networks, by recipe."""
CONTEXT = multiprocessing.get_context("forkserver")


def make_transfer(recipe: str, teachers: Path) -> Transfer:
    """Return a tiny transfer by a recipe, from a teacher in a folder of them."""
    shape, network = NETWORKS[recipe]
    setup = Setup(
        teacher=Network(architecture=network, weights=teachers / f"{network}.safetensors"),
        student=NamedStudent(architecture=network),
        shape=shape,
        rounds=ROUNDS,
        batch_size=8,
        mean=None if recipe == "noise" else (0.5,),
        std=None if recipe == "noise" else (0.5,),
    )
    if recipe == "zero_shot":
        return zero_shot(setup, source=Adversarial(noise_size=6, student_steps=2))
    return fast(setup, source=Fast(making_steps=2, student_steps=4, warm_up=2)) if recipe == "fast" else noise(setup)


def write_teachers(folder: Path) -> None:
    """Write the weights of an untrained teacher of each kind."""
    for shape, network in set(NETWORKS.values()):
        torch.manual_seed(0)
        weights = make_network(network, in_channels=shape[0], num_classes=10).state_dict()
        save_file(weights, folder / f"{network}.safetensors")


@dataclass(kw_only=True)
class Fate:
    """When a process is killed."""

    moments: int | None
    """Moments that it passes, the last of which kills it: files, their names, lines and rounds. None: time decides."""
    seconds: float = 0.0
    """Seconds after which it is killed, where time decides."""

    def pass_moment(self) -> None:
        """Pass one moment."""
        if self.moments is not None:
            self.moments -= 1
            if not self.moments:
                os.kill(os.getpid(), signal.SIGKILL)

    def wait_in_calls(self) -> None:
        """Pass a moment before a file is flushed, and before and after it gets its name; and within each line."""
        flush, name = os.fsync, os.replace

        def flush_file(file: int) -> None:
            self.pass_moment()
            flush(file)

        def name_file(old: Path, new: Path) -> None:
            self.pass_moment()
            name(old, new)
            self.pass_moment()

        def append(folder: RunFolder, row: Row) -> None:
            line = json.dumps(row) + "\n"
            with folder.metrics.open("a") as file:
                file.write(line[: len(line) // 2])
                file.flush()
                self.pass_moment()
                file.write(line[len(line) // 2 :])

        os.fsync, os.replace = flush_file, name_file
        setattr(RunFolder, "append_metrics", append)  # noqa: B010 - the class knows no such assignment


def draw_fate(chance: random.Random) -> Fate:
    """Draw when a process is killed: two of three times by moments, else by time."""
    if chance.random() < 2 / 3:
        return Fate(moments=chance.randint(1, MOST_MOMENTS))
    return Fate(moments=None, seconds=chance.uniform(0, LONGEST))


def run_once(recipe: str, folder: Path, fate: Fate | None) -> bool:
    """Begin or resume a run in a process of its own; return whether it was killed."""
    process = CONTEXT.Process(target=_run, args=(recipe, folder, fate))
    process.start()
    if fate is not None and fate.moments is None:
        time.sleep(fate.seconds)
        process.kill()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL), f"{folder} failed: {process.exitcode}"
    return process.exitcode != 0


def _run(recipe: str, folder: Path, fate: Fate | None) -> None:
    torch.set_num_threads(1)
    sys.argv = ["kills.py"]
    if fate is not None:
        fate.wait_in_calls()
    options = RunOptions(
        folder=folder,
        resume=True,
        accelerator="cpu",
        precision="32-true",
        log_every=2,
        checkpoint_every=5,
        picture_every=12,
    )
    observer: Callable[[int, Any], None] | None = None if fate is None else lambda _round, _row: fate.pass_moment()
    run(make_transfer(recipe, folder.parent), options, progress=False, on_round=observer)


def read_all(folder: Path) -> dict[str, Any]:
    """Return what a run left that must be alike: all but times."""
    run_folder = RunFolder(folder)
    rows = [{name: value for name, value in row.items() if name != "seconds"} for row in run_folder.read_metrics()]
    files = [run_folder.student, run_folder.student_metadata, *sorted(run_folder.pseudo.iterdir())]
    left_over = [path.name for path in folder.glob(".*")]
    return {path.name: path.read_bytes() for path in files} | {"rows": rows, "left over": left_over}


def kill_many(kills: int, seed: int, folder: Path) -> dict[str, Any]:
    """Kill tiny runs so many times and compare each in the end with one that nobody killed."""
    chance, kinds = random.Random(seed), Counter[str]()
    whole: dict[str, dict[str, Any]] = {}
    write_teachers(folder)
    for recipe in NETWORKS:
        run_once(recipe, folder / recipe, None)
        whole[recipe] = read_all(folder / recipe)
    done = same = num_runs = 0
    while done < kills:
        recipe, killed = list(NETWORKS)[num_runs % len(NETWORKS)], folder / f"killed_{num_runs}"
        here = 0
        while here < min(4, kills - done):
            fate = draw_fate(chance)
            if not run_once(recipe, killed, fate):
                break
            here += 1
            kinds["after some time" if fate.moments is None else "at a counted moment"] += 1
        run_once(recipe, killed, None)
        equal = read_all(killed) == whole[recipe]
        done, same, num_runs = done + here, same + equal * here, num_runs + 1
        print(json.dumps({"run": num_runs, "recipe": recipe, "kills": here, "equal": equal}), flush=True)
    return {"kills": done, "same": same, "runs": num_runs, "kinds": dict(kinds)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0, help="of the moments; time is not repeated to the bit")
    arguments = parser.parse_args()
    CONTEXT.set_forkserver_preload(["lightning_fabric", "matplotlib.backends.backend_agg", "beliefmatch.training.run"])
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        found = kill_many(arguments.kills, arguments.seed, Path(place))
    seconds = round(time.perf_counter() - began)
    content = {"machine": describe_machine(), "seed": arguments.seed, "seconds": seconds, **found}
    write_results("kills", content)
    print(json.dumps({"kills": found["kills"], "same": found["same"]}))


if __name__ == "__main__":
    main()
