"""Sources that fill a pool: what each batch takes, what is kept, and what each method has of its own."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from beliefmatch.errors import NetworkError, SettingsError
from beliefmatch.networks.architectures.generators import NoisyLayer
from beliefmatch.networks.architectures.initialisation import redraw
from beliefmatch.sources.base import AbstractSource
from beliefmatch.sources.cmi import Cmi
from beliefmatch.sources.deep_inversion import DeepInversion
from beliefmatch.sources.fast import Fast, first_layer
from beliefmatch.sources.input_optimisation import optimise_inputs
from beliefmatch.sources.inversion_loss import InversionLossWeights
from beliefmatch.sources.nayer import Nayer
from beliefmatch.training.loop import run_round
from beliefmatch.training.precision import make_fabric
from collapsing import named
from tiny import begin, tiny_transfer, vector_transfer

GENERATOR = f"{Path(__file__).parents[1] / 'contract' / 'small_generator.py'}:make"
SMALL: dict[str, Any] = {"noise_size": 6, "generator": GENERATOR, "student_steps": 2}


def started(source: AbstractSource[Any], batch_size: int = 8, rounds: int = 4) -> tuple[Any, ...]:
    _, state, teacher, fabric = begin(replace(tiny_transfer(rounds=rounds, batch_size=batch_size), source=source))
    return state.source, (source, state.source, teacher, state.student, fabric)


def improve(source: Any, state: Any, teacher: Any, student: Any, fabric: Any) -> dict[str, torch.Tensor]:
    found = source.improve(state, teacher, student, fabric)
    source.end_round(state)
    return found


def test_descent_keeps_the_best_step_and_counts_all() -> None:
    free = nn.Parameter(torch.tensor([[4.0]]))
    best, found = optimise_inputs(
        lambda: free * 1,
        lambda inputs: {"square": inputs.square().mean()},
        torch.optim.SGD([free], lr=1.1),
        make_fabric("cpu", "32-true"),
        steps=5,
    )
    assert_close(best, torch.tensor([[4.0]]))
    assert found["loss"].shape == (5,)
    assert found["loss"].argmin() == 0
    assert_close(found["loss"], found["square"])


@pytest.mark.parametrize(("generator", "alike"), [(GENERATOR, False), (named("make_constant_generator"), True)])
def test_what_a_generator_makes_is_judged_before_it_is_mixed_with_what_is_kept(generator: str, *, alike: bool) -> None:
    settings: dict[str, Any] = SMALL | {"generator": generator}
    state, started_ = started(Fast(**settings, making_steps=1, warm_up=0))
    state.pool.add(torch.randn(8, 1, 8, 8), *started_[2:3], started_[4])
    found = improve(*started_)["generator_diversity"]
    assert found.shape == (1,)
    assert bool((found < 0.01).all()) == alike


def test_a_generator_without_layers_cannot_be_drawn_anew() -> None:
    with pytest.raises(NetworkError, match="no layer that can be drawn anew"):
        first_layer(nn.Sequential(nn.ReLU()))


@pytest.mark.parametrize("rounds", [1, 3])
def test_a_round_adds_its_batches_and_the_first_those_that_warm_up(rounds: int) -> None:
    state, started_ = started(Fast(**SMALL, making_steps=1, warm_up=3, batches_per_round=2))
    found = [improve(*started_) for _ in range(rounds)]
    assert state.pool.held == 8 * (3 + 2 * rounds)
    assert state.pool.capacity == 8 * (3 + 2 * 4)
    assert found[-1]["generator_loss"].shape == (2,)


def test_warming_up_leaves_the_student_out() -> None:
    _, started_ = started(Fast(**SMALL, making_steps=2, warm_up=3))
    passes: list[int] = []
    started_[3].register_forward_pre_hook(lambda *_: passes.append(1))
    improve(*started_)
    assert len(passes) == 2


@pytest.mark.parametrize("source", [Fast(**SMALL), Nayer(**SMALL), Cmi(**SMALL), DeepInversion(making_steps=9)])
def test_a_preflight_takes_few_steps(source: Any) -> None:
    short = source.for_preflight()
    assert short.making_steps * (short.warm_up + short.batches_per_round) + short.student_steps <= 8
    assert short.terms == source.terms


@pytest.mark.parametrize(
    "source",
    [
        Fast(noise_size=6, making_steps=20, learning_rate=1e-2),
        Nayer(noise_size=6, making_steps=20),
        Cmi(noise_size=6, making_steps=20),
        DeepInversion(making_steps=20),
    ],
)
def test_batches_become_better_and_stay_among_pixels(source: Any) -> None:
    source = replace(source, warm_up=0, student_steps=1)
    state, started_ = started(source)
    loss = improve(*started_)["generator_loss"]
    assert loss[:20].min() < 0.9 * loss[0]
    shown = started_[2].spec.to_pixels(state.pool.newest(8))
    assert 0 <= shown.min() < shown.max() <= 1


def test_the_meta_generator_moves_and_its_copies_leave_no_gradient() -> None:
    for outer in ("fomaml", "reptile"):
        state, started_ = started(Fast(**SMALL, making_steps=2, warm_up=0, outer=outer))
        before = [parameter.clone() for parameter in state.generator.parameters()]
        improve(*started_)
        moved = [not torch.equal(a, b) for a, b in zip(before, state.generator.parameters(), strict=True)]
        assert all(moved)
        assert all(parameter.grad is None for parameter in state.generator.parameters())


def test_meta_learning_shortens_the_way() -> None:
    source = Fast(
        **SMALL, making_steps=3, learning_rate=1e-2, warm_up=0, terms=InversionLossWeights(statistics=1.0, one_hot=1.0)
    )
    _, started_ = started(source, batch_size=16, rounds=40)
    found = torch.stack([improve(*started_)["generator_loss"][-1] for _ in range(40)])
    assert found[-5:].mean() < 0.95 * found[:5].mean()


def test_the_first_layer_is_the_one_that_reads_the_noise() -> None:
    generator = nn.Sequential(nn.Identity(), nn.Linear(3, 4), nn.Linear(4, 5))
    assert first_layer(generator) is generator[1]


def test_a_noisy_layer_tells_inputs_of_one_class_apart() -> None:
    noisy = NoisyLayer(num_classes=3, num_sets=2, noise_size=5)
    labels, sets = torch.tensor([2, 0, 1, 2, 0, 1]), torch.tensor([0, 0, 0, 1, 1, 1])
    found = noisy(labels, sets)
    assert found.shape == (6, 5)
    assert len(found.unique(dim=0)) == 6
    expected = noisy.norm(torch.eye(3))[2] @ noisy.linear.weight[1]
    assert_close(found[3], expected)


def test_every_class_is_asked_for_equally_often() -> None:
    source = Nayer(**SMALL, making_steps=1, warm_up=0, batches_per_round=1)
    state, (_, _, teacher, student, fabric) = started(source, batch_size=20)
    asked: list[torch.Tensor] = []
    state.noisy.register_forward_pre_hook(lambda _, inputs: asked.append(inputs[0]))
    source.improve(state, teacher, student, fabric)
    assert torch.bincount(asked[0]).tolist() == [2] * 10


@pytest.mark.parametrize(("life", "redrawn"), [(1, [True, True, True]), (2, [True, False, True])])
def test_the_generator_lives_for_some_rounds(life: int, redrawn: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[nn.Module] = []
    monkeypatch.setattr("beliefmatch.sources.nayer.redraw", lambda network, _: seen.append(network))
    state, started_ = started(Nayer(**SMALL, making_steps=1, warm_up=1, batches_per_round=2, generator_life=life))
    for expected in redrawn:
        seen.clear()
        improve(*started_)
        assert (state.generator in seen) == expected
        assert seen.count(state.noisy.linear) >= 2


def test_drawing_anew_follows_the_seed_and_leaves_torchs_own_state() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    before = torch.get_rng_state()
    found = []
    for seed in (0, 0, 1):
        redraw(network, torch.Generator().manual_seed(seed))
        found.append(network.state_dict()["0.weight"].clone())
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    assert torch.equal(torch.get_rng_state(), before)


def test_the_embedder_learns_to_tell_inputs_apart() -> None:
    source = Cmi(
        **SMALL, making_steps=15, learning_rate=1e-2, terms=InversionLossWeights(one_hot=1e-6), augmentation="crop_flip"
    )
    _, started_ = started(source, batch_size=16)
    contrast = improve(*started_)["generator_contrast"]
    assert contrast[-5:].mean() < contrast[:5].mean()


def test_cmi_needs_features() -> None:
    source = Cmi(**SMALL)
    transfer, state, teacher, fabric = begin(replace(tiny_transfer(), source=DeepInversion()))
    teacher.inspection = replace(teacher.inspection, head=None)
    with pytest.raises(NetworkError, match="features, which CMI compares, are not known"):
        source.start(teacher, state.student, transfer.plan, fabric)


def test_a_pool_smaller_than_a_batch_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"source\.capacity must be at least the 8 inputs made at a time; got 5"):
        started(Fast(**SMALL, capacity=5))


@pytest.mark.parametrize("kind", [Fast, Nayer, DeepInversion])
def test_vectors_and_networks_without_batch_norm_are_served(kind: Any) -> None:
    source = kind(making_steps=2, student_steps=2, warm_up=1, augmentation="crop_flip")
    transfer, state, teacher, fabric = begin(replace(vector_transfer(), source=source))
    found = run_round(transfer, state, teacher, fabric)
    assert found["student_loss"].isfinite().all()
    assert (found["generator_statistics"] == 0).all()


@pytest.mark.parametrize("kind", [Fast, Nayer, DeepInversion])
def test_micro_batches_change_nothing_without_batch_norm(kind: Any) -> None:
    found = []
    for part in (None, 3):
        source = kind(making_steps=2, student_steps=2, warm_up=1)
        settled, state, teacher, fabric = begin(
            replace(vector_transfer(), source=source, micro_batch=part), precision="64-true"
        )
        found.append(run_round(settled, state, teacher, fabric))
    for name, value in found[0].items():
        assert_close(found[1][name], value, rtol=1e-6, atol=1e-9, msg=name)


def test_a_pool_that_keeps_answers_spares_the_teacher() -> None:
    source = Fast(**SMALL, making_steps=1, warm_up=0)
    for augmentation, expected in (("none", 2), ("crop_flip", 1 + 2)):
        chosen = replace(source, augmentation=augmentation)
        transfer, state, teacher, fabric = begin(replace(tiny_transfer(), source=chosen))
        passes: list[int] = []
        teacher.module.register_forward_pre_hook(lambda *_, passes=passes: passes.append(1))
        run_round(transfer, state, teacher, fabric)
        assert len(passes) == expected
