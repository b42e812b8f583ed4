"""The pool of procedural images: what is improved and how, and how often each input is drawn."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy
from torch.testing import assert_close

from beliefmatch import RunFolder, RunOptions, run
from beliefmatch.errors import SettingsError
from beliefmatch.functional.mixing import mixup
from beliefmatch.sources.boundary_crossing import cross_borders
from beliefmatch.sources.importance_weights import RAREST, draw_rows, is_due
from beliefmatch.sources.inversion_loss import InversionLossWeights
from beliefmatch.sources.procedural_pool import ProceduralPool
from beliefmatch.training.transfer import Transfer
from started import Run
from tiny import begin, tiny_transfer, vector_transfer

SMALL: dict[str, Any] = {"student_steps": 2, "warm_up": 0, "made_batch": 8, "augmentation": "none"}


def small(**changed: Any) -> ProceduralPool:
    """Return settings of few and small steps, changed."""
    return ProceduralPool(**dict(SMALL, **changed))


CLASSES = InversionLossWeights(one_hot=1.0)


def newest(started: Run) -> torch.Tensor:
    """Return what one round makes, (8, 1, 8, 8)."""
    started.improve()
    return started.state.pool.newest(8)


def test_refining_brings_images_nearer_to_what_the_teacher_remembers_and_is_sure_of() -> None:
    found = Run(small(made_batch=32, making_steps=40, match_normalisation=False)).improve()
    statistics, one_hot = found["generator_statistics"], found["generator_one_hot"]
    assert statistics[-1] < 0.9 * statistics[0]
    assert one_hot[-1] < one_hot[0]


def test_what_is_refined_stays_between_black_and_white() -> None:
    started = Run(small(making_steps=5, learning_rate=5.0))
    made, pixels = newest(started), started.state.pool.pixels
    assert bool(((made >= pixels.black - 1e-5) & (made <= pixels.white + 1e-5)).all())


@pytest.mark.parametrize("fraction", [0.0, 0.25, 1.0])
def test_so_much_of_a_batch_is_refined_as_the_fraction_says(fraction: float) -> None:
    started = Run(small(making_steps=1, refined_fraction=fraction, crossed_fraction=0.0))
    seen = started.seen_by_the_teacher()
    started.improve()
    assert [len(each) for each in seen] == [round(8 * fraction)] * (fraction > 0) + [8]


def test_crossed_inputs_move_towards_their_classes_by_steps_of_one_length() -> None:
    started = Run(small())
    inputs, labels = started.state.pool.pixels.bound(torch.randn(8, 1, 8, 8).double()), torch.arange(8)

    def cross(steps: int, micro_batch: int | None = None) -> torch.Tensor:
        return cross_borders(
            inputs,
            labels,
            started.teacher,
            started.fabric,
            steps=steps,
            step_size=0.05,
            pixels=None,
            micro_batch=micro_batch,
        )

    assert_close((cross(1) - inputs).square().mean(dim=(1, 2, 3)).sqrt(), torch.full((8,), 0.05).double())
    losses = [cross_entropy(started.teacher.outputs(each).logits, labels) for each in (inputs, cross(1), cross(4))]
    assert losses[2] < losses[1] < losses[0]
    assert_close(cross(3, micro_batch=3), cross(3))


def test_crossing_stops_at_black_and_white() -> None:
    started = Run(small(refined_fraction=0.0, crossed_fraction=1.0, crossing_step_size=9.0))
    made, pixels = newest(started), started.state.pool.pixels
    assert bool(((made >= pixels.black - 1e-5) & (made <= pixels.white + 1e-5)).all())


@pytest.mark.parametrize(("make", "refined"), [(tiny_transfer, 0.5), (vector_transfer, 0.0)])
def test_a_run_decides_by_its_teacher_what_is_refined_and_records_it(
    tmp_path: Path, make: Callable[..., Transfer], refined: float
) -> None:
    folder = RunFolder(tmp_path / "run")
    source = small(making_steps=2)
    run(replace(make(rounds=2), source=source), RunOptions(folder=folder.path, accelerator="cpu", log_every=1))
    recorded = folder.read_run().settings.transfer["source"]
    assert recorded["refined_fraction"] == refined
    assert all(("generator_statistics" in row) == (refined > 0) for row in folder.read_metrics())


def test_without_a_weight_of_statistics_nothing_is_refined() -> None:
    assert Run(small(terms=CLASSES)).source.refined_fraction == 0


def test_what_asks_for_no_gradient_needs_none() -> None:
    assert not ProceduralPool(refined_fraction=0.0, crossed_fraction=0.0).needs.teacher_gradient
    assert ProceduralPool(refined_fraction=0.5, crossed_fraction=0.0).needs.teacher_gradient
    assert ProceduralPool(refined_fraction=0.0, crossed_fraction=0.5).needs.teacher_gradient


def test_vectors_are_crossed_without_bounds() -> None:
    source = small(crossed_fraction=1.0, crossing_step_size=9.0)
    transfer = replace(vector_transfer(batch_size=8), source=source)
    prepared, state, teacher, fabric = begin(transfer)
    prepared.source.improve(state.source, teacher, state.student, fabric)
    made = state.source.pool.newest(8)
    assert made.shape == (8, 12)
    assert made.abs().max() > 12**0.5 / 2


@pytest.mark.parametrize(
    "setting",
    ["refined_fraction", "crossed_fraction", "leaf_fraction", "curve_fraction", "weighted_fraction", "mixed_fraction"],
)
def test_fractions_out_of_range_are_refused(setting: str) -> None:
    with pytest.raises(SettingsError, match=f"source.{setting} must be from 0 to 1; got 1.5"):
        replace(ProceduralPool(), **{setting: 1.5}).check()


# How often each input is drawn.


def test_classes_are_drawn_evenly_however_many_there_are_of_each() -> None:
    started = Run(small(capacity=400))
    importance, held = started.state.importance, torch.tensor(16)
    importance.classes[:16] = torch.tensor([0] * 10 + [1] * 4 + [2] * 2)
    found = importance.probabilities(held, 0.0)
    assert_close(found.sum(), torch.ones(()))
    assert found[16:].sum() == 0
    assert_close(found[:10].sum(), found[10:14].sum())
    assert_close(found[:10].sum(), found[14:16].sum())


def test_a_class_of_few_inputs_does_not_fill_batches() -> None:
    started = Run(small())
    importance = started.state.importance
    importance.classes = torch.zeros(1000, dtype=torch.int64)
    importance.classes[0] = 1
    importance.moments = None
    found = importance.probabilities(torch.tensor(1000), 0.0)
    assert_close(found[0] / found[1], torch.tensor(999 / (RAREST / 10 * 1000)))


def test_weights_of_maximum_entropy_bring_the_pool_nearer_to_what_the_teacher_remembers() -> None:
    started = Run(small(made_batch=256, making_steps=10, weighted_fraction=1.0))
    started.improve()
    importance = started.state.importance
    even = importance.probabilities(started.state.pool.held, 1.0)
    importance.solve(256, 0.1)
    weighted = importance.probabilities(started.state.pool.held, 1.0)
    gaps = [(each @ importance.moments).square().mean() for each in (even, weighted)]
    assert gaps[1] < 0.6 * gaps[0]
    assert 1 / weighted.square().sum() > 0.099 * 256


def test_weights_are_computed_by_themselves_and_seldom() -> None:
    started = Run(small(making_steps=1))
    for _ in range(4):
        assert not started.state.importance.multipliers.any()
        started.improve()
    assert started.state.importance.multipliers.any()
    assert [rounds for rounds in range(300) if is_due(rounds)] == [4, 8, 16, 32, 64, 128, 192, 256]


def test_an_input_that_came_since_does_not_outweigh_all_others() -> None:
    started = Run(small(made_batch=64, making_steps=1))
    for _ in range(4):
        started.improve()
    importance, held = started.state.importance, started.state.pool.held
    importance.solve(int(held), 0.05)
    assert importance.moments is not None
    assert importance.multipliers.any()
    assert float(importance.probabilities(held, 1.0).max()) < 0.5
    importance.moments[0] = 50 * importance.multipliers.sign()
    assert float(importance.probabilities(held, 1.0)[0]) < 0.5


def test_rows_are_drawn_by_their_probabilities() -> None:
    probabilities = torch.tensor([0.0, 0.5, 0.0, 0.3, 0.2, 0.0, 0.0])
    rows = draw_rows(probabilities, 20_000, torch.Generator().manual_seed(0))
    assert_close(rows.bincount(minlength=7) / 20_000, probabilities, atol=0.015, rtol=0)


def test_batches_come_from_the_pool_and_some_are_mixed() -> None:
    started = Run(small(student_steps=30, making_steps=1))
    started.improve()
    kept = started.state.pool.newest(8).flatten(1)
    batches = torch.cat([batch.inputs for batch in started.source.batches(started.state, started.fabric)]).flatten(1)
    alike = torch.tensor([bool(torch.isclose(row, kept).all(dim=1).any()) for row in batches])
    # Those mixed with themselves stay what they are.
    assert 0.45 < alike.float().mean() < 0.75


def test_a_mixture_lies_between_its_two_inputs() -> None:
    first, second = torch.zeros(1000, 2), torch.ones(1000, 2)
    mixed = mixup(first, second, 0.5, torch.Generator().manual_seed(0))
    assert_close(mixed[:, 0], mixed[:, 1])
    moved = mixed[mixed[:, 0] > 0, 0]
    assert 430 < len(moved) < 570
    assert_close(moved.mean(), torch.tensor(0.5), atol=0.05, rtol=0)
    assert torch.equal(mixup(first, second, 0.0, torch.Generator()), first)
