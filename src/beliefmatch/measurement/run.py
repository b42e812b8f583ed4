"""Measuring a finished run on examples that it never saw."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from lightning_fabric import Fabric
from torch import Tensor, nn

from beliefmatch.log_once import each_message_once
from beliefmatch.measurement.agreement import Measurement, measure_logits
from beliefmatch.measurement.class_names import choose_class_names
from beliefmatch.measurement.predictions import BATCH_SIZE
from beliefmatch.measurement.repeatability import warn_unless_repeatable
from beliefmatch.measurement.stored_run import StoredRun
from beliefmatch.measurement.transition import TransitionCurves, TransitionPlan
from beliefmatch.networks.examples import AbstractExamples, examples_of
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.inspection import check_same_classes, count_classes
from beliefmatch.networks.loading.given import GivenNetworks
from beliefmatch.networks.placement import choose_format
from beliefmatch.networks.scale import warn_of_scale
from beliefmatch.runs.folder import RunFolder
from beliefmatch.runs.schema.measurement import Estimate, MeasurementRecord, Transition
from beliefmatch.runs.schema.task import TaskName
from beliefmatch.training.trusted_code import TrustedCode

logger = logging.getLogger(__name__)

Accelerator = Literal["auto", "cpu", "cuda", "mps"]


@each_message_once()
def measure_run(
    folder: RunFolder | Path | str,
    examples: AbstractExamples | Tensor,
    labels: Tensor | None = None,
    *,
    name: str = "",
    batch_size: int = BATCH_SIZE,
    resize: bool = False,
    transition: TransitionPlan | None = None,
    accelerator: Accelerator = "auto",
    class_names: Sequence[str] | None = None,
    trust_code: TrustedCode = False,
    given: GivenNetworks = GivenNetworks(),
) -> Measurement:
    """Measure teacher and student of a finished run, write measurement.json and enter the sums into result.json.

    Args:
        folder: of the run.
        examples: to measure on, as `read_examples` reads them; or a tensor: (n, height, width, channels) uint8 images,
            or (n, *shape) network inputs of another type.
        labels: of a tensor: (n,) integers below the number of classes; for multi-label networks (n, labels) of 0 and 1;
            for regressions (n,) or (n, outputs) numbers. Without labels accuracy is not measured.
        name: what to call the examples in measurement.json. Default: their own name.
        batch_size: examples at a time.
        resize: whether images of another size than the networks take are resized; otherwise they are refused.
        transition: how to walk for the mean transition error; None: leave what an earlier call found on these
            examples.
        accelerator: kind of device to measure on; "auto" takes the fastest there is.
        class_names: one for each class, for the report. Default: those in the teacher's own configuration, or those
            that an earlier call was given.
        trust_code: whether to import Python files that the folder names as its networks, or names of those that may be
            imported.
        given: networks that the run was given in Python.

    Raises:
        FolderError: see `StoredRun.load_pair`.
        ExamplesError: examples or labels do not fit the networks.
        SettingsError: there is another number of class names than of classes.
    """
    folder = RunFolder.at(folder)
    data = examples_of(examples, labels, name=name)
    teacher, student = StoredRun(folder=folder, trust_code=trust_code, given=given).load_pair()
    measurement = measure_networks(
        teacher.module,
        student,
        teacher.spec,
        data,
        batch_size=batch_size,
        resize=resize,
        transition=transition,
        accelerator=accelerator,
        class_names=class_names,
        task=teacher.task.name,
    )
    record = describe(measurement, data, transition=transition)
    earlier = folder.read_measurement()
    if record.class_names is None and earlier is not None and len(earlier.classes) == len(record.classes):
        record = replace(record, class_names=earlier.class_names)
    if transition is None and earlier is not None and earlier.fingerprint == data.fingerprint:
        record = replace(record, transition=earlier.transition)
    if earlier is not None:
        are_others = earlier.fingerprint != data.fingerprint
        logger.log(
            logging.WARNING if are_others else logging.INFO,
            "this measurement replaces the earlier one in %s, which was on %s%s%s",
            folder.measurement,
            f"{earlier.num_images:,} other examples" if are_others else f"the same {earlier.num_images:,} examples",
            f" of {earlier.images}" if earlier.images else "",
            # Such as those of a loader that shuffles.
            ", or on these in another order" if are_others and earlier.num_images == len(data) else "",
        )
    folder.write_measurement(record)
    folder.change_result(
        lambda result: replace(
            result,
            student_accuracy=measurement.student_accuracy,
            teacher_accuracy=measurement.teacher_accuracy,
            agreement=None if measurement.numbers else measurement.agreement.value,
        )
    )
    return measurement


def measure_networks(
    teacher: nn.Module,
    student: nn.Module,
    spec: InputSpec,
    examples: AbstractExamples | Tensor,
    labels: Tensor | None = None,
    *,
    batch_size: int = BATCH_SIZE,
    resize: bool = False,
    transition: TransitionPlan | None = None,
    accelerator: Accelerator = "auto",
    class_names: Sequence[str] | None = None,
    task: TaskName = "single_label",
) -> Measurement:
    """Check that examples fit two networks, move both to a device and measure them there. See `measure_run`.

    Raises:
        ExamplesError: examples or labels do not fit the networks.
        NetworkError: one does not take these inputs, or the two know different numbers of classes.
        SettingsError: there is another number of class names than of classes.
    """
    num_classes = count_classes(teacher, spec, role="teacher")
    check_same_classes(num_classes, count_classes(student, spec, role="student"), task)
    names = choose_class_names(class_names, teacher, num_classes)
    data = examples_of(examples, labels)
    data.check_fit(spec, num_classes, resize=resize, task=task)
    if len(data) == 1:
        logger.warning("one example does not show how others vary: intervals of means, such as KL's, have no width")
    warn_of_scale(data, spec)
    device = Fabric(accelerator=accelerator, devices=1).device
    for role, network in (("teacher", teacher), ("student", student)):
        choose_format(network.to(device), spec, role=role)
        warn_unless_repeatable(network, spec, role=role)
    measurement = measure_logits(teacher, student, spec, data, batch_size=batch_size, transition=transition, task=task)
    return replace(measurement, class_names=names)


def describe(
    measurement: Measurement, examples: AbstractExamples, *, transition: TransitionPlan | None
) -> MeasurementRecord:
    """Return what measurement.json holds of a measurement.

    Args:
        measurement: of two networks.
        examples: that they were measured on.
        transition: plan by which its transition curves were walked.
    """
    curves = measurement.transition
    return MeasurementRecord(
        images=examples.name,
        fingerprint=examples.fingerprint,
        num_images=measurement.num_images,
        teacher=measurement.teacher,
        student=measurement.student,
        agreement=None if measurement.numbers else measurement.agreement,
        divergence=None if measurement.numbers else measurement.divergence,
        classes=measurement.classes,
        confusion=measurement.confusion,
        transition=None if curves is None or transition is None else _describe_transition(curves, transition),
        class_names=measurement.class_names,
        disagreements=measurement.disagreements,
        task=measurement.task,
        labels=measurement.labels,
        numbers=measurement.numbers,
    )


def _describe_transition(curves: TransitionCurves, plan: TransitionPlan) -> Transition:
    low, high = curves.error_interval
    guide, follower = curves.mean_curves()
    guide_margin, follower_margin = curves.two_standard_errors()
    return Transition(
        guided_by=plan.guided_by,
        num_images=len(curves.guide),
        num_steps=plan.num_steps,
        step_size=plan.step_size,
        seed=plan.seed,
        error=Estimate(value=curves.error, low=low, high=high),
        guide=tuple(guide.tolist()),
        follower=tuple(follower.tolist()),
        guide_margin=tuple(guide_margin.tolist()),
        follower_margin=tuple(follower_margin.tolist()),
    )
