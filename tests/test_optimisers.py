"""Our optimisers against torch's plain ones with torch's own schedules."""

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, MultiStepLR
from torch.testing import assert_close

from beliefmatch.optimisers import AbstractOptimiser, Adam, CosineSgd, Optimisation, StepwiseSgd
from beliefmatch.training.precision import make_fabric
from beliefmatch.training.state import pack, unpack

NUM_ROUNDS = 20


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)).double()


def plain(settings: AbstractOptimiser, moved: nn.Module) -> tuple[torch.optim.Optimizer, LRScheduler | None]:
    if isinstance(settings, Adam):
        optimiser = torch.optim.Adam(moved.parameters(), lr=settings.learning_rate, foreach=False)
        return optimiser, None if settings.constant else CosineAnnealingLR(optimiser, NUM_ROUNDS)
    assert isinstance(settings, StepwiseSgd | CosineSgd)
    optimiser = torch.optim.SGD(
        moved.parameters(),
        lr=settings.learning_rate,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        foreach=False,
    )
    if isinstance(settings, CosineSgd):
        return optimiser, CosineAnnealingLR(optimiser, NUM_ROUNDS)
    return optimiser, MultiStepLR(optimiser, [6, 12, 16], gamma=settings.drop_factor)


@pytest.mark.parametrize(
    "settings",
    [
        Adam(learning_rate=1e-2, gradient_clip=1e9),
        Adam(learning_rate=1e-2, gradient_clip=1e9, constant=True),
        StepwiseSgd(),
        CosineSgd(),
    ],
    ids=["adam", "constant adam", "sgd", "cosine sgd"],
)
def test_weights_and_rates_follow_those_of_torch(settings: AbstractOptimiser) -> None:
    ours, theirs = network(), network()
    optimisation = settings.start(ours, NUM_ROUNDS)
    optimiser, schedule = plain(settings, theirs)
    fabric = make_fabric("cpu", "64-true")
    inputs = torch.randn(8, 3, dtype=torch.float64)
    for _ in range(NUM_ROUNDS):
        rate = optimisation.optimiser.param_groups[0]["lr"]
        assert rate == pytest.approx(optimiser.param_groups[0]["lr"], rel=1e-9, abs=1e-15)
        for each in (ours, theirs):
            each(inputs).square().mean().backward()
        optimisation.step(fabric)
        optimisation.end_round()
        optimiser.step()
        optimiser.zero_grad()
        if schedule is not None:
            schedule.step()
    assert_close(list(ours.parameters()), list(theirs.parameters()), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("settings", [StepwiseSgd(), CosineSgd()], ids=["sgd", "cosine sgd"])
def test_layers_may_be_skipped_in_the_first_steps(settings: StepwiseSgd | CosineSgd) -> None:
    ours, theirs = network(), network()
    optimisation = settings.start(ours, NUM_ROUNDS)
    optimiser, _ = plain(settings, theirs)
    inputs = torch.randn(8, 5, dtype=torch.float64)
    for number in range(4):
        for each in (ours, theirs):
            assert isinstance(each, nn.Sequential)
            # As stochastic depth skips blocks: the first layer has a gradient in the third step only.
            layers = each if number == 2 else each[1:]
            layers(inputs[:, :3] if number == 2 else inputs).square().mean().backward()
        optimisation.step(make_fabric("cpu", "64-true"))
        optimiser.step()
        optimiser.zero_grad()
    assert_close(list(ours.parameters()), list(theirs.parameters()), rtol=1e-9, atol=1e-12)


def test_a_rate_that_is_a_tensor_stays_the_same_tensor_when_a_checkpoint_is_read() -> None:
    def started() -> Optimisation:
        optimisation = Adam(learning_rate=1e-2, gradient_clip=5.0).start(network(), NUM_ROUNDS)
        for group in optimisation.optimiser.param_groups:
            group["lr"] = torch.tensor(group["lr"])
        return optimisation

    before = started()
    for _ in range(5):
        before.optimiser.step()
        before.end_round()
    after = started()
    rate = after.optimiser.param_groups[0]["lr"]
    unpack(after, pack(before))
    assert after.optimiser.param_groups[0]["lr"] is rate
    assert float(rate) == float(before.optimiser.param_groups[0]["lr"]) < 1e-2
    after.end_round()
    before.end_round()
    assert float(rate) == float(before.optimiser.param_groups[0]["lr"])
