"""What every objective promises, in one table."""

import pytest
import torch

from beliefmatch.networks.taps import Outputs, TapPair
from beliefmatch.objectives.base import AbstractObjective
from beliefmatch.objectives.belief_matching import BeliefMatching
from beliefmatch.objectives.distillation import Distillation
from beliefmatch.recipes.stored import SETTINGS_TYPES

PAIRS = (TapPair(teacher="a", student="b"), TapPair(teacher="c", student="d"))

OBJECTIVES: dict[str, AbstractObjective] = {
    "kl": BeliefMatching(),
    "js": BeliefMatching(divergence="js", temperature=2.0),
    "l1": BeliefMatching(divergence="l1"),
    "distillation": Distillation(label_weight=0.0, divergence_weight=2.88),
    "distillation with attention": Distillation(
        label_weight=0.0, divergence_weight=2.88, attention_weight=1000.0, taps=PAIRS
    ),
    "attention": BeliefMatching(attention_weight=250.0, taps=PAIRS),
    "features": BeliefMatching(feature_weight=10.0, taps=PAIRS),
}


@pytest.fixture(params=OBJECTIVES)
def objective(request: pytest.FixtureRequest) -> AbstractObjective:
    return OBJECTIVES[request.param]


def beliefs(seed: int, names: tuple[str, str], channels: int) -> Outputs:
    random = torch.Generator().manual_seed(seed)
    outputs = {name: torch.randn(6, channels, 4, 4, generator=random).requires_grad_() for name in names}
    return Outputs(logits=torch.randn(6, 10, generator=random).requires_grad_(), activations=outputs, inputs={})


def matching(channels: int) -> tuple[Outputs, Outputs]:
    """Return outputs of a teacher, whose activations have five channels, and of a student."""
    return beliefs(0, ("a", "c"), 5), beliefs(1, ("b", "d"), channels)


def test_the_table_holds_every_objective() -> None:
    listed = {type(objective) for objective in OBJECTIVES.values()}
    assert listed == {kind for kind in SETTINGS_TYPES if issubclass(kind, AbstractObjective)}


def test_terms_are_per_example_finite_and_differentiable(objective: AbstractObjective) -> None:
    channels = 5 if getattr(objective, "feature_weight", 0) else 3
    student = beliefs(1, ("b", "d"), channels)
    terms = objective(beliefs(0, ("a", "c"), 5), student, None)
    assert terms
    assert all(term.shape == (6,) and term.isfinite().all() for term in terms.values())
    torch.stack(list(terms.values())).sum().backward()
    assert student.logits.grad is not None
    assert student.logits.grad.abs().sum() > 0
    for pair in objective.taps or ():
        grad = student.activations[pair.student].grad
        assert grad is not None
        assert grad.abs().sum() > 0


def test_equal_beliefs_cost_nothing(objective: AbstractObjective) -> None:
    teacher = beliefs(0, ("a", "c"), 5)
    same = Outputs(
        logits=teacher.logits, activations={"b": teacher.activations["a"], "d": teacher.activations["c"]}, inputs={}
    )
    for term in objective(teacher, same, None).values():
        torch.testing.assert_close(term, torch.zeros(6), atol=1e-6, rtol=0)


def test_an_example_does_not_depend_on_its_neighbours(objective: AbstractObjective) -> None:
    # A map between features of another number of channels is solved for over the whole batch.
    channels = 5 if "features" in objective(*matching(5), None) else 3
    teacher, student = matching(channels)

    def first(read: Outputs) -> Outputs:
        return Outputs(
            logits=read.logits[:1], activations={key: value[:1] for key, value in read.activations.items()}, inputs={}
        )

    whole, alone = objective(teacher, student, None), objective(first(teacher), first(student), None)
    for name, term in alone.items():
        torch.testing.assert_close(term, whole[name][:1])
