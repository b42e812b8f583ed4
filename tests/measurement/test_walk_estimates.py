"""Walks from inputs of a probe: where they begin, and agreement and error against a slow plain loop."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from beliefmatch.measurement.probe import CHUNK, Probe, make_probe
from beliefmatch.measurement.walk_estimates import WalkStarts, compare_on_walks, draw_starts, make_walks
from beliefmatch.networks.teacher import Teacher
from beliefmatch.training.precision import make_fabric
from tiny import VECTOR, make_mlp_student, make_mlp_teacher

CLASSES, STEPS = 4, 3


@pytest.fixture(scope="module")
def probe() -> Probe:
    return make_probe(Teacher(make_mlp_teacher(), VECTOR), count=200, fabric=make_fabric("cpu", "32-true"))


def linear(seed: int) -> nn.Linear:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Linear(5, CLASSES).eval()


def starts_of(count: int) -> WalkStarts:
    random = torch.Generator().manual_seed(0)
    sought = torch.randint(CLASSES, (count,), generator=random)
    return WalkStarts(inputs=torch.randn(count, 5, generator=random), sought=sought)


def positions_of(guide: nn.Linear, starts: WalkStarts, step_size: float) -> Tensor:
    """Return every position of walks in the field of a linear network, whose gradient is known, (steps, walks, 5)."""
    found = [starts.inputs]
    for _ in range(STEPS - 1):
        errors = guide(found[-1]).softmax(1) - one_hot(starts.sought, CLASSES)
        found.append((found[-1] - step_size * errors @ guide.weight).detach())
    return torch.stack(found)


def test_walks_begin_with_the_classes_of_the_teacher_evenly(probe: Probe) -> None:
    starts = draw_starts(probe, count=4000)
    with torch.no_grad():
        own = make_mlp_teacher()(starts.inputs).argmax(1)
    expected = probe.weights["balanced"].new_zeros(10).index_add(0, probe.teacher.logits.argmax(1),
                                                                probe.weights["balanced"])  # fmt: skip
    found = own.bincount(minlength=10) / 4000
    assert found.tolist() == pytest.approx(expected.tolist(), abs=0.03)


def test_walks_lead_to_every_other_class_alike_and_never_to_their_own(probe: Probe) -> None:
    starts = draw_starts(probe, count=4000)
    with torch.no_grad():
        own = make_mlp_teacher()(starts.inputs).argmax(1)
    steps = (starts.sought - own) % 10
    assert (steps.bincount(minlength=10) / 4000).tolist() == pytest.approx([0] + 9 * [1 / 9], abs=0.03)


def test_the_seed_decides_where_walks_begin(probe: Probe) -> None:
    first, again, other = (draw_starts(probe, count=50, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first.inputs, again.inputs)
    assert torch.equal(first.sought, again.sought)
    assert not torch.equal(first.inputs, other.inputs)


def test_agreement_and_error_are_those_of_a_plain_loop() -> None:
    guide, follower, starts = linear(1), linear(2), starts_of(CHUNK + 3)
    positions = positions_of(guide, starts, 0.5)
    with torch.no_grad():
        first, second = guide(positions).softmax(-1), follower(positions).softmax(-1)
    found = compare_on_walks(make_walks(guide, starts, num_steps=STEPS, step_size=0.5), follower)
    alike = first.argmax(-1) == second.argmax(-1)
    gaps = (first - second).gather(-1, starts.sought.expand(STEPS, -1)[..., None]).abs()
    assert 0.05 < float(alike.double().mean()) < 0.95
    assert found.agreement == pytest.approx(float(alike.double().mean()), abs=1e-9)
    assert found.error == pytest.approx(float(gaps.mean()), abs=1e-6)


def test_positions_stand_with_the_class_sought_and_what_the_guide_says_there() -> None:
    guide, starts = linear(1), starts_of(CHUNK + 3)
    walks = make_walks(guide, starts, num_steps=STEPS, step_size=0.5)
    assert len(walks.positions) == STEPS * (CHUNK + 3)
    with torch.no_grad():
        assert torch.allclose(walks.logits, guide(walks.positions), atol=1e-6)
    first = walks.positions[:CHUNK]
    assert torch.equal(first, starts.inputs[:CHUNK])
    assert torch.equal(walks.sought[:CHUNK], starts.sought[:CHUNK])


def test_a_walk_comes_nearer_to_the_class_sought() -> None:
    guide, starts = linear(1), starts_of(50)
    walks = make_walks(guide, starts)
    reached = walks.logits.argmax(1) == walks.sought
    assert reached[-50:].double().mean() > 0.9 > reached[:50].double().mean()


def test_a_student_that_is_its_teacher_agrees_on_every_walk(probe: Probe) -> None:
    walks = make_walks(make_mlp_teacher(), draw_starts(probe, count=30), num_steps=STEPS)
    found = compare_on_walks(walks, make_mlp_teacher())
    assert (found.agreement, found.error) == (1, pytest.approx(0, abs=1e-6))
    assert compare_on_walks(walks, make_mlp_student()).agreement < 0.9
