"""A wheel holds all that is needed: unpacked elsewhere it does without the repository."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from beliefmatch.networks.loading.network import make_network
from shared_folder import ROOT

MAIN = """
import sys, beliefmatch
from beliefmatch.cli import main
assert beliefmatch.__file__.startswith(sys.argv[1]), beliefmatch.__file__
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.long
def test_a_wheel_runs_demo_compress_report_and_export(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="a wheel is built by hatchling: pip install hatchling")
    build = f"import hatchling.build; print(hatchling.build.build_wheel({str(tmp_path)!r}))"
    subprocess.run([sys.executable, "-c", build], cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    site, place = tmp_path / "site", tmp_path / "place"
    with zipfile.ZipFile(wheel) as file:
        assert not [name for name in file.namelist() if not name.startswith("beliefmatch")]
        file.extractall(site)
    place.mkdir()
    torch.save(make_network("convnet_4", in_channels=1, num_classes=10).state_dict(), place / "w.pt")
    teacher = ("convnet_4", "--weights", "w.pt", "--shape", "1", "8", "8", "--mean", ".3", "--std", ".4")
    for words in (
        ("demo", "--rounds", "2", "--folder", "runs/demo"),
        ("compress", *teacher, "--student", "convnet_2", "--rounds", "1", "--folder", "runs/own"),
        ("report", "runs/own"),
        ("export", "runs/own", "--to", "pt2"),
        ("--version",),
    ):
        done = subprocess.run(
            [sys.executable, "-c", MAIN, str(site), *words],
            cwd=place,
            env={**os.environ, "PYTHONPATH": str(site)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    for name in ("demo/report.html", "demo/curves.png", "own/report.html", "own/model.pt2", "own/README.md"):
        assert (place / "runs" / name).is_file(), name
