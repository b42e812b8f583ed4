"""Inputs that need no data, and that the run did not train on."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from beliefmatch import RunFolder, RunOptions, run
from beliefmatch.export.pseudo_inputs import NUM_PSEUDO, PseudoInputs, draw_pseudo
from beliefmatch.measurement.stored_run import StoredRun
from beliefmatch.recipes.stored import read_transfer
from beliefmatch.sources.few_shot import FewShot
from beliefmatch.sources.free_points import FreePoints
from beliefmatch.sources.unlabelled import Unlabelled
from beliefmatch.training.transfer import Transfer
from tiny import tiny_transfer, vector_transfer


def finish(transfer: Transfer, path: Path) -> RunFolder:
    run(transfer, RunOptions(folder=path, accelerator="cpu"))
    return RunFolder(path)


def stored(folder: RunFolder) -> StoredRun:
    return StoredRun(folder=folder, trust_code=True)


def drawn_of(folder: RunFolder) -> PseudoInputs:
    run = stored(folder)
    return draw_pseudo(run, run.read_transfer(), run.load_teacher())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return finish(tiny_transfer(rounds=2), tmp_path_factory.mktemp("runs") / "tiny")


def seen_while_training(folder: RunFolder, monkeypatch: pytest.MonkeyPatch, path: Path) -> torch.Tensor:
    """Train anew and keep all that the source gave."""
    seen: list[torch.Tensor] = []
    source = type(read_transfer(folder, trust_code=True).source)
    batches = source.batches

    def watched(self: Any, state: Any, fabric: Any) -> Any:
        for batch in batches(self, state, fabric):
            seen.append(batch.inputs.clone())
            yield batch

    with monkeypatch.context() as patched:
        patched.setattr(source, "batches", watched)
        finish(read_transfer(folder, trust_code=True), path)
    return torch.cat(seen)


@pytest.mark.parametrize("make", [tiny_transfer, vector_transfer])
def test_they_are_fresh_and_the_same_every_time(make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = finish(make(rounds=2), tmp_path / "run")
    random_state, checkpoint = torch.get_rng_state(), folder.checkpoint.read_bytes()
    drawn = drawn_of(folder)
    assert torch.equal(torch.get_rng_state(), random_state)
    assert folder.checkpoint.read_bytes() == checkpoint
    assert drawn.inputs.shape == (NUM_PSEUDO, *read_transfer(folder, trust_code=True).inputs.shape)
    assert (drawn.num_noise, drawn.why_noise) == (0, None)
    assert torch.equal(drawn.inputs, drawn_of(folder).inputs)
    everything = torch.cat([drawn.inputs, seen_while_training(folder, monkeypatch, tmp_path / "again")]).flatten(1)
    assert len(everything[:NUM_PSEUDO].unique(dim=0)) == NUM_PSEUDO
    assert len(everything.unique(dim=0)) == NUM_PSEUDO + len(everything[NUM_PSEUDO:].unique(dim=0))


def test_they_come_from_the_generator_as_the_run_left_it(folder: RunFolder, tmp_path: Path) -> None:
    """Where the checkpoint says other weights, the inputs are others."""
    transfer, teacher = read_transfer(folder, trust_code=True), stored(folder).load_teacher()
    content = torch.load(folder.checkpoint, weights_only=True)
    packed = content["state"]["source"]
    # As a run on a CUDA device leaves it, which a generator of the CPU does not take.
    packed["noise"]["random"] = torch.zeros(16, dtype=torch.uint8)
    for tensor in packed["generator"].values():
        if tensor.is_floating_point():
            tensor.mul_(0.5)
    other = RunFolder(tmp_path)
    for file in folder.path.iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    torch.save(content, other.checkpoint)
    here, there = (
        draw_pseudo(stored(folder), transfer, teacher),
        draw_pseudo(stored(other), transfer, teacher),
    )
    assert (here.num_noise, there.num_noise) == (0, 0)
    assert not torch.equal(here.inputs, there.inputs)


def test_points_that_are_fewer_are_filled_up_with_noise(tmp_path: Path) -> None:
    folder = finish(replace(vector_transfer(rounds=1), source=FreePoints(point_steps=1)), tmp_path / "run")
    drawn = drawn_of(folder)
    assert (len(drawn.inputs), drawn.num_noise) == (NUM_PSEUDO, NUM_PSEUDO - 8)
    assert drawn.why_noise == "the source has no more than 8 inputs"


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("no teacher", "needs the teacher, which cannot be loaded"),
        ("few shot", "the run's inputs are real data"),
        ("unlabelled", "the run's inputs are real data"),
        ("no checkpoint", "the run has no checkpoint.pt"),
        ("damaged", "checkpoint.pt cannot be read"),
    ],
)
def test_where_there_is_no_source_there_is_noise(case: str, message: str, folder: RunFolder, tmp_path: Path) -> None:
    transfer, teacher = read_transfer(folder, trust_code=True), stored(folder).load_teacher()
    if case == "few shot":
        transfer = replace(transfer, source=FewShot(images=tmp_path / "none.npz"))
    elif case == "unlabelled":
        transfer = replace(transfer, source=Unlabelled(images=tmp_path / "none.npz"))
    elif case in ("no checkpoint", "damaged"):
        for name in ("student.json", "student.safetensors"):
            (tmp_path / name).write_bytes((folder.path / name).read_bytes())
        folder = RunFolder(tmp_path)
        if case == "damaged":
            folder.checkpoint.write_bytes(b"PK\x03\x04")
    drawn = draw_pseudo(stored(folder), transfer, None if case == "no teacher" else teacher)
    assert (len(drawn.inputs), drawn.num_noise) == (NUM_PSEUDO, NUM_PSEUDO)
    assert message in (drawn.why_noise or "")
    assert 0.9 < float(drawn.inputs.std()) < 1.1
