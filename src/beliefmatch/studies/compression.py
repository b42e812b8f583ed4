"""What a compression gives: the student, and what can be done with it next."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

from torch import nn

from beliefmatch.data.gather import gather_examples
from beliefmatch.errors import SettingsError
from beliefmatch.export.export import Exported, export_student
from beliefmatch.export.formats import check_format
from beliefmatch.export.graph import Pixels
from beliefmatch.log_once import each_message_once
from beliefmatch.measurement.agreement import Measurement
from beliefmatch.measurement.run import measure_run
from beliefmatch.measurement.stored_run import StoredRun
from beliefmatch.measurement.transition import TransitionPlan
from beliefmatch.networks.loading.given import GivenNetworks
from beliefmatch.quantization.export import export_in_8_bits
from beliefmatch.report.page import write_report
from beliefmatch.runs.folder import RunFolder
from beliefmatch.runs.schema.candidates import Candidates
from beliefmatch.runs.schema.result import Result
from beliefmatch.runs.schema.task import TaskName
from beliefmatch.training.student_files import load_student
from beliefmatch.training.transfer import Transfer
from beliefmatch.training.trusted_code import code_named_in

QUALITIES: dict[TaskName, tuple[str, str]] = {
    "single_label": ("accuracy, %", "agreement, %"),
    "multi_label": ("accuracy of labels, %", "labels alike, %"),
}
"""Fractions in the table for a notebook. How far numbers are off is none; a printed measurement shows it."""


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Compression:
    """A finished compression. All of it lies in its run folder; nothing here holds more than paths and networks."""

    folder: Path
    """Run folder."""
    transfer: Transfer
    """What was computed."""
    given: GivenNetworks
    """Networks that were given in Python, which the folder cannot make again."""
    int8: Path | None = None
    """File in 8 bits that meets the target which the student was chosen for. None: it needs none."""
    found: Candidates | None = None
    """All students that were measured for a target. None: the student was named."""

    @property
    def is_trained(self) -> bool:
        """Whether there is a student that was trained; otherwise the file in 8 bits of the network itself is all."""
        return RunFolder(self.folder).holds_run

    @cached_property
    def student(self) -> nn.Module:
        """The student: a module of its own architecture in eval mode on the CPU, without hooks.

        Where its architecture returns something else than logits, such as probabilities, so does it. It needs whatever
        package its class comes from, and for a class of yours nothing of beliefmatch.
        """
        self._check_trained()
        return load_student(self.folder, architecture=self.given.student, trust_code=self._trusted)

    @property
    def result(self) -> Result:
        """Read what came out of the run: parameters, MACs, latency, seconds, and what was measured so far."""
        self._check_trained()
        return RunFolder(self.folder).read_result()

    @each_message_once()
    def measure(
        self,
        examples: Any,
        labels: Any = None,
        *,
        name: str = "",
        batch_size: int = 100,
        resize: bool = False,
        class_names: Sequence[str] | None = None,
        transition: TransitionPlan | None = None,
    ) -> Measurement:
        """Measure teacher and student on examples that training never saw, and write it into the run folder.

        Args:
            examples: a DataLoader, a Dataset, tensors or arrays, a folder of images, or an .npz file: see
                `data.gather.gather_examples`. uint8 numbers are pixels; others are network inputs, already normalised.
            labels: (n,) integers from 0, where examples are one tensor or array. Without labels there is no accuracy.
            name: what to call the examples in the report.
            batch_size: examples at a time.
            resize: whether images of another size than the networks take are resized; otherwise they are refused.
            class_names: one for each class, for the report. Default: those in the teacher's own configuration.
            transition: how to walk for the mean transition error, which takes far longer than all else. Default: not
                at all.

        Raises:
            BeliefMatchError: the examples cannot be read, or do not fit the networks.
        """
        self._check_trained()
        data = gather_examples(examples, labels, spec=self.transfer.inputs)
        return measure_run(
            RunFolder(self.folder),
            data,
            name=name,
            batch_size=batch_size,
            resize=resize,
            class_names=class_names,
            transition=transition,
            trust_code=self._trusted,
            given=self.given,
        )

    def report(self, out: Path | str | None = None) -> Path:
        """Write one HTML page about the run, report.html in its folder or another file, and return its path.

        Raises:
            FolderError: it cannot be written.
        """
        self._check_trained()
        return write_report([self.folder], out=None if out is None else Path(out))

    @each_message_once()
    def export(
        self, file: Path | str, *, int8: bool = False, pixels: Pixels | None = None, overwrite: bool = False
    ) -> Exported:
        """Export the student as a file to deploy, checked in a fresh process, with a model card beside it.

        Args:
            file: to write; its ending is the format: .onnx, .pt2 or .safetensors (for a student that has a name).
            int8: whether the file is quantised to 8 bits, calibrated without data; .onnx alone.
            pixels: whether the file takes pixels, uint8 or float32 in [0, 1] ("unit"), and normalises them itself;
                None: it takes network inputs.
            overwrite: whether a file and a card that are there may be replaced.

        Raises:
            BeliefMatchError: see `export_student`.
        """
        self._check_trained()
        path = Path(file)
        if not path.suffix:
            raise SettingsError(f"file has no ending: name the format, such as {path}.onnx; got {path}")
        name = check_format(path.suffix.removeprefix("."))
        if int8:
            if name != "onnx":
                raise SettingsError(f"int8 is for .onnx files; got {path}")
            return export_in_8_bits(self.stored, out=path, pixels=pixels, overwrite=overwrite)
        return export_student(
            RunFolder(self.folder),
            name,
            out=path,
            pixels=pixels,
            overwrite=overwrite,
            trust_code=self._trusted,
            given=self.given,
        )

    def _check_trained(self) -> None:
        if not self.is_trained:
            raise SettingsError(
                f"nothing was trained: the network itself in 8 bits meets the target, and {self.int8} is all of it"
            )

    def __repr__(self) -> str:
        if not self.is_trained:
            return f"Compression('the network itself in 8 bits', file={str(self.int8)!r})"
        result = self.result
        sizes = f"{result.student_parameters:,} of {result.teacher_parameters:,} parameters"
        return f"Compression({self.transfer.student.architecture!r}, {sizes}, folder={str(self.folder)!r})"

    def _repr_html_(self) -> str:
        """Return teacher and student side by side, for a notebook; a dash stands for what was not measured."""
        if not self.is_trained:
            return f"<p>{escape(repr(self))}</p>"
        result = self.result
        headings = ("", "parameters", "MACs", "latency, ms")
        task = RunFolder(self.folder).read_student().task
        qualities = QUALITIES.get(task, ())
        rows = [
            (
                *(f"teacher: {self.transfer.teacher.architecture}", result.teacher_parameters, result.teacher_macs),
                *(result.teacher_latency, result.teacher_accuracy, None),
            ),
            (
                *(f"student: {self.transfer.student.architecture}", result.student_parameters, result.student_macs),
                *(result.student_latency, result.student_accuracy, result.agreement),
            ),
        ]
        lines = [
            "".join(f"<td>{escape(cell)}</td>" for cell in (name, _count(size), _count(macs), _scaled(latency, 1e3, 2)))
            + "".join(f"<td>{_scaled(fraction, 100, 2)}</td>" for fraction in fractions[: len(qualities)])
            for name, size, macs, latency, *fractions in rows
        ]
        head = "".join(f"<th>{heading}</th>" for heading in (*headings, *qualities))
        body = "".join(f"<tr>{line}</tr>" for line in lines)
        rounds = f"{result.rounds:,} rounds of {escape(self.transfer.recipe)} in {result.seconds:.0f} seconds"
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        return f"{table}<p>{rounds}, in {escape(str(self.folder))}</p>"

    @property
    def stored(self) -> StoredRun:
        """The run, with what is needed to make its networks again."""
        return StoredRun(folder=RunFolder(self.folder), trust_code=self._trusted, given=self.given)

    @property
    def _trusted(self) -> list[str]:
        """Python code that the caller has named itself."""
        return code_named_in(self.transfer)


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _scaled(value: float | None, factor: float, digits: int) -> str:
    return "-" if value is None else f"{factor * value:.{digits}f}"
