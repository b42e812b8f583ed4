"""A student that the caller gives in Python."""

from dataclasses import dataclass, field

from torch import nn

from beliefmatch.networks.loading.given import GivenModule, make_given, name_of
from beliefmatch.networks.loading.unsaved_state import check_nothing_unsaved, make_again
from beliefmatch.networks.teacher import Teacher
from beliefmatch.runs.reading import IN_MEMORY
from beliefmatch.students.base import AbstractStudent, Start, start_student


@dataclass(frozen=True, kw_only=True)
class GivenStudent(AbstractStudent):
    """A module, or what a function without arguments makes. The module itself does not change: runs take copies."""

    given: GivenModule | None = field(default=None, compare=False, repr=False, metadata=IN_MEMORY)
    """The network. None: the settings were read from a run folder."""

    @classmethod
    def of(cls, given: GivenModule, *, start: Start | None = None, output: str | None = None) -> "GivenStudent":
        """Hold a module, which begins with the weights it has, or a function, which is called when the run begins.

        Args:
            given: the network.
            start: see `AbstractStudent.start`; fresh are the weights that the network has when it is given or made.
            output: see `AbstractStudent.output`; such as "0" for the first of two that a network with an auxiliary
                head returns in train mode.
        """
        return cls(architecture=name_of(given), start=start, output=output, given=given)

    @property
    def has_weights(self) -> bool:
        """Whether a file of weights to start from is named; the network's own may be fresh ones."""
        return self.weights is not None

    def build(self, teacher: Teacher) -> nn.Module:
        """Copy the module, or call the function.

        Raises:
            NetworkError: it cannot be made, or is another in every call of the function.
            BeliefMatchError: see `start_student`.
        """
        student = make_given(self.given, self.architecture)
        if not isinstance(self.given, nn.Module):
            again = make_again(lambda: make_given(self.given, self.architecture))
            check_nothing_unsaved(student, again, teacher.spec, name=self.architecture, role="student")
        return start_student(student, self, teacher)
