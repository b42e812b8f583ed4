"""Writing what a run leaves while it goes on: rows, pictures and checkpoints."""

from dataclasses import dataclass

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from beliefmatch.runs.folder import RunFolder
from beliefmatch.runs.schema.row import Row
from beliefmatch.runs.schema.run import SourceMetadata
from beliefmatch.training.checkpoint import save_checkpoint
from beliefmatch.training.clock import Clock
from beliefmatch.training.loop import Metrics, TransferState
from beliefmatch.training.options import RunOptions
from beliefmatch.training.pictures import write_grid, write_plane
from beliefmatch.training.prepare import Prepared
from beliefmatch.training.tensorboard import TensorBoardLog


@dataclass(frozen=True, kw_only=True)
class Recorder:
    """Writes rows, pictures and checkpoints of one attempt, each when it is due. All processes must call alike."""

    prepared: Prepared
    """Settings and teacher of the attempt, and the processes."""
    options: RunOptions
    """With all intervals resolved."""
    state: TransferState
    """Of the attempt."""
    folder: RunFolder
    """Of the run."""
    clock: Clock
    """Training time."""
    tensorboard: TensorBoardLog | None
    """Gets the rows too, where the user wants it."""

    @property
    def picture_is_due(self) -> bool:
        """Whether pictures of inputs are to be written after this round."""
        return self._is_due(self.options.picture_every)

    @property
    def row_is_due(self) -> bool:
        """Whether metrics are to be logged after this round."""
        return self.picture_is_due or self._is_due(self.options.log_every)

    @property
    def checkpoint_is_due(self) -> bool:
        """Whether all that moves is to be saved after this round."""
        return self._is_due(self.options.checkpoint_every)

    def write_row(self, metrics: Metrics) -> Row:
        """Write the means of a round's metrics over its steps and all processes, and return them."""
        metrics = metrics | {"student_norm": norm_of(self.state.student)}
        row = make_row(metrics, self.state.round, self.clock.seconds, self.prepared.fabric)
        if self.prepared.fabric.is_global_zero:
            self.folder.append_metrics(row)
        if self.tensorboard:
            self.tensorboard.write(row)
        return row

    def write_picture(self) -> None:
        """Write what the inputs look like now: a grid of images, or points in the plane."""
        if self.prepared.fabric.is_global_zero:
            teacher = self.prepared.teacher
            inputs = self.prepared.transfer.source.samples(self.state.source, self.prepared.fabric)
            path = self.folder.pseudo / f"round_{self.state.round:06d}"
            if teacher.spec.is_image:
                write_grid(path.with_suffix(".png"), inputs, teacher.spec)
            elif teacher.spec.shape == (2,) and teacher.task.knows_classes:
                write_plane(path.with_suffix(".npz"), inputs, teacher.module, self.state.student)

    def write_checkpoint(self) -> None:
        """Write all that moves."""
        seconds = self.clock.seconds
        save_checkpoint(self.folder, self.state, seconds=seconds, fabric=self.prepared.fabric)

    def write_source_metadata(self) -> None:
        """Write what the source found when it was started, where a reader of the run should know it."""
        if self.prepared.fabric.is_global_zero and (
            metadata := self.prepared.transfer.source.metadata(self.state.source)
        ):
            self.folder.write_source(SourceMetadata(**metadata))

    def close(self) -> None:
        """Write what is left to write."""
        if self.tensorboard:
            self.tensorboard.close()

    def _is_due(self, every: int | None) -> bool:
        assert every is not None, "options.with_intervals resolves it"
        return self.state.round == self.prepared.transfer.rounds or self.state.round % every == 0


def norm_of(network: nn.Module) -> Tensor:
    """Compute the L2 norm of all parameters of a network together, (); what 32 bits cannot hold is their largest."""
    parameters = [parameter.detach() for parameter in network.parameters()]
    return get_total_norm(parameters).float().nan_to_num()


def make_row(metrics: Metrics, completed: int, seconds: float, fabric: Fabric) -> Row:
    """Average the metrics of a round over its steps and all processes. This fetches them from the device.

    Args:
        metrics: of a round, () or (steps, ...) each.
        completed: rounds completed.
        seconds: of training so far.
        fabric: the processes.
    """
    means = {name: value.mean(dim=0) if value.dim() else value for name, value in metrics.items()}
    joined = fabric.all_reduce(torch.cat([mean.flatten() for mean in means.values()]), reduce_op="mean")
    assert isinstance(joined, Tensor)
    row: Row = {"round": completed, "seconds": round(seconds, 3), "student_steps": len(metrics["student_loss"])}
    for name, value in zip(means, joined.cpu().split([mean.numel() for mean in means.values()]), strict=True):
        row[name] = value.item() if means[name].dim() == 0 else [round(part, 4) for part in value.tolist()]
    if "teacher_confidence" in row:
        row["confidence_gap"] = row["teacher_confidence"] - row["student_confidence"]
    return row
