"""Distillation against the released code's formula, term by term."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div, log_softmax, normalize, softmax

from beliefmatch.errors import SettingsError
from beliefmatch.networks.taps import Outputs, TapPair
from beliefmatch.objectives.distillation import Distillation
from beliefmatch.recipes.few_shot import OBJECTIVES, Method

RANDOM = torch.Generator().manual_seed(0)
LABELS = torch.randint(10, (6,), generator=RANDOM)
MAPS = torch.randn(6, 5, 4, 4, generator=RANDOM), torch.randn(6, 3, 4, 4, generator=RANDOM)
LOGITS = torch.randn(6, 10, generator=RANDOM), torch.randn(6, 10, generator=RANDOM)
TEACHER = Outputs(logits=LOGITS[0], activations={"a": MAPS[0]}, inputs={})
STUDENT = Outputs(logits=LOGITS[1], activations={"b": MAPS[1]}, inputs={})


def attention(maps: Tensor) -> Tensor:
    return normalize(maps.pow(2).mean(1).flatten(1))


# What the few-shot code of Micaelli & Storkey adds up, with its own reductions.
LABEL = cross_entropy(LOGITS[1], LABELS)
KD = kl_div(log_softmax(LOGITS[1] / 4, dim=1), softmax(LOGITS[0] / 4, dim=1), reduction="none").mean()
AT = (attention(MAPS[0]) - attention(MAPS[1])).pow(2).mean()
EXPECTED: dict[Method, Tensor] = {
    "no_teacher": LABEL,
    "kd": 0.1 * LABEL + 28.8 * KD,
    "at": LABEL + 1000 * AT,
    "kd_at": 0.1 * LABEL + 28.8 * KD + 1000 * AT,
}


@pytest.mark.parametrize("method", EXPECTED)
def test_the_loss_is_that_of_the_released_code(method: Method) -> None:
    objective = Distillation(
        label_weight=OBJECTIVES[method].label_weight,
        divergence_weight=OBJECTIVES[method].divergence_weight,
        divide_by_classes=OBJECTIVES[method].divide_by_classes,
        temperature=OBJECTIVES[method].temperature,
        attention_weight=OBJECTIVES[method].attention_weight,
        taps=(TapPair(teacher="a", student="b"),),
    )
    terms = objective(TEACHER, STUDENT, LABELS)
    total = torch.stack([term.mean() for term in terms.values()]).sum()
    torch.testing.assert_close(total, EXPECTED[method])


def test_an_objective_without_weights_is_refused() -> None:
    with pytest.raises(SettingsError, match="nothing to learn"):
        Distillation(label_weight=0.0).check()
