"""Whether an exported file predicts what the student does."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, repeat

import torch
from torch import Tensor, nn

from beliefmatch.errors import ExamplesError, ExportError
from beliefmatch.export.fresh_process import FreshProcess
from beliefmatch.export.graph import Pixels
from beliefmatch.networks.examples import ALL, AbstractExamples
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.output_forms import FLOAT32_BELOW_1, hook_of
from beliefmatch.networks.passes import run_padded
from beliefmatch.networks.tasks import SINGLE_LABEL, AbstractTask
from beliefmatch.runs.schema.export import FileCheck
from beliefmatch.runs.schema.run import StudentMetadata
from beliefmatch.runs.schema.task import OUTPUT_WORDS

LOGIT_TOLERANCE = 1e-3
"""Largest difference of a logit, in units of the largest logit or of 1. Other kernels add the same numbers in another
order: over the depth of a network that makes about 1e-6 of it in float32. A forgotten normalisation or a layer in
train mode makes some tenths."""
TIE = 1e-5
"""Two classes whose logits lie this near, in the same units, are as likely as each other but for rounding."""
LEAST_AGREEMENT = 0.999
"""Fraction of inputs that must be given the student's class."""

BATCH_SIZES = (1, 7, 56, 64, 128)
"""Of the first batches: one example, and more than the file was traced with. Batches after them have the last size."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How far a file may be from the network that it was made of."""

    logit_tolerance: float | None = LOGIT_TOLERANCE
    """Largest difference of a logit, in units of the largest logit or of 1. None: any."""
    least_agreement: float = LEAST_AGREEMENT
    """Fraction of inputs that must get the same class."""


EXACT = Limits()
"""The same numbers but for rounding."""


def check_examples_fit(examples: AbstractExamples, spec: InputSpec, student: StudentMetadata) -> None:
    """Check that examples are what an exported file takes, which resizes none.

    Raises:
        ExamplesError: they are not.
    """
    examples.check_fit(spec, student.num_logits, resize=True, task=student.task)
    shape = tuple(examples.stored.shape[1:])
    if shape != spec.shape:
        sizes = "x".join(map(str, shape[1:])), "x".join(map(str, spec.shape[1:]))
        raise ExamplesError(f"images are {sizes[0]}, an exported file takes {sizes[1]} and resizes none")


FEW_STEPS = 4
"""Numbers of 32 bits near 1 by which a sigmoid may differ from another that is as right."""


def check_file(
    process: FreshProcess,
    student: nn.Module,
    spec: InputSpec,
    pixels: Pixels | None,
    examples: AbstractExamples,
    *,
    limits: Limits = EXACT,
    task: AbstractTask = SINGLE_LABEL,
) -> FileCheck:
    """Compare the predictions of a file with the student's.

    Args:
        process: holds the file.
        student: on the CPU.
        spec: of its inputs.
        pixels: what the file takes instead of network inputs.
        examples: to compare on.
        limits: how far the file may be from the student.
        task: what the student predicts.

    Raises:
        ExportError: the file gives no predictions, or its logits or classes differ by more than the limits.
    """
    of_student: list[Tensor] = []
    of_file: list[Tensor] = []
    with torch.no_grad():
        for rows in _batches(len(examples)):
            inputs, taken = both_inputs(examples, spec, pixels, rows)
            of_student.append(run_padded(student, inputs))
            of_file.append(process.predict(taken))
            if of_file[-1].shape != of_student[-1].shape:
                shapes = tuple(of_file[-1].shape), tuple(of_student[-1].shape)
                raise ExportError(f"the file gives {shapes[0]} where the student gives {shapes[1]}")
    outputs = torch.cat(of_student), torch.cat(of_file)
    hook = hook_of(student)
    return compare(
        *outputs,
        name=examples.name,
        labels=examples.labels,
        limits=limits,
        task=task,
        are_of_sigmoid=hook is not None and hook.form == "sigmoid",
    )


def compare(
    of_student: Tensor,
    of_file: Tensor,
    *,
    name: str,
    labels: Tensor | None = None,
    limits: Limits = EXACT,
    task: AbstractTask = SINGLE_LABEL,
    are_of_sigmoid: bool = False,
) -> FileCheck:
    """Compare logits of the student with those of a file, both (n, classes), or labels or numbers.

    Log-odds of a sigmoid's probabilities are compared as exactly as 32 bits hold a probability near 1.

    Raises:
        ExportError: logits or classes differ by more than the limits, or the student's are not finite.
    """
    finite = of_student.isfinite().all(dim=1)
    if not bool(finite.all()):
        bad = (~finite).nonzero().squeeze(1)
        raise ExportError(
            f"the student gives outputs that are not finite for {len(bad)} of {len(finite)} inputs of {name}, the "
            f"first at index {int(bad[0])}, so no file can be compared with it"
        )
    differences, largest = (of_student - of_file).abs(), float(of_student.abs().max())
    difference = float(differences.max())
    beyond = differences - (FEW_STEPS * FLOAT32_BELOW_1 * of_student.exp() if are_of_sigmoid else 0)
    # A logit below 1 decides nothing; a number of a regression may be as small as its unit has it.
    is_number = task.name == "regression"
    what = "number" if is_number else "logit"
    unit = largest if is_number else max(1.0, largest)
    agreement = float(task.match(of_student, of_file, TIE).mean())
    # A difference that is not a number is not below any tolerance either.
    tolerance = float("inf") if limits.logit_tolerance is None else limits.logit_tolerance * unit
    if not (float(beyond.max()) <= tolerance and agreement >= limits.least_agreement):
        raise ExportError(
            f"the file does not predict what the student does on {name}: a {what} differs by {difference:.3g} ({what}s "
            f"go up to {largest:.3g}), and {100 * agreement:.2f} % of {OUTPUT_WORDS[task.name]} agree; nothing was "
            "left of it"
        )
    scores = [None if labels is None else task.score(each, labels) for each in (of_file, of_student)]
    return FileCheck(
        name=name,
        num_examples=len(of_student),
        largest_logit=largest,
        max_logit_difference=difference,
        agreement=agreement,
        accuracy=None if scores[0] is None else float(scores[0].mean()),
        student_accuracy=None if scores[1] is None else float(scores[1].mean()),
    )


def both_inputs(
    examples: AbstractExamples, spec: InputSpec, pixels: Pixels | None, rows: slice = ALL
) -> tuple[Tensor, Tensor]:
    """Return the same examples as the student takes them and as the file takes them.

    Where the file takes pixels, both get what remains of network inputs as uint8 pixels, and the student gets it
    through `InputSpec.from_pixels`, not through the graph that is checked.

    Args:
        examples: of which some are taken.
        spec: of the student's inputs.
        pixels: what the file takes instead.
        rows: which are taken.

    Returns:
        Network inputs (batch, *shape) for the student, and (batch, *shape) for the file.
    """
    if pixels is None:
        inputs = examples.to_inputs(spec, rows)
        return inputs, inputs
    stored = examples.to_pixels(spec, rows)
    channels_first = stored.permute(0, 3, 1, 2).contiguous()
    return spec.from_pixels(stored), channels_first if pixels == "uint8" else channels_first.float() / 255


def _batches(count: int) -> Iterator[slice]:
    start = 0
    for size in chain(BATCH_SIZES, repeat(BATCH_SIZES[-1])):
        if start >= count:
            return
        yield slice(start, start + size)
        start += size
