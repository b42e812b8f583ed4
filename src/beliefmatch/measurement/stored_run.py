"""A finished run as it is read again: its settings and its two networks."""

from dataclasses import dataclass, field

from torch import nn

from beliefmatch.errors import BeliefMatchError, FolderError
from beliefmatch.networks.loading.given import GivenNetworks
from beliefmatch.networks.teacher import Teacher
from beliefmatch.recipes.stored import read_transfer
from beliefmatch.runs.folder import RunFolder
from beliefmatch.training.run_settings import fingerprint
from beliefmatch.training.student_files import load_student_with_logits
from beliefmatch.training.transfer import Transfer
from beliefmatch.training.trusted_code import TrustedCode


@dataclass(frozen=True, kw_only=True)
class StoredRun:
    """A folder, and what a caller brings to make the networks in it again."""

    folder: RunFolder
    trust_code: TrustedCode = False
    """Which Python code that the folder names may be imported."""
    given: GivenNetworks = field(default_factory=GivenNetworks)
    """Networks that the run was given in Python."""

    def read_transfer(self) -> Transfer:
        """Read the settings of the run.

        Raises:
            FolderError: see `recipes.stored.read_transfer`.
        """
        return read_transfer(self.folder, trust_code=self.trust_code, given=self.given)

    def load_pair(self) -> tuple[Teacher, nn.Module]:
        """Load teacher and student.

        Raises:
            FolderError: there is no finished run, the teacher's weights are no longer those the run used, or the folder
                names Python code that is not trusted.
            BeliefMatchError: either network cannot be loaded.
        """
        student = self.load_student()
        return self.load_teacher(), student

    def load_student(self) -> nn.Module:
        """Load the student, which gives logits.

        Raises:
            FolderError: see `load_pair`.
        """
        return load_student_with_logits(self.folder.path, architecture=self.given.student, trust_code=self.trust_code)

    def load_teacher(self) -> Teacher:
        """Load the teacher.

        Raises:
            FolderError: there is no run, the teacher's weights are no longer those it used, or the folder names Python
                code that is not trusted.
            BeliefMatchError: the teacher cannot be loaded.
        """
        transfer = self.read_transfer()
        teacher = Teacher.load(transfer.teacher, transfer.inputs)
        if fingerprint(teacher.module) != self.folder.read_run().settings.teacher_sha256:
            raise FolderError(f"the teacher's weights have changed since the run in {self.folder.path} used them")
        return teacher

    def find_teacher(self) -> tuple[Teacher | None, str | None]:
        """Load the teacher; where that cannot be, return why instead."""
        try:
            return self.load_teacher(), None
        except BeliefMatchError as error:
            return None, f"it cannot be loaded: {error}"
