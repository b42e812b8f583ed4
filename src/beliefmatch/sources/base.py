"""The interface of every source."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Self, TypeVar

from lightning_fabric import Fabric
from torch import Tensor, nn

from beliefmatch.errors import SettingsError
from beliefmatch.functional.augmentation import Shard
from beliefmatch.networks.teacher import Teacher
from beliefmatch.setting_names import Setting

State = TypeVar("State")

FIXED = {"moves": False}
"""Metadata of a field of a state that `start` makes alike every time, such as images: no checkpoint needs it."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a source needs to know about the run it serves."""

    num_rounds: int
    batch_size: int
    """Examples a batch, over all processes together."""
    seed: int
    micro_batch: int | None = None
    """Most examples that pass teacher and student at once; None for the whole batch."""

    def local_batch_size(self, fabric: Fabric) -> int:
        """Return the examples a batch in this process.

        Raises:
            SettingsError: the batch cannot be shared out evenly.
        """
        if self.batch_size % fabric.world_size:
            raise SettingsError(
                f"a batch of {self.batch_size} cannot be shared evenly by {fabric.world_size} processes; "
                f"try {Setting('batch_size', -(-self.batch_size // fabric.world_size) * fabric.world_size)}"
            )
        return self.batch_size // fabric.world_size


def local_shard(local_batch_size: int, fabric: Fabric) -> Shard:
    """Return where this process's shard of a batch stands in the whole."""
    return Shard(first=fabric.global_rank * local_batch_size, total=fabric.world_size * local_batch_size)


def take_local_shard(whole: Tensor, local_batch_size: int, fabric: Fabric) -> Tensor:
    """Return a view of this process's shard of what all processes drew alike, (processes x local batch size, ...)."""
    return whole.narrow(0, local_shard(local_batch_size, fabric).first, local_batch_size)


def gather_shards(shard: Tensor, fabric: Fabric) -> Tensor:
    """Gather the shards of all processes, in order: (local, ...) becomes (processes x local, ...)."""
    gathered = fabric.all_gather(shard) if fabric.world_size > 1 else shard
    assert isinstance(gathered, Tensor)
    return gathered.reshape(-1, *shard.shape[1:])


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """What one student step sees. A source that means the same batch again yields the same object again."""

    inputs: Tensor
    """(batch, *shape), network inputs, detached."""
    labels: Tensor | None = None
    """(batch,), where the source knows them."""
    teacher_logits: Tensor | None = None
    """(batch, classes), the teacher's logits for these very inputs, where the source has kept them."""
    diversity: Tensor | None = None
    """(), of the inputs before they were augmented: crops of one image differ. None: they are as they were made."""


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a source needs of the two networks, so that it is prepared, and checked to be there."""

    batch_norms: bool = False
    """The inputs of the teacher's batch-norm layers."""
    features: bool = False
    """The teacher's features, the input of its last layer."""
    teacher_gradient: bool = False
    """The gradient of the teacher's outputs to its inputs."""
    student_gradient: bool = False
    """The gradient of the student's outputs to its inputs."""
    classes: bool = False
    """A teacher of whose classes one is right, since inputs are asked for a class, or chosen by theirs."""


@dataclass(frozen=True, kw_only=True)
class AbstractSource(ABC, Generic[State]):
    """A way to come by inputs. Its fields are settings that never change; all that moves is in its state.

    A method is abstract or final: what a source fills in, nothing derived from it fills in again.
    """

    why_eager: ClassVar[str] = ""
    """Why `improve` and `batches` decide something on the host, so that a round of them cannot be captured once and
    replayed; empty where all they do is work for the device."""

    reads_data: ClassVar[bool] = False
    """Whether its inputs are real examples that somebody brought, so that a transfer from them is not data-free."""

    @property
    @abstractmethod
    def needs(self) -> Needs:
        """What `improve` needs of the two networks."""

    @abstractmethod
    def check(self) -> None:
        """Check that every setting is in its range; a transfer calls this when it is made.

        Raises:
            SettingsError: one is not.
        """

    @abstractmethod
    def resolve(self, teacher: Teacher) -> Self:
        """Return the same settings with what they leave to the teacher decided, ready to start."""

    @abstractmethod
    def for_preflight(self) -> Self:
        """Return the same settings with as few steps as show that a round works; see `training.preflight`."""

    @abstractmethod
    def start(self, teacher: Teacher, student: nn.Module, plan: Plan, fabric: Fabric) -> State:
        """Build the state: a dataclass of modules, optimisers, random generators, tensors and numbers."""

    @abstractmethod
    def improve(self, state: State, teacher: Teacher, student: nn.Module, fabric: Fabric) -> dict[str, Tensor]:
        """Improve the inputs of this round.

        Neither network's parameters nor their gradients change. Buffers of the student may, where the docstring of the
        source names them.

        Returns:
            Losses and gradient norms to record, on the device, (steps,).
        """

    @abstractmethod
    def batches(self, state: State, fabric: Fabric) -> Iterator[Batch]:
        """Yield the batch of each student step of this round."""

    @abstractmethod
    def end_round(self, state: State) -> None:
        """End a round on the host, such as by moving a learning rate along its schedule."""

    @abstractmethod
    def metadata(self, state: State) -> dict[str, Any]:
        """Return what `start` found and a reader of the run should know, as JSON values for source.json."""

    @abstractmethod
    def samples(self, state: State, fabric: Fabric) -> Tensor:
        """Return what the inputs look like now, (batch, *shape), moving nothing."""
