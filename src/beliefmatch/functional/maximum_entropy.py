"""Weights of examples under which given moments are 0, and which are otherwise as even as can be.

The principle of maximum entropy (Jaynes 1957), as in entropy balancing (Hainmueller 2012) and in generalised iterative
scaling; the penalty that allows for moments that cannot be met is that of Dudik, Phillips & Schapire 2007.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from beliefmatch.functional.upcast import upcast

FAR = 10.0
"""Size of a moment, in its own units, beyond which it grows as its logarithm."""
LEAST_PENALTY, LARGEST_PENALTY = 1e-5, 1e9
"""Where the search for a penalty ends."""
STRIDE, PRECISION = 4.0, 1.05
"""Factors between the penalties that are tried: at first, and at last."""
STEPS, HISTORY = 200, 20
"""Of L-BFGS for each penalty: at most so many steps, from so many gradients."""


@dataclass(frozen=True)
class MaximumEntropyWeights:
    """Weights and what they reach."""

    weights: Tensor
    """(n,), above or equal to 0, sum 1, in the type of the moments."""
    multipliers: Tensor
    """(d,): weights are proportional to base * exp(light_tails(moments) @ multipliers), of other examples too."""
    effective_sample_size: float
    """Of the weights, 1 to n."""
    penalty: float
    """Factor on half the squared norm of the multipliers of the tamed moments; infinite for even weights."""
    gap_before: float
    """Root mean square over moments of their means under the base, in their own units."""
    gap_after: float
    """The same of their weighted means."""


def effective_sample_size(weights: Tensor) -> Tensor:
    """Compute the number of even weights with the same variance of a mean, (), 1 to n (Kish 1965): (sum w)^2 / sum w^2.

    Args:
        weights: (n,), at least 0, of any sum above 0.
    """
    scaled = upcast(weights) / weights.max()
    return scaled.sum().square() / scaled.square().sum()


def maximum_entropy_weights(moments: Tensor, min_effective: float, base: Tensor | None = None) -> MaximumEntropyWeights:
    """Compute the weights nearest to those of a base under which the weighted mean of each moment is near 0.

    They are proportional to base * exp(moments @ multipliers), where the multipliers minimise the convex function
    log sum base exp(moments @ multipliers) + penalty / 2 |multipliers|^2. As the penalty falls, means come nearer to 0
    and weights become less even; the smallest penalty that leaves enough effective examples is searched for by
    bisection.

    A moment may have a heavy tail. So it is divided by its root mean square where that is above 1, after its values
    beyond `FAR` were replaced by values that grow with their logarithm; weights are of these. Where moments cannot all
    be 0, such as one that is positive for every example, they come as near as the floor allows.

    Args:
        moments: (n, d), finite; in units in which a moment of one example is of order 1 for the wanted distribution.
        min_effective: floor of the effective sample size; where the base has no more, weights are the base.
        base: (n,), above 0, of any sum. None: even.

    Returns:
        weights of each example, their effective sample size, and the gaps without and with them.
    """
    moments = upcast(moments)
    even = torch.ones_like(moments[:, 0]) if base is None else base.to(moments)
    even = even / even.sum()
    light = light_tails(moments)
    scale = light.square().mean(dim=0).sqrt().clamp_min(1)
    dual, floor = _Dual(light / scale, even.log()), max(1.0, min_effective)
    penalty, multipliers = math.inf, torch.zeros_like(moments[0])
    if floor < float(effective_sample_size(even)):
        penalty, multipliers = _search(dual, floor)
    weights = dual.weights(multipliers)
    return MaximumEntropyWeights(
        weights,
        multipliers / scale,
        float(effective_sample_size(weights)),
        penalty,
        gap_before=float((even @ moments).square().mean().sqrt()),
        gap_after=float((weights @ moments).square().mean().sqrt()),
    )


def light_tails(moments: Tensor) -> Tensor:
    """Return moments (n, d) of which size `FAR` and above grows as a logarithm. Signs, zeros and order stay."""
    size = moments.abs()
    return torch.where(size > FAR, moments.sign() * FAR * (1 + (size.clamp_min(FAR) / FAR).log()), moments)


class _Dual:
    """The dual of the problem: a convex function of one multiplier for each moment."""

    def __init__(self, moments: Tensor, log_base: Tensor) -> None:
        self.moments = moments
        self.log_base = log_base

    def weights(self, multipliers: Tensor) -> Tensor:
        """Compute the weights (n,) that multipliers (d,) give."""
        return torch.softmax(self.log_base + self.moments @ multipliers, dim=0)

    def effective(self, multipliers: Tensor) -> float:
        """Compute the effective sample size of these weights."""
        return float(effective_sample_size(self.weights(multipliers)))

    def first_penalty(self, floor: float) -> float:
        """Compute the penalty that would leave so many effective examples, if moments were normal and it were large."""
        # Multipliers are then -mean / penalty, and log(n / effective) is the variance of what they are multiplied with.
        mean = self.log_base.exp() @ self.moments
        deviation = float((self.moments @ mean).std(correction=0))
        guess = deviation / math.sqrt(math.log(len(self.moments) / floor))
        return min(max(guess, LEAST_PENALTY), LARGEST_PENALTY)

    def minimise(self, penalty: float, start: Tensor) -> Tensor:
        """Compute the best multipliers (d,) by L-BFGS from a start."""
        multipliers = start.clone().requires_grad_()
        tolerance = 1e-9 if multipliers.dtype == torch.float64 else 1e-5
        optimiser = torch.optim.LBFGS(
            [multipliers], max_iter=STEPS, history_size=HISTORY, line_search_fn="strong_wolfe",
            tolerance_grad=tolerance, tolerance_change=0.01 * tolerance,
        )  # fmt: skip

        def closure() -> float:
            at = multipliers.detach()
            logits = self.log_base + self.moments @ at
            multipliers.grad = torch.softmax(logits, dim=0) @ self.moments + penalty * at
            return float(logits.double().logsumexp(dim=0) + 0.5 * penalty * at.double().square().sum())

        optimiser.step(closure)  # pyright: ignore[reportArgumentType]
        return multipliers.detach()


def _search(dual: _Dual, floor: float) -> tuple[float, Tensor]:
    """Search the smallest penalty with so many effective examples; return it and its multipliers."""
    low, high, multipliers = 0.0, math.inf, torch.zeros_like(dual.moments[0])
    penalty = dual.first_penalty(floor)
    # The effective sample size grows with the penalty. While one bound is missing, steps are long.
    while LEAST_PENALTY <= penalty <= LARGEST_PENALTY and high > PRECISION * low:
        found = dual.minimise(penalty, multipliers)
        if dual.effective(found) >= floor:
            high, multipliers = penalty, found
        else:
            low = penalty
        penalty = high / STRIDE if low == 0 else low * STRIDE if math.isinf(high) else math.sqrt(low * high)
    return high, multipliers
