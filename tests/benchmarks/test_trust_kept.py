"""The benchmark of estimates without data: which kept runs count, and what their networks in 8 bits are."""

import json
import shutil
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import trust_kept
from beliefmatch.networks.loading.network import make_network
from beliefmatch.training.run_settings import fingerprint
from trust import Pairs
from trust_eight_bits import OnnxStudent, in_8_bits
from trust_kept import STUDENT_FILE, Grounds, KeptRun, collect_eight_bits, collect_kept, kept_runs
from trust_maps import IN_8_BITS


@pytest.fixture(scope="module")
def teachers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the teacher that is trained once."""
    return tmp_path_factory.mktemp("teachers")


@pytest.fixture
def grounds(teachers: Path, tmp_path: Path) -> Grounds:
    (tmp_path / "teachers").symlink_to(teachers)
    return Grounds(Namespace(data=tmp_path, folder=teachers, kept=tmp_path, inputs=16, examples=100))


def keep_run(grounds: Grounds, name: str) -> Path:
    """Leave a run of the task features as an earlier version may have: fields that nobody knows, others missing."""
    folder, teacher = grounds.arguments.kept / "runs" / name, grounds.own_teacher("features")
    folder.mkdir(parents=True)
    weights = "elsewhere/teacher_features/teacher.safetensors"
    transfer: dict[str, Any] = {
        "teacher": {"architecture": "mlp_128_64", "weights": {"type": "Path", "path": weights}},
        "student": {"architecture": "mlp_32"},
        "inputs": {"shape": [64], "mean": None, "std": None},
        "rounds": 20,
        "of_old": 1,
    }
    settings = {"transfer": transfer, "teacher_sha256": fingerprint(teacher.module)}
    (folder / "run.json").write_text(json.dumps({"settings": settings}))
    save_file(make_network("mlp_32", in_channels=64, num_classes=10).state_dict(), folder / STUDENT_FILE)
    return folder


def test_a_kept_run_counts_once_and_with_its_own_teacher(grounds: Grounds, tmp_path: Path) -> None:
    folder = keep_run(grounds, "features_best/seed_0")
    shutil.copytree(folder, tmp_path / "runs_before/features_best/seed_0")
    keep_run(grounds, "other_best/seed_0")
    runs = list(kept_runs(tmp_path, ["features"]))
    assert [run.name for run in runs] == ["kept_runs_features_best_seed_0"]
    assert list(kept_runs(tmp_path, ["digits"])) == []
    pairs = Pairs(tmp_path / "pairs.jsonl")
    collect_kept(runs[0], pairs, grounds)
    collect_kept(runs[0], Pairs(pairs.path), grounds)
    assert [(row["recipe"], row["teacher"], row["budget"]) for row in Pairs(pairs.path).rows] == [
        ("kept", "mlp_128_64", "1/1")
    ]
    assert 0 <= pairs.rows[0]["agreement"] < 0.5


def test_copied_checkpoints_of_a_run_under_way_count(grounds: Grounds, tmp_path: Path) -> None:
    folder = keep_run(grounds, "features_best/seed_0")
    weights = load_file(folder / STUDENT_FILE)
    (folder / STUDENT_FILE).unlink()
    for number in (3, 5, 10):
        torch.save({"state": {"round": number, "student": weights}}, folder / f"checkpoint_{number}.pt")
    torch.save({"state": {"round": 2, "student": weights}}, folder / "checkpoint_previous.pt")
    (run,) = kept_runs(tmp_path, ["features"])
    pairs = Pairs(tmp_path / "pairs.jsonl")
    collect_kept(run, pairs, grounds)
    assert [row["budget"] for row in pairs.rows] == ["1/4", "1/2"]


def test_a_run_of_another_teacher_is_left_out(grounds: Grounds, tmp_path: Path) -> None:
    folder = keep_run(grounds, "features_best/seed_0")
    file = folder / "run.json"
    file.write_text(file.read_text().replace('"teacher_sha256": "', '"teacher_sha256": "0'))
    pairs = Pairs(tmp_path / "pairs.jsonl")
    collect_kept(KeptRun(folder=folder, task="features"), pairs, grounds)
    assert pairs.rows == []


def test_a_teacher_in_8_bits_agrees_but_where_ranges_are_cut(
    grounds: Grounds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = list[tuple[str, OnnxStudent]]()
    monkeypatch.setattr(trust_kept, "in_8_bits", lambda *given: made.extend(in_8_bits(*given)) or made)
    pairs = Pairs(tmp_path / "pairs.jsonl")
    collect_eight_bits("features", None, pairs, grounds)
    found = {row["recipe"]: row["agreement"] for row in pairs.rows}
    assert list(found) == ["int8", "int8_noise", "int8_clipped"]
    assert {row["budget"] for row in pairs.rows} == {IN_8_BITS}
    assert found["int8"] > 0.97 > found["int8_clipped"]
    assert all(b"QuantizeLinear" in student.content for _, student in made)
