"""Fewer rounds than a paper did, for small machines."""

import math

from beliefmatch.errors import SettingsError


def scaled(usual_rounds: int, budget: float) -> int:
    """Scale the rounds that a paper prints by a budget, to at least one.

    Raises:
        SettingsError: the budget is not above 0.
    """
    if not 0 < budget < math.inf:
        raise SettingsError(
            f"budget must be above 0, such as 0.01 for a hundredth of the paper's rounds; got {budget}", "budget"
        )
    return max(1, round(budget * usual_rounds))
