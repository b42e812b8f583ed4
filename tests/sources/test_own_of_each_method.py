"""What makes each method itself, checked without the code that does it: what the paper says, on what passes by.

`tests/mutations.py` takes each of these away and sees that a test here fails.
"""

import copy
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, log_softmax, normalize, softmax
from torch.testing import assert_close

from beliefmatch.sources.cmi import Cmi
from beliefmatch.sources.dafl import Dafl
from beliefmatch.sources.deep_inversion import DeepInversion
from beliefmatch.sources.fast import Fast
from beliefmatch.sources.inversion_loss import InversionLossWeights
from beliefmatch.sources.nayer import Nayer
from beliefmatch.sources.procedural_pool import ProceduralPool
from started import Run

GENERATOR = f"{Path(__file__).parents[1] / 'contract' / 'small_generator.py'}:make"
SMALL: dict[str, Any] = {"noise_size": 6, "generator": GENERATOR, "student_steps": 2}


def weights_at_each_pass(network: nn.Module) -> list[list[Tensor]]:
    """Return the list that the weights of a network, and of its copies, go to whenever one of them runs."""
    passes: list[list[Tensor]] = []

    def keep(module: nn.Module, _: object) -> None:
        passes.append([parameter.detach().clone() for parameter in module.parameters()])

    network.register_forward_pre_hook(keep)
    return passes


def are_equal(first: Tensor, second: Tensor) -> bool:
    return torch.equal(first, second)


# Fast: Fang et al. 2022, algorithm 1.


def test_fast_draws_its_first_layer_anew_for_each_batch_and_keeps_all_others() -> None:
    run = Run(Fast(**SMALL, making_steps=1, warm_up=0))
    passes = weights_at_each_pass(run.state.generator)
    first_weight, *others = run.state.generator.parameters()
    before = first_weight.clone(), [each.clone() for each in others[1:]]
    run.improve()
    after = [each.detach().clone() for each in run.state.generator.parameters()]
    run.improve()
    assert not torch.allclose(passes[0][0], before[0], atol=0.05)
    assert all(map(are_equal, passes[0][2:], before[1]))
    assert not torch.allclose(passes[1][0], after[0], atol=0.05)
    assert all(map(are_equal, passes[1][2:], after[2:]))


def test_fasts_meta_generator_moves_as_far_as_all_steps_of_a_batch_may() -> None:
    """Adam's first step is as long as its learning rate, whatever the gradient."""
    source = Fast(**SMALL, making_steps=4, learning_rate=1e-3, warm_up=0)
    run = Run(source)
    before = [parameter.clone() for parameter in run.state.generator.parameters()][2:]
    run.improve()
    moved = torch.stack(
        [(a - b).abs().max() for a, b in zip(before, list(run.state.generator.parameters())[2:], strict=True)]
    )
    assert_close(moved.max().item(), 4 * 1e-3, rtol=1e-3, atol=0)


def test_fasts_meta_generator_moves_along_the_sum_of_all_gradients() -> None:
    run = Run(Fast(**SMALL, making_steps=3, warm_up=0))
    optimiser, seen = run.state.optimiser, list[Tensor]()

    def keep(*_: object) -> None:
        seen.extend(
            parameter.grad.clone() for parameter in run.state.generator.parameters() if parameter.grad is not None
        )

    optimiser.register_step_pre_hook(keep)
    summed = _gradients_of_fast(run)
    run.improve()
    assert len(seen) == len(summed)
    for ours, theirs in zip(seen, summed, strict=True):
        assert_close(ours, theirs, rtol=1e-6, atol=1e-9)


def _gradients_of_fast(run: Run) -> list[Tensor]:
    """Do the steps of a batch on copies, and sum the gradients that its generator had."""
    again = copy.copy(run)
    again.state = copy.deepcopy(run.state)
    again.student = copy.deepcopy(run.student)
    kept: list[list[Tensor]] = []
    steps = torch.optim.Adam.step

    def watched(optimiser: torch.optim.Adam, *arguments: Any) -> Any:
        parameters = optimiser.param_groups[0]["params"]
        if len(optimiser.param_groups) == 2:
            kept.append([parameter.grad.clone() for parameter in parameters])
        return steps(optimiser, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.Adam, "step", watched)
        again.source.improve(again.state, again.teacher, again.student, again.fabric)
    assert len(kept) == 3
    return [torch.stack(each).sum(dim=0) for each in zip(*kept, strict=True)]


