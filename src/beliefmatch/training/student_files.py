"""The student of a run on disk: its weights and what is needed to load them."""

import hashlib
from dataclasses import replace
from pathlib import Path

import safetensors.torch
from torch import Tensor, nn

from beliefmatch.errors import FolderError, NetworkError
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.inspection import Inspection
from beliefmatch.networks.loading.given import GivenModule, make_given, name_of
from beliefmatch.networks.loading.network import is_missing_file, make_network
from beliefmatch.networks.loading.weights import fit_weights, read_weights
from beliefmatch.networks.output_forms import form_of, give_logits
from beliefmatch.networks.outputs import choose_output
from beliefmatch.networks.pruning.narrowing import apply_plan, forget_plan, plan_of
from beliefmatch.networks.quantization.plan import apply_quantization, forget_quantization, quantization_of
from beliefmatch.networks.state_dicts import as_tensors
from beliefmatch.runs.atomic import write_bytes
from beliefmatch.runs.folder import RunFolder
from beliefmatch.runs.schema.run import StudentMetadata
from beliefmatch.runs.serialisation import from_json, to_json
from beliefmatch.runs.student_checksum import check_student, made_checksum
from beliefmatch.students.pruned import PrunedStudent
from beliefmatch.students.quantized import QuantizedStudent
from beliefmatch.training.transfer import Transfer
from beliefmatch.training.trusted_code import TrustedCode, check_trusted


def write_student(folder: RunFolder, student: nn.Module, transfer: Transfer, inspection: Inspection) -> str:
    """Write the student's weights, and beside them what is needed to load them, as its inspection found it.

    Returns:
        The weights' `checksum`.

    Raises:
        FolderError: one of the files cannot be written.
    """
    content = _serialise(student)
    sha256 = _hash(content)
    write_bytes(folder.student, content)
    plan = plan_of(student) if isinstance(transfer.student, PrunedStudent) else None
    quantization = quantization_of(student) if isinstance(transfer.student, QuantizedStudent) else None
    is_own = plan is None and quantization is None
    metadata = StudentMetadata(
        architecture=(transfer.student if is_own else transfer.teacher).architecture,
        plan=plan,
        quantization=quantization,
        num_classes=inspection.num_outputs,
        task=inspection.task,
        outputs=form_of(student),
        output=transfer.student.output,
        inputs=to_json(transfer.inputs),
        weights=folder.student.name,
        sha256=sha256,
        made_sha256="",
        how_to_load="beliefmatch.load_student('the folder of this file')",
    )
    folder.write_student_metadata(replace(metadata, made_sha256=made_checksum(metadata)))
    return sha256


def checksum(student: nn.Module) -> str:
    """Compute the SHA-256 of the file of a student's weights, hexadecimal."""
    return _hash(_serialise(student))


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _serialise(student: nn.Module) -> bytes:
    return safetensors.torch.save(as_tensors(student, role="student"))


def read_student(folder: RunFolder, *, trust_code: TrustedCode = False) -> StudentMetadata:
    """Read student.json: the student's architecture, number of classes and inputs.

    Args:
        folder: of the run.
        trust_code: which Python code may be its architecture, as making it imports that.

    Raises:
        FolderError: there is no student here, its student.json is damaged, or it names code that is not trusted.
    """
    metadata = folder.read_student()
    check_trusted([metadata.architecture], trust_code, file=folder.student_metadata)
    return metadata


def load_student(
    folder: Path | str, *, architecture: str | GivenModule | None = None, trust_code: TrustedCode = False
) -> nn.Module:
    """Load the student of a finished run, in eval mode, on the CPU: a network as its architecture has it.

    Where that returns something else than a tensor of logits, so does the student; see `load_student_with_logits`.

    Args:
        folder: of the run.
        architecture: of the student, such as my_file.py:make_network; or a module of it, which is copied, or a function
            without arguments that makes one. None: what the folder names.
        trust_code: whether to import a Python file that the folder names as the architecture, or names of those that
            may be imported.

    Raises:
        FolderError: the folder holds no finished run, its student.json is damaged, or it names Python code that is not
            trusted.
        NetworkError: the student cannot be made.
        WeightsError: its weights are damaged.
    """
    return _load_student(RunFolder(Path(folder)), architecture, trust_code)[0]


def load_student_with_logits(
    folder: Path | str, *, architecture: str | GivenModule | None = None, trust_code: TrustedCode = False
) -> nn.Module:
    """Load the student of a finished run so that it gives logits of every class, whatever its own outputs are.

    Args:
        folder: of the run.
        architecture: see `load_student`.
        trust_code: likewise.

    Raises:
        BeliefMatchError: see `load_student`.
    """
    student, metadata = _load_student(RunFolder(Path(folder)), architecture, trust_code)
    choose_output(student, metadata.output)
    if metadata.outputs is not None:
        give_logits(student, metadata.outputs, metadata.task)
    return student


def _load_student(
    run: RunFolder, architecture: str | GivenModule | None, trust_code: TrustedCode
) -> tuple[nn.Module, StudentMetadata]:
    """Load the student of a run as its architecture has it, with its student.json."""
    # Where the caller names the architecture, the one in the folder is not made.
    metadata = read_student(run, trust_code=trust_code if architecture is None else True)
    check_student(run)
    inputs = from_json(metadata.inputs, InputSpec, file=run.student_metadata, path="inputs")
    name = metadata.architecture if architecture is None else architecture
    if architecture is None and is_missing_file(metadata.architecture):
        raise FolderError(
            f"{run.student_metadata} names {name}, which is not here, as in a folder that was moved: in Python, "
            f'load_student("{run.path}", architecture="my_file.py:make_network") names it anew'
        )
    if isinstance(name, str):
        path, num_outputs = _num_outputs(metadata)
        if num_outputs < 1:
            raise FolderError(f"{run.student_metadata} is damaged: {path} is {num_outputs}, expected at least 1")
        student = make_network(name, in_channels=inputs.shape[0], num_classes=num_outputs)
    else:
        student = make_given(name, name_of(name))
    weights = read_weights(run.student)
    if not _fits(student, weights):
        _make_of_teacher(student, metadata, run)
    fit_weights(student, weights, name=str(run.student))
    return student.float().eval(), metadata


def _num_outputs(metadata: StudentMetadata) -> tuple[str, int]:
    """Return with how many outputs the architecture is made, after where that stands in student.json."""
    if metadata.plan is not None:
        return "plan.num_outputs", metadata.plan.num_outputs
    if metadata.quantization is not None:
        return "quantization.num_outputs", metadata.quantization.num_outputs
    return "num_classes", metadata.num_classes


def _make_of_teacher(network: nn.Module, metadata: StudentMetadata, run: RunFolder) -> None:
    """Apply the plans to the teacher's architecture, where there are any, and leave none of them in it."""
    path = "plan"
    try:
        if metadata.plan is not None:
            apply_plan(network, metadata.plan)
        path = "quantization"
        if metadata.quantization is not None:
            apply_quantization(network, metadata.quantization)
    except NetworkError as error:
        raise FolderError(f"{run.student_metadata} is damaged: {path}: {error}") from error
    forget_plan(network)
    forget_quantization(network)


def _fits(network: nn.Module, weights: dict[str, Tensor]) -> bool:
    """Whether a network has tensors of these names and shapes already, as one that the caller gave may have."""
    shapes, stored = (
        {name: value.shape for name, value in state.items() if isinstance(value, Tensor)}
        for state in (network.state_dict(), weights)
    )
    return shapes == stored
