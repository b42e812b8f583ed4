"""Accuracies, frequencies and the calibration error against scikit-learn and SciPy."""

import pytest
import torch
from sklearn.metrics import top_k_accuracy_score

from beliefmatch.functional.calibration_error import calibration_error, calibration_error_gaps
from beliefmatch.functional.classification import agreement, class_frequencies, confidence, correct, in_top
from scipy_oracle import binned_calibration_error

RANDOM = torch.Generator().manual_seed(0)
LOGITS = 3 * torch.randn(500, 10, generator=RANDOM)
LABELS = torch.randint(10, (500,), generator=RANDOM)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_top_k_is_that_of_scikit_learn(k: int) -> None:
    expected = top_k_accuracy_score(LABELS.numpy(), LOGITS.numpy(), k=k)
    assert in_top(LOGITS, LABELS, k).float().mean().item() == pytest.approx(expected)


def test_the_first_of_one_is_the_correct_one() -> None:
    assert torch.equal(in_top(LOGITS, LABELS, 1), correct(LOGITS, LABELS))


@pytest.mark.parametrize("scale", [0.1, 1.0, 100.0])
def test_the_calibration_error_is_that_of_scipys_bins(scale: float) -> None:
    logits = scale * LOGITS
    gaps = calibration_error_gaps(confidence(logits), correct(logits, LABELS))
    expected = binned_calibration_error(logits, LABELS)
    assert calibration_error(gaps.mean(dim=0)).item() == pytest.approx(expected, abs=1e-6, rel=1e-5)


def test_certainty_falls_into_the_last_bin() -> None:
    gaps = calibration_error_gaps(torch.tensor([1.0, 0.0]), torch.tensor([False, True]))
    assert gaps[0].nonzero().item() == 14
    assert gaps[1].nonzero().item() == 0


def test_frequencies_sum_to_one() -> None:
    frequencies = class_frequencies(LOGITS)
    assert frequencies.shape == (10,)
    assert frequencies.sum().item() == pytest.approx(1)
    assert frequencies[3].item() == pytest.approx((LOGITS.argmax(dim=1) == 3).float().mean().item())


def test_of_equal_logits_the_lowest_class_counts_as_more_likely() -> None:
    dead, labels = torch.zeros(10, 10), torch.arange(10)
    assert correct(dead, labels).tolist() == in_top(dead, labels, 1).tolist() == [True] + 9 * [False]
    assert in_top(dead, labels, 5).tolist() == 5 * [True] + 5 * [False]
    assert agreement(dead, torch.eye(10)).sum() == 1


@pytest.mark.parametrize("k", [1, 2, 5])
def test_rounded_logits_have_the_order_of_a_stable_sort(k: int) -> None:
    random = torch.Generator().manual_seed(0)
    logits = torch.randint(4, (500, 10), generator=random).float()
    labels = torch.randint(10, (500,), generator=random)
    first = logits.sort(dim=1, descending=True, stable=True).indices[:, :k]
    expected = (first == labels[:, None]).any(dim=1)
    assert torch.equal(in_top(logits, labels, k), expected)
    if k == 1:
        assert torch.equal(correct(logits, labels), expected)
