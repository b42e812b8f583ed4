"""A student whose architecture is named."""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from beliefmatch.networks.loading.network import asks_for_weights, is_own_code, locate, make_network
from beliefmatch.networks.loading.python_file import make_own
from beliefmatch.networks.loading.unsaved_state import check_nothing_unsaved, make_again
from beliefmatch.networks.teacher import Teacher
from beliefmatch.paths import make_absolute
from beliefmatch.students.base import AbstractStudent, Start, start_student


@dataclass(frozen=True, kw_only=True)
class NamedStudent(AbstractStudent):
    """A network made by name, with fresh weights or with given ones to start from."""

    architecture: str
    """Built-in name such as wide_resnet_16_1; timm:NAME, torchvision:NAME, hf:FOLDER, file.py:function for your own;
    thin:0.5 or shallow:0.7 for the teacher with fewer channels or blocks; quantized:w4a8 for it in few bits."""
    weights: Path | None = None
    """Safetensors file or state dict to start from. None: fresh weights, or those that the name asks for."""
    start: Start | None = None
    """teacher: what layers of the same name have in the teacher, their first channels where the student is narrower;
    a student of another family starts from fresh weights, of which the run warns. fresh: random weights. None: the
    weights that are given, or else what the recipe finds right, which mostly is fresh."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "architecture", locate(self.architecture))
        make_absolute(self, "weights")

    @property
    def has_weights(self) -> bool:
        """Whether weights to start from are given, by a file or by the name."""
        return self.weights is not None or asks_for_weights(self.architecture)

    def build(self, teacher: Teacher) -> nn.Module:
        """Build the network with as many channels and outputs as the teacher has, where its name leaves them open.

        Raises:
            NetworkError: it cannot be made, or is another in every call of its code.
            ExtraError: the package that it comes from is missing.
            BeliefMatchError: see `start_student`.
        """
        student = make_network(
            self.architecture,
            in_channels=teacher.spec.shape[0],
            num_classes=teacher.inspection.num_outputs,
            pretrained=self.weights is None,
        )
        if is_own_code(self.architecture):
            again = make_again(lambda: make_own(self.architecture))
            check_nothing_unsaved(student, again, teacher.spec, name=self.architecture, role="student")
        return start_student(student, self, teacher)
