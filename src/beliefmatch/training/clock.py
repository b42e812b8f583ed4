"""Training time."""

import time


class Clock:
    """Counts training time over all resumptions and attempts."""

    def __init__(self, seconds_before: float) -> None:
        self.seconds_before = seconds_before
        self.began = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds so far."""
        return self.seconds_before + time.perf_counter() - self.began
