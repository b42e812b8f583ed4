"""How often 95 % intervals of `measure` hold the true value: accuracies exactly, calibration errors by simulation.

    python benchmarks/interval_coverage.py [--repeats 200]

The last line is one JSON object with the least and the largest coverage of each kind.
"""

import argparse
import json
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from beliefmatch.functional.calibration_error import NUM_BINS, bin_of, debiased_calibration_error
from beliefmatch.functional.confidence_intervals import wilson_interval

SIZES = (50, 500, 5000)
RATES = (0.5, 0.9, 0.98)
SHIFTS = (0.0, 0.05, 0.15)
"""By which confidences exceed the probability of being right."""
SPREAD = 20.0
"""Of confidences around their mean: sum of both parameters of a beta distribution."""


def accuracy_coverage(num_examples: int, rate: float, near: float = 0.005) -> float:
    """Compute how often Wilson's interval holds an accuracy, exactly, mean over rates near one: it jumps with them."""
    counts = torch.arange(num_examples + 1, dtype=torch.float64)
    low, high = wilson_interval(counts / num_examples, num_examples)
    rates = torch.linspace(rate - near, min(rate + near, 0.999), 101, dtype=torch.float64)[:, None]
    chances = torch.distributions.Binomial(num_examples, rates).log_prob(counts).exp()
    return float((chances * ((low <= rates) & (rates <= high))).sum(dim=1).mean())


def calibration_coverage(num_examples: int, rate: float, shift: float, *, repeats: int = 200) -> tuple[float, float]:
    """Simulate how often the interval holds the true calibration error, and the mean of the estimate less the truth."""
    true = true_error(draw_confidences(200_000, rate, 0), shift)
    held, bias = 0, 0.0
    for seed, (confidence, correct) in enumerate(draw_networks(num_examples, rate, shift, repeats)):
        value, low, high = debiased_calibration_error(confidence, correct, num_simulations=300, seed=seed)
        held += low <= true <= high
        bias += (value - true) / repeats
    return held / repeats, bias


def draw_confidences(count: int, rate: float, seed: int) -> Tensor:
    """Draw confidences around a rate, (count,)."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        beta = torch.distributions.Beta(torch.tensor(SPREAD * rate), torch.tensor(SPREAD * (1 - rate)))
        return beta.sample((count,)).clamp(0.1, 0.999)


def draw_networks(num_examples: int, rate: float, shift: float, repeats: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Draw confidences and whether each is right, which is as likely as its confidence less the shift."""
    for seed in range(1, repeats + 1):
        confidence = draw_confidences(num_examples, rate, seed)
        random = torch.rand(num_examples, generator=torch.Generator().manual_seed(seed))
        yield confidence, random < (confidence - shift).clamp_min(0)


def true_error(confidence: Tensor, shift: float) -> float:
    """Compute the calibration error of many confidences that are too high by a shift."""
    gaps = (confidence - (confidence - shift).clamp_min(0)).double()
    return float((gaps @ one_hot(bin_of(confidence), NUM_BINS).double() / len(gaps)).abs().sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=200, help="simulations of a calibration error")
    arguments = parser.parse_args()
    found: dict[str, list[float]] = {"accuracy": [], "calibration_error": []}
    for size in SIZES:
        for rate in RATES:
            found["accuracy"].append(accuracy_coverage(size, rate))
            print(f"accuracy, {size} examples, rate {rate}: {found['accuracy'][-1]:.1%}")
            for shift in SHIFTS:
                coverage, bias = calibration_coverage(size, rate, shift, repeats=arguments.repeats)
                found["calibration_error"].append(coverage)
                print(f"calibration error {shift}, {size} examples, rate {rate}: {coverage:.1%}, bias {bias:+.3f}")
    print(json.dumps({kind: [min(values), max(values)] for kind, values in found.items()}))


if __name__ == "__main__":
    main()
