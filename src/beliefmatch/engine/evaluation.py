"""Measuring a finished run on images that it never saw."""

from dataclasses import replace

from lightning_fabric import Fabric
from torch import Tensor, nn

from beliefmatch.engine.record import RunFolder, fingerprint, load_student
from beliefmatch.errors import FolderError
from beliefmatch.metrics.measurement import Measurement, check_fit, measure_pair
from beliefmatch.models.teacher import Teacher


def load_pair(folder: RunFolder) -> tuple[Teacher, nn.Module]:
    """Load teacher and student of a finished run.

    Raises:
        FolderError: there is no finished run, or the teacher's weights are no longer those the run used.
        BeliefMatchError: either network cannot be loaded.
    """
    student = load_student(folder.path)
    settings = folder.read()["settings"]
    transfer = folder.read_transfer()
    teacher = Teacher(transfer.teacher.load(transfer.inputs), transfer.inputs)
    if fingerprint(teacher.module) != settings["teacher_sha256"]:
        raise FolderError(f"the teacher's weights have changed since the run in {folder.path} used them")
    return teacher, student


def measure_run(
    folder: RunFolder,
    images: Tensor,
    labels: Tensor,
    *,
    batch_size: int = 500,
    resize: bool = False,
    accelerator: str = "auto",
) -> Measurement:
    """Measure teacher and student of a finished run and enter the numbers into its result.json.

    Args:
        folder: of the run.
        images: (n, height, width, channels), uint8.
        labels: (n,), integers below the number of classes.
        batch_size: images at a time.
        resize: whether images of another size than the networks take are resized; otherwise they are refused.
        accelerator: kind of device to measure on; "auto" takes the fastest there is.

    Raises:
        FolderError: see `load_pair`.
        ImagesError: images or labels do not fit the networks.
    """
    teacher, student = load_pair(folder)
    check_fit(images, labels, teacher.spec, teacher.num_classes, resize=resize)
    device = Fabric(accelerator=accelerator, devices=1).device
    teacher.module.to(device)
    student.to(device)
    measurement = measure_pair(teacher.module, student, teacher.spec, images, labels, batch_size=batch_size)
    folder.write_result(
        replace(
            folder.read_result(),
            student_accuracy=measurement.student_accuracy,
            teacher_accuracy=measurement.teacher_accuracy,
            agreement=measurement.agreement,
        )
    )
    return measurement