# CMI: Fang et al. 2021, equations 7 and 8.


def bank_of(run: Run, count: int) -> Run:
    """Return the same run with so many inputs in its pool."""
    again = copy.copy(run)
    again.state = copy.deepcopy(run.state)
    random = torch.Generator().manual_seed(9)
    for _ in range(count // 8):
        again.state.pool.add(torch.randn(8, 1, 8, 8, generator=random).double(), run.teacher, run.fabric)
    return again


def test_cmi_tells_each_input_from_its_batch_and_from_all_that_the_bank_holds() -> None:
    """Fresh embeddings tell little apart, so that the loss begins near the logarithm of what there is to tell from."""
    run = Run(Cmi(**SMALL, making_steps=1, contrast=1.0, contrast_temperature=1e3))
    for count in (0, 16, 32):
        found = bank_of(run, count).improve()["generator_contrast"]
        assert found[0].item() == pytest.approx(math.log(8 + count), rel=1e-2)


def test_cmis_bank_lends_no_more_than_it_is_asked_for() -> None:
    run = Run(Cmi(**SMALL, making_steps=1, contrast=1.0, contrast_temperature=1e3, num_others=5))
    assert bank_of(run, 32).improve()["generator_contrast"][0].item() == pytest.approx(math.log(8 + 5), rel=1e-2)


def test_cmis_contrast_is_that_of_its_paper() -> None:
    run = bank_of(Run(Cmi(**SMALL, making_steps=1)), 16)
    embedder, kept, seen = copy.deepcopy(run.state.embedder), run.state.pool.newest(16), run.seen_by_the_teacher()
    found = run.improve()

    def embedded(inputs: Tensor) -> Tensor:
        return normalize(embedder(run.teacher.outputs(inputs, tap_features=True).inputs["5"]), dim=1)

    bank, made = [each for each in seen if len(each) in (8, 16)][:2]
    assert {*map(tuple, bank.flatten(1).tolist())} <= {*map(tuple, kept.flatten(1).tolist())}
    similar = embedded(made) @ embedded(torch.cat([made, bank])).T / 0.1
    assert_close(found["generator_contrast"][0], -0.8 * log_softmax(similar, dim=1).diagonal().mean())


def test_cmis_generator_drives_its_batch_apart_where_the_embedder_rests() -> None:
    def is_left_of_it(weight: float) -> float:
        source = Cmi(
            **SMALL, making_steps=40, learning_rate=1e-2, contrast=weight, terms=InversionLossWeights(one_hot=0.01)
        )
        run = bank_of(Run(source), 16)
        run.state.optimiser.step = lambda: None
        return run.improve()["generator_contrast"][-1].item() / weight

    assert is_left_of_it(5.0) < is_left_of_it(1e-6) - 0.05


def test_cmis_embedder_learns_to_tell_inputs_apart() -> None:
    run = bank_of(Run(Cmi(**SMALL, making_steps=40, learning_rate=1e-2, contrast=0.1)), 16)
    before = [each.detach().clone() for each in run.state.embedder.parameters()]
    found = run.improve()["generator_contrast"]
    assert found[-1] < found[0] - 0.01
    assert not any(map(are_equal, before, run.state.embedder.parameters()))


# NAYER: Tran et al. 2024, section 3.


def test_nayer_draws_its_noisy_layer_anew_for_each_batch_and_lets_the_generator_go_on() -> None:
    run = Run(Nayer(**SMALL, making_steps=2, warm_up=5, batches_per_round=1), batch_size=20)
    generator, noisy = weights_at_each_pass(run.state.generator), weights_at_each_pass(run.state.noisy.linear)
    run.source.make(run.state, run.source.terms, run.teacher, run.student, run.fabric)
    led_to = run.state.noisy.linear.weight.detach().clone()
    trained = [each.detach().clone() for each in run.state.generator.parameters()]
    run.source.make(run.state, run.source.terms, run.teacher, run.student, run.fabric)
    assert len(noisy) == len(generator) == 4
    assert torch.allclose(noisy[1][0], noisy[0][0], atol=0.05)
    assert not torch.allclose(noisy[2][0], led_to, atol=0.5)
    assert not noisy[2][1].any()
    assert all(map(are_equal, generator[2], trained))


def test_nayers_noisy_layer_learns_with_its_generator() -> None:
    run = Run(Nayer(**SMALL, making_steps=2, warm_up=0, batches_per_round=1), batch_size=20)
    generator, noisy = weights_at_each_pass(run.state.generator), weights_at_each_pass(run.state.noisy)
    run.improve()
    for passes in (generator, noisy):
        assert not any(map(are_equal, *passes))


# DAFL: Chen et al. 2019, equations 3 to 6.


def test_dafl_minimises_one_hot_loss_imbalance_and_inactivity_of_the_teacher_alone() -> None:
    run = Run(Dafl(**SMALL))
    seen = run.seen_by_the_teacher()
    run.student.register_forward_pre_hook(lambda *_: pytest.fail("the student takes no part"))
    found = run.improve()
    logits = run.teacher.module(seen[0])
    features = run.teacher.module[:5](seen[0])  # pyright: ignore[reportIndexIssue]
    mean = softmax(logits, dim=1).mean(dim=0)
    expected = {
        "one_hot": 0.05 * cross_entropy(logits, logits.argmax(dim=1)),
        "balance": 5 * (mean * mean.log10()).sum(),
        "activation": -0.1 * features.abs().mean(),
    }
    terms = {name.removeprefix("generator_"): value.squeeze() for name, value in found.items()}
    for name, value in expected.items():
        assert_close(terms[name], value, msg=name)
    assert_close(terms["loss"], torch.stack([*expected.values()]).sum())


# DeepInversion: Yin et al. 2020, equations 2 to 5.


def gap_of(teacher: nn.Module, inputs: Tensor) -> Tensor:
    """Work out how far a batch lies from what the only batch-norm layer remembers."""
    convolution, norm = teacher[0], teacher[1]  # pyright: ignore[reportIndexIssue]
    layer = convolution(inputs)
    mean, variance = layer.mean(dim=(0, 2, 3)), layer.var(dim=(0, 2, 3), correction=0)
    return (mean - norm.running_mean).norm() + (variance - norm.running_var).norm()


def test_deep_inversion_minimises_all_the_terms_of_its_paper_from_noise_on() -> None:
    run = Run(DeepInversion(making_steps=2))
    seen = run.seen_by_the_teacher()
    labels = torch.randint(10, (8,), generator=run.state.random.clone_state())
    found = run.improve()
    inputs = seen[0]
    logits = run.teacher.module(inputs)
    with torch.no_grad():
        answers = run.student.eval()(inputs)
    beliefs = softmax(logits, dim=1), softmax(answers, dim=1)
    middle = (beliefs[0] + beliefs[1]) / 2
    competition = sum((belief * (belief / middle).log()).sum(dim=1) / 2 for belief in beliefs)
    assert isinstance(competition, Tensor)
    variation = sum(inputs.diff(dim=axis).flatten(1).norm(dim=1).mean() for axis in (2, 3))
    assert_close(found["generator_statistics"][0], 10 * gap_of(run.teacher.module, inputs))
    assert_close(found["generator_one_hot"][0], -log_softmax(logits, dim=1)[torch.arange(8), labels].mean())
    assert_close(found["generator_divergence"][0], -competition.mean())
    assert_close(found["generator_total_variation"][0], 2.5e-5 * variation)
    assert_close(found["generator_l2"][0], 3e-8 * inputs.flatten(1).norm(dim=1).mean())


def test_deep_inversion_brings_inputs_to_the_statistics_that_the_teacher_remembers() -> None:
    source, gaps = DeepInversion(making_steps=40), list[Tensor]()
    for weight in (10.0, 0.0):
        run = Run(replace(source, terms=replace(source.terms, statistics=weight)))
        run.improve()
        gaps.append(gap_of(run.teacher.module, run.state.pool.newest(8)))
    assert gaps[0] < 0.85 * gaps[1]


# Procedural pool: ours.


def test_procedural_images_are_refined_before_the_first_step_of_the_student() -> None:
    run = Run(ProceduralPool(making_steps=1, student_steps=1, warm_up=3, made_batch=None))
    run.improve()
    assert run.state.pool.held == 4 * 8
