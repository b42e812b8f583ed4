"""Run folders for the tests of the report: really run and measured, on tiny networks, but for transition curves."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from beliefmatch import RunFolder, RunOptions, measure_run, run
from tiny import tiny_transfer

ROUNDS = 6


def make_run(folder: Path, *, seed: int = 0, measured: bool = True) -> Path:
    """Run a tiny transfer, and measure it on random images with labels."""
    run(tiny_transfer(rounds=ROUNDS, seed=seed), RunOptions(folder=folder, accelerator="cpu", picture_every=2))
    if measured:
        random = torch.Generator().manual_seed(0)
        images = torch.randint(0, 256, (200, 8, 8, 1), generator=random, dtype=torch.uint8)
        measure_run(
            RunFolder(folder), images, torch.arange(200) % 10, name="digits.npz", accelerator="cpu", trust_code=True
        )
        edit(folder / "measurement.json", lambda found: found.update(transition=transition(seed)))
    return folder


def transition(seed: int) -> dict[str, Any]:
    """What measurement.json holds of transition curves, which networks as untrained as these cannot give."""
    guide = [round(step / 10, 3) for step in range(8)]
    follower = [round(value * (0.8 + 0.05 * seed), 3) for value in guide]
    error = sum(abs(first - second) for first, second in zip(guide, follower, strict=True)) / len(guide)
    return {
        "guided_by": "student",
        "num_images": 20,
        "num_steps": 8,
        "step_size": 1.0,
        "seed": 0,
        "error": {"value": error, "low": error - 0.01, "high": error + 0.01},
        "guide": guide,
        "follower": follower,
        "guide_margin": [0.02] * 8,
        "follower_margin": [0.03] * 8,
    }


def edit(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change a JSON file in place."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def edit_rows(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change every line of metrics.jsonl in place."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        change(row)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def cut_short(folder: Path, *, after: int) -> None:
    """Leave what a run that was killed after so many rounds leaves, in the middle of writing a line."""
    for name in ("result.json", "measurement.json", "student.json", "student.safetensors", "curves.png"):
        (folder / name).unlink(missing_ok=True)
    metrics = folder / "metrics.jsonl"
    kept = metrics.read_text().splitlines()[:after]
    metrics.write_text("\n".join([*kept, '{"round": 99, "sec']))
    for picture in (folder / "pseudo").iterdir():
        if int(picture.stem.removeprefix("round_")) > after:
            picture.unlink()
