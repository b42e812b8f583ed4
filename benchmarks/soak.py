"""What a long run takes: memory, open files, and the size of what it writes, per 1,000 rounds of a tiny network.

Nothing of it may grow without bound, but for metrics.jsonl, which has a line every hundred rounds. Writes
benchmarks/results/soak.json.

    python benchmarks/soak.py --rounds 20000
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from beliefmatch.networks.loading.network import Network
from beliefmatch.recipes import noise
from beliefmatch.recipes.setup import Setup
from beliefmatch.runs.folder import RunFolder
from beliefmatch.students.named import NamedStudent
from beliefmatch.training import recorder
from beliefmatch.training.checkpoint import save_checkpoint
from beliefmatch.training.options import RunOptions
from beliefmatch.training.run import run
from machine import describe_machine, write_results

EVERY = 1000


def measure(folder: Path, completed: int, began: float, checkpoint_seconds: float) -> dict[str, Any]:
    """Return what this process and its run folder take now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    pictures = list((folder / "pseudo").iterdir())
    metrics = folder / "metrics.jsonl"
    return {
        "round": completed,
        "seconds": round(time.perf_counter() - began, 2),
        "resident_bytes": pages * os.sysconf("SC_PAGE_SIZE"),
        "open_files": len(list(Path("/proc/self/fd").iterdir())),
        "metrics_bytes": metrics.stat().st_size if metrics.exists() else 0,
        "pictures": len(pictures),
        "picture_bytes": sum(picture.stat().st_size for picture in pictures),
        "checkpoint_seconds": round(checkpoint_seconds, 3),
    }


def soak(folder: Path, teacher: Path, rounds: int) -> list[dict[str, Any]]:
    """Run so many rounds and measure every thousand."""
    setup = Setup(
        teacher=Network(architecture="mlp_8", weights=teacher),
        student=NamedStudent(architecture="mlp_4"),
        shape=(2,),
        rounds=rounds,
        batch_size=4,
    )
    began, found, spent = time.perf_counter(), [], [0.0]

    def timed(*arguments: Any, **named: Any) -> None:
        start = time.perf_counter()
        save_checkpoint(*arguments, **named)
        spent[0] += time.perf_counter() - start

    def observe(completed: int, _row: Any) -> None:
        if completed % EVERY == 0:
            found.append(measure(folder, completed, began, spent[0]))
            print(json.dumps(found[-1]), flush=True)

    recorder.save_checkpoint = timed  # pyright: ignore[reportPrivateImportUsage]
    try:
        options = RunOptions(folder=folder, accelerator="cpu", precision="32-true")
        run(noise(setup), options, progress=False, on_round=observe)
    finally:
        recorder.save_checkpoint = save_checkpoint  # pyright: ignore[reportPrivateImportUsage]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20_000)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as place:
        teacher = Path(place) / "teacher.safetensors"
        _write_teacher(teacher)
        folder = Path(place) / "run"
        found = soak(folder, teacher, rounds)
        sizes = {path.name: path.stat().st_size for path in sorted(RunFolder(folder).path.iterdir()) if path.is_file()}
    last, first = found[-1], found[0]
    content = {
        "machine": describe_machine(),
        "rounds": rounds,
        "growth_of_memory": last["resident_bytes"] - first["resident_bytes"],
        "fraction_in_checkpoints": round(last["checkpoint_seconds"] / last["seconds"], 4),
        "files": sizes,
        "every_thousand_rounds": found,
    }
    write_results("soak", content)


def _write_teacher(path: Path) -> None:
    import safetensors.torch  # noqa: PLC0415
    import torch  # noqa: PLC0415

    from beliefmatch.networks.loading.network import make_network  # noqa: PLC0415

    torch.manual_seed(0)
    safetensors.torch.save_file(make_network("mlp_8", in_channels=2, num_classes=10).state_dict(), path)


if __name__ == "__main__":
    main()
