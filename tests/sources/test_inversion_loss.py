"""The terms that inputs minimise: which networks they run, and which way they lead."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from beliefmatch.errors import NetworkError, SettingsError
from beliefmatch.functional.divergences import kl_divergence
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.normalisation import DIGITS
from beliefmatch.networks.taps import outputs_of
from beliefmatch.networks.teacher import Teacher
from beliefmatch.sources.dafl import Dafl
from beliefmatch.sources.inversion_loss import WEIGHTS, InversionLossWeights
from tiny import begin, make_conv_teacher, make_dropout_student, tiny_transfer

GENERATOR = f"{Path(__file__).parents[1] / 'contract' / 'small_generator.py'}:make"
TEACHER = Teacher(make_conv_teacher(), DIGITS)
STUDENT = make_dropout_student()
INPUTS = torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def losses(
    terms: InversionLossWeights, inputs: torch.Tensor = INPUTS, labels: torch.Tensor | None = None
) -> dict[str, torch.Tensor]:
    return terms.losses(inputs, terms.read(inputs, TEACHER), TEACHER, STUDENT, labels)


@pytest.mark.parametrize("name", WEIGHTS)
def test_each_weight_gives_one_term_in_proportion(name: str) -> None:
    one, three = (losses(replace(InversionLossWeights(), **{name: weight})) for weight in (1.0, 3.0))
    assert len(one) == 1
    torch.testing.assert_close(3 * next(iter(one.values())), next(iter(three.values())))


@pytest.mark.parametrize("name", WEIGHTS)
def test_steps_down_a_term_lower_it(name: str) -> None:
    terms = replace(InversionLossWeights(), **{name: 1.0})
    inputs = INPUTS.clone().requires_grad_()
    before = torch.stack([*losses(terms, inputs).values()]).sum()
    (gradient,) = torch.autograd.grad(before, inputs)
    after = losses(terms, (inputs - 1e-2 * gradient / gradient.norm()).detach())
    assert torch.stack([*after.values()]).sum() < before


@pytest.mark.parametrize(("mode", "moves"), [("eval", False), ("train", True)])
def test_the_student_is_in_the_mode_that_is_asked_for_and_gets_its_own_back(mode: Any, moves: bool) -> None:
    student = make_dropout_student().train()
    before = [buffer.clone() for buffer in student.buffers()]
    terms = InversionLossWeights(adversarial=1.0, student_mode=mode)
    terms.losses(INPUTS, terms.read(INPUTS, TEACHER), TEACHER, student)
    assert any(not torch.equal(a, b) for a, b in zip(before, student.buffers(), strict=True)) == moves
    assert student.training


def test_without_the_adversarial_term_the_student_does_not_run() -> None:
    def never(*_: object) -> None:
        raise AssertionError

    student = make_dropout_student()
    student.register_forward_pre_hook(never)
    terms = InversionLossWeights(statistics=1.0, one_hot=1.0, balance=1.0, activation=1.0, total_variation=1.0, l2=1.0)
    assert len(terms.losses(INPUTS, terms.read(INPUTS, TEACHER), TEACHER, student)) == 6


def test_where_networks_disagree_an_agreed_divergence_counts_nothing() -> None:
    student = make_dropout_student().eval()
    taught, learnt = TEACHER.outputs(INPUTS).logits, outputs_of(student, INPUTS).logits
    agreed = taught.argmax(dim=1) == learnt.argmax(dim=1)
    terms = InversionLossWeights(adversarial=1.0, adversarial_where="agreed")
    found = terms.losses(INPUTS, terms.read(INPUTS, TEACHER), TEACHER, student)["divergence"]
    torch.testing.assert_close(found, -(kl_divergence(taught, learnt) * agreed).mean())


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        (InversionLossWeights(), "source.terms.l2 are all 0"),
        (InversionLossWeights(balance=-1.0), "source.terms.balance must not be below 0"),
        (InversionLossWeights(one_hot=float("nan")), "source.terms.one_hot must be finite"),
        (InversionLossWeights(adversarial=1.0, temperature=0.0), "source.terms.temperature must be above 0"),
    ],
)
def test_terms_out_of_range_are_refused(terms: InversionLossWeights, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        replace(tiny_transfer(), source=Dafl(terms=terms))


class Scaled(nn.Module):
    """A network whose logits no layer gives as they are."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = make_conv_teacher()

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return self.inner(batch) / 2


def test_a_teacher_without_known_features_is_told() -> None:
    teacher = Teacher(Scaled(), DIGITS)
    assert teacher.feature_tap is None
    with pytest.raises(NetworkError, match=r"source\.terms\.activation must be 0"):
        InversionLossWeights(activation=1.0).check_fit(teacher)
    InversionLossWeights(one_hot=1.0).check_fit(teacher)


def test_features_are_the_input_of_the_last_layer() -> None:
    assert TEACHER.feature_tap == "5"
    read = TEACHER.outputs(INPUTS, tap_features=True)
    head = TEACHER.module.get_submodule("5")
    torch.testing.assert_close(head(read.inputs["5"]), read.logits)


def test_a_teacher_without_batch_norm_has_no_gap() -> None:
    flat = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    teacher = Teacher(flat, InputSpec(shape=(1, 8, 8)))
    terms = InversionLossWeights(statistics=1.0)
    assert terms.losses(INPUTS, terms.read(INPUTS, teacher), teacher, STUDENT)["statistics"] == 0


def test_a_generator_learns_without_the_student() -> None:
    transfer, state, teacher, fabric = begin(
        replace(
            tiny_transfer(rounds=200, batch_size=16), source=Dafl(noise_size=6, generator=GENERATOR, learning_rate=1e-2)
        )
    )
    found = [transfer.source.improve(state.source, teacher, state.student, fabric) for _ in range(30)]
    assert found[-1]["generator_loss"] < found[0]["generator_loss"]
