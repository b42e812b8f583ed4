"""Refined textures: what refining does, and how a batch is put together."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from beliefmatch import RunFolder, RunOptions, run
from beliefmatch.errors import SettingsError
from beliefmatch.sources.inversion_loss import InversionLossWeights
from beliefmatch.sources.refined_textures import RefinedTextures
from beliefmatch.training.transfer import Transfer
from tiny import begin, tiny_transfer, vector_transfer

SMALL: dict[str, Any] = {"student_steps": 2, "warm_up": 0, "made_batch": 8}


def started(source: RefinedTextures, transfer: Any = None) -> tuple[Any, ...]:
    transfer = transfer or tiny_transfer(batch_size=8)
    settled, state, teacher, fabric = begin(replace(transfer, source=source))
    return settled.source, state.source, teacher, state.student, fabric


def test_refining_brings_textures_nearer_to_what_the_teacher_remembers_and_is_sure_of() -> None:
    source = RefinedTextures(**SMALL, making_steps=15, augmentation="none")
    source, state, teacher, student, fabric = started(source)
    found = source.improve(state, teacher, student, fabric)
    statistics, one_hot = found["generator_statistics"], found["generator_one_hot"]
    assert statistics[-1] < 0.9 * statistics[0]
    assert one_hot[-1] < one_hot[0]


def test_what_is_kept_is_of_the_classes_that_were_drawn() -> None:
    source = RefinedTextures(
        **SMALL | {"made_batch": 32},
        making_steps=40,
        augmentation="none",
        terms=InversionLossWeights(one_hot=1.0),
        refined_fraction=0.5,
    )
    source, state, teacher, student, fabric = started(source)
    again = state.random.clone_state()
    source.improve(state, teacher, student, fabric)
    labels = torch.randint(teacher.num_classes, (32,), generator=again)
    logits = teacher.outputs(state.pool.newest(32).flip(0)).logits
    assert cross_entropy(logits, labels) < cross_entropy(logits, labels.roll(1))


def test_images_stay_between_black_and_white() -> None:
    source = RefinedTextures(**SMALL, making_steps=5, learning_rate=5.0)
    source, state, teacher, student, fabric = started(source)
    made, _ = source.make(state, source.terms, teacher, student, fabric)
    pixels = state.pool.pixels
    assert pixels is not None
    assert bool((made >= pixels.black - 1e-5).all())
    assert bool((made <= pixels.white + 1e-5).all())


def test_a_batch_is_refined_as_far_as_its_share_says() -> None:
    source = RefinedTextures(**SMALL, making_steps=1, refined_fraction=0.25, augmentation="none")
    source, state, teacher, student, fabric = started(source)
    source.improve(state, teacher, student, fabric)
    kept = state.pool.newest(8).flatten(1)
    for batch in source.batches(state, fabric):
        is_kept = [bool((row == kept).all(dim=1).any()) for row in batch.inputs.flatten(1)]
        assert is_kept == [True] * 2 + [False] * 6


def test_with_a_share_of_0_nothing_is_made_or_kept() -> None:
    source = RefinedTextures(**SMALL, refined_fraction=0.0)
    source, state, teacher, student, fabric = started(source)
    assert source.improve(state, teacher, student, fabric) == {}
    assert state.pool.capacity == 1
    assert state.pool.held == 0
    assert [batch.inputs.shape for batch in source.batches(state, fabric)] == [(8, 1, 8, 8)] * 2
    assert not source.needs.teacher_gradient


def test_the_teacher_is_not_asked_for_what_no_batch_takes_along() -> None:
    source = RefinedTextures(**SMALL, making_steps=1, refined_fraction=0.5, augmentation="none")
    source, state, teacher, student, fabric = started(source)
    passes = []
    teacher.module.register_forward_hook(lambda *_: passes.append(1))
    source.improve(state, teacher, student, fabric)
    assert len(passes) == source.making_steps
    assert all(batch.teacher_logits is None for batch in source.batches(state, fabric))


def test_vectors_are_refined_without_bounds() -> None:
    source = RefinedTextures(**SMALL, making_steps=3, learning_rate=5.0, refined_fraction=0.5)
    source, state, teacher, student, fabric = started(source, vector_transfer(batch_size=8))
    made, _ = source.make(state, source.terms, teacher, student, fabric)
    assert made.shape == (8, 12)
    assert made.abs().max() > 12**0.5 / 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"refined_fraction": 1.5}, "source.refined_fraction must be from 0 to 1; got 1.5"),
        ({"curve_fraction": -0.1}, "source.curve_fraction must be from 0 to 1; got -0.1"),
    ],
)
def test_shares_out_of_range_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        RefinedTextures(**settings).check()


def test_only_what_the_teacher_remembers_is_worth_refining_for() -> None:
    assert started(RefinedTextures(**SMALL))[0].refined_fraction == 0.5
    assert started(RefinedTextures(**SMALL, terms=InversionLossWeights(one_hot=1.0)))[0].refined_fraction == 0
    source, _, teacher, *_ = started(RefinedTextures(**SMALL), vector_transfer(batch_size=8))
    assert not teacher.batch_norms
    assert source.refined_fraction == 0
    assert not source.needs.teacher_gradient


@pytest.mark.parametrize(("make", "share"), [(tiny_transfer, 0.5), (vector_transfer, 0.0)])
def test_a_run_decides_by_its_teacher_what_is_refined_and_records_it(
    tmp_path: Path, make: Callable[..., Transfer], share: float
) -> None:
    folder = RunFolder(tmp_path / "run")
    source = RefinedTextures(**SMALL, making_steps=2)
    run(replace(make(rounds=2), source=source), RunOptions(folder=folder.path, accelerator="cpu", log_every=1))
    assert folder.read_run().settings.transfer["source"]["refined_fraction"] == share
    assert all(("generator_statistics" in row) == (share > 0) for row in folder.read_metrics())


def test_a_teacher_without_batch_norm_is_asked_for_classes_alone_where_it_is_asked() -> None:
    source = RefinedTextures(**SMALL, making_steps=2, refined_fraction=0.5)
    source, state, teacher, student, fabric = started(source, vector_transfer(batch_size=8))
    found = source.improve(state, teacher, student, fabric)
    assert not found["generator_statistics"].any()
    assert found["generator_one_hot"].all()
