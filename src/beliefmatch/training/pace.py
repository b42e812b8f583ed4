"""Whether a run that was given minutes will take longer than these, on a machine that turned slower."""

import logging
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

LEAST_FRACTION, LEAST_SECONDS = 0.1, 10.0
"""Part of the rounds, and seconds, after which their pace tells how long all of them take."""
TOLERANCE = 1.2
"""How many times its minutes a run may take before that is said."""


class Pace:
    """Says once, while a run is under way, that its rounds will take longer than its minutes.

    Nothing else follows: schedules are over all rounds, so their number stays what it was before the first.
    """

    def __init__(self, minutes: float, num_rounds: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds, self.num_rounds, self.clock = 60 * minutes, num_rounds, clock
        self.first: tuple[int, float] | None = None
        """Rounds completed when the pace was first seen, and when that was."""
        self.was_said = False

    def __call__(self, completed: int, _row: object) -> None:
        """Note that a round is completed."""
        if self.first is None or completed <= self.first[0]:
            self.first = completed, self.clock()
            return
        done, spent = completed - self.first[0], self.clock() - self.first[1]
        if self.was_said or done < LEAST_FRACTION * self.num_rounds or spent < LEAST_SECONDS:
            return
        whole = spent / done * self.num_rounds
        if whole > TOLERANCE * self.seconds:
            self.was_said = True
            logger.warning(
                "rounds are slower than those that were timed: all %s will take about %.3g minutes instead of %.3g. "
                "Their number stays, since schedules are over all of them; the run can be ended and continued.",
                f"{self.num_rounds:,}",
                whole / 60,
                self.seconds / 60,
            )
