"""The interface of every way to do rounds."""

from abc import ABC, abstractmethod

from beliefmatch.training.loop import Metrics, TransferState


class AbstractExecution(ABC):
    """A way to do the rounds of one run. All of them compute the same."""

    state: TransferState
    """Moves with each round."""

    @abstractmethod
    def next(self) -> Metrics:
        """Run one round and return its metrics, which the next round may overwrite; see `loop.run_round`."""

    @abstractmethod
    def describe(self) -> str:
        """Describe in a few words how the rounds are done."""

    def compiling_pays(self, num_rounds: int) -> bool:
        """Whether so many rounds are enough to compile both networks for; False while nothing is known of them."""
        return False

    @abstractmethod
    def close(self) -> None:
        """Restore the forward pass of both networks."""
