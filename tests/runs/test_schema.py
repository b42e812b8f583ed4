"""The declared files of a run: read back as they were written, refused where they are hostile, told on one page."""

import ast
import inspect
import json
import re
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest

from beliefmatch.errors import FolderError
from beliefmatch.runs.folder import RunFolder
from beliefmatch.runs.pruning import read_sensitivity
from beliefmatch.runs.reading import read
from beliefmatch.runs.schema.export import Deployed, EightBits, Export, FileCheck
from beliefmatch.runs.schema.measurement import (
    ClassScores,
    Disagreement,
    Estimate,
    LabelMeasurement,
    LabelScores,
    MeasurementRecord,
    NetworkScores,
    NumberMeasurement,
    NumberScores,
    Transition,
)
from beliefmatch.runs.schema.plan import PrunedLayer, PruningPlan
from beliefmatch.runs.schema.quantization_plan import QuantizationPlan, QuantizedLayer
from beliefmatch.runs.schema.result import Collapse, Collapses, Result
from beliefmatch.runs.schema.row import LoggedRow
from beliefmatch.runs.schema.run import RunMetadata, RunSettings, SourceMetadata, StudentMetadata
from beliefmatch.runs.schema.sensitivity import BlockSensitivity, GroupSensitivity, Sensitivity

PAGE = Path(__file__).parents[2] / "docs" / "run_folder.md"
DECLARED = (
    *(RunMetadata, RunSettings, LoggedRow, Result, Collapse, Collapses, Export, EightBits, FileCheck, Deployed),
    *(MeasurementRecord, NetworkScores, Estimate, ClassScores, Transition, Disagreement, StudentMetadata),
    *(SourceMetadata, PruningPlan, PrunedLayer, LabelMeasurement, LabelScores, NumberMeasurement, NumberScores),
    *(Sensitivity, GroupSensitivity, BlockSensitivity),
)

CHECK = FileCheck(name="noise", num_examples=3, largest_logit=2.0, max_logit_difference=0.0, agreement=1.0)
NETWORK = Deployed(bytes=10, macs=None, torch_latency=0.1, onnxruntime_latency=None)
EXPORT = Export(
    format="pt2",
    pixels=None,
    sha256="ab",
    pseudo=CHECK,
    num_noise=0,
    why_noise=None,
    images=None,
    student=NETWORK,
    teacher=NETWORK,
    why_no_teacher=None,
    threads=1,
    versions={"torch": "2.6"},
    mean=[0.5],
    normalisation_from="default",
    in_8_bits=EightBits(
        calibrated_on="noise",
        ranges="minmax",
        keep_float=["conv"],
        num_nodes=2,
        float_bytes=20,
        latency=0.2,
        float_latency=0.1,
    ),
)
COLLAPSE = Collapse(kind="pinned", round=9, since=3, seen="it is", action="restart", attempt=0, seed=1, seconds=2.0)
RESULT = Result(
    student_accuracy=None,
    teacher_accuracy=0.5,
    agreement=None,
    student_parameters=1,
    teacher_parameters=2,
    rounds=3,
    seconds=4.0,
    student_sha256="ab",
    exports={"model.pt2": EXPORT},
    collapses=(COLLAPSE,),
)
ESTIMATE = Estimate(value=0.5, low=0.25, high=0.75)
SCORES = NetworkScores(top1=ESTIMATE, top5=None, calibration_error=ESTIMATE, debiased_calibration_error=ESTIMATE)
TRANSITION = Transition(
    guided_by="student",
    num_images=2,
    num_steps=2,
    step_size=1.0,
    seed=0,
    error=ESTIMATE,
    guide=(0.1, 0.2),
    follower=(0.1, 0.2),
    guide_margin=(0.1, 0.2),
    follower_margin=(0.1, 0.2),
)
MEASUREMENT = MeasurementRecord(
    images="test.npz",
    fingerprint="cd",
    num_images=20,
    teacher=SCORES,
    student=None,
    agreement=ESTIMATE,
    divergence=ESTIMATE,
    classes=(
        ClassScores(number=0, num_images=20, teacher_accuracy=ESTIMATE, student_accuracy=None, agreement=ESTIMATE),
    ),
    confusion=((ESTIMATE,),),
    transition=TRANSITION,
    class_names=("a cat",),
    disagreements=(Disagreement(position=7, label=1, teacher_class=0, student_class=1, png="iVBO"),),
)
RUN = RunMetadata(
    settings=RunSettings(
        transfer={"type": "Transfer", "seed": 3},
        teacher_sha256="ef",
        num_processes=1,
        device="cpu",
        precision="32-true",
    ),
    seed=3,
    command=("beliefmatch", "transfer"),
    versions={"torch": "2.6"},
    defaults=("source.padding",),
)
STUDENT = StudentMetadata(
    architecture="convnet_4",
    plan=PruningPlan(
        num_outputs=10,
        dropped=("2",),
        layers=(PrunedLayer(name="0", outputs=(0, 3), inputs=None, num_outputs=4, num_inputs=None),),
    ),
    quantization=QuantizationPlan(
        num_outputs=10, layers=(QuantizedLayer(name="0", weight_bits=4, activation_bits=8, lowest=-3),)
    ),
    num_classes=10,
    task="single_label",
    outputs=None,
    output=None,
    inputs={"type": "InputSpec"},
    weights="a.st",
    sha256="ab",
    made_sha256="cd",
    how_to_load="b",
)
SOURCE = SourceMetadata(images="train.npz", indices=(3, 1))
SENSITIVITY = Sensitivity(
    fractions=(0.5,),
    num_compared=3,
    groups=(GroupSensitivity(name="0", channels=4, macs_fraction=0.5, agreements=(1.0,)),),
    blocks=(BlockSensitivity(name="1", macs_fraction=0.5, agreement=0.5),),
)
FILES = (SENSITIVITY, RESULT, Collapses(collapses=(COLLAPSE,)), MEASUREMENT, RUN, STUDENT, SOURCE)


@pytest.mark.parametrize("written", FILES, ids=lambda written: type(written).__name__)
def test_what_is_written_is_read_again(written: Any, tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_text(json.dumps(asdict(written)))
    assert read(path, type(written)) == written


@pytest.mark.parametrize("written", FILES, ids=lambda written: type(written).__name__)
def test_no_field_may_be_left_out_and_none_added(written: Any, tmp_path: Path) -> None:
    path, content = tmp_path / "file.json", asdict(written)
    for field in fields(written):
        path.write_text(json.dumps({name: value for name, value in content.items() if name != field.name}))
        with pytest.raises(FolderError, match=rf"file\.json is damaged: {field.name} is missing"):
            read(path, type(written))
    path.write_text(json.dumps(content | {"another": 1}))
    with pytest.raises(FolderError, match=r"file\.json is damaged: another is unknown"):
        read(path, type(written))


@pytest.mark.parametrize("written", FILES, ids=lambda written: type(written).__name__)
@pytest.mark.parametrize("content", [b"", b"3", b"[]", b"{}", b"\xff", b'"text"', b'{"a":' * 99 + b"1" + b"}" * 99])
def test_a_hostile_file_is_one_line(written: Any, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(content)
    with pytest.raises(FolderError, match=r"file\.json (is damaged|cannot be read): ") as caught:
        read(path, type(written))
    assert "\n" not in str(caught.value)


def edits(content: Any, hostile: Any) -> list[tuple[str, Any]]:
    """Replace each value within JSON in turn by a hostile one; its path comes with each."""
    if isinstance(content, dict):
        pairs = [(f".{name}", name, value) for name, value in content.items()]
    elif isinstance(content, list | tuple):
        pairs = [(f"[{number}]", number, value) for number, value in enumerate(content)]
    else:
        return []
    found = []
    for shown, key, value in pairs:
        for path, inner in [("", hostile), *edits(value, hostile)]:
            changed = dict(content) if isinstance(content, dict) else list(content)
            changed[key] = inner
            found.append((f"{shown}{path}", changed))
    return found


@pytest.mark.parametrize("written", [RESULT, MEASUREMENT, RUN], ids=lambda written: type(written).__name__)
def test_a_hostile_value_anywhere_is_one_line_that_names_its_path(written: Any, tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    for where, content in edits(json.loads(json.dumps(asdict(written))), {"no": ["such", "thing"]}):
        if where.startswith(".settings.transfer"):
            continue
        path.write_text(json.dumps(content))
        with pytest.raises(FolderError) as caught:
            read(path, type(written))
        assert re.match(rf"{re.escape(str(path))} is damaged: {re.escape(where[1:])}[ .]", str(caught.value)), where
        assert "\n" not in str(caught.value)


def test_curves_of_different_lengths_are_damage(tmp_path: Path) -> None:
    content = asdict(MEASUREMENT)
    content["transition"]["guide"] = [0.1]
    (tmp_path / "measurement.json").write_text(json.dumps(content))
    with pytest.raises(FolderError, match="transition: the transition curves differ in length"):
        RunFolder(tmp_path).read_measurement()
    with pytest.raises(ValueError, match="differ in length"):
        replace(TRANSITION, guide=())


def test_agreements_of_another_number_than_fractions_are_damage(tmp_path: Path) -> None:
    (tmp_path / "sensitivity.json").write_text(json.dumps(asdict(SENSITIVITY) | {"fractions": [0.25, 0.5]}))
    with pytest.raises(FolderError, match=r"sensitivity\.json is damaged: .* another number of agreements"):
        read_sensitivity(RunFolder(tmp_path))


def test_another_number_of_names_than_of_classes_is_damage(tmp_path: Path) -> None:
    (tmp_path / "measurement.json").write_text(json.dumps(asdict(MEASUREMENT) | {"class_names": ["a", "b"]}))
    with pytest.raises(FolderError, match=r"measurement\.json is damaged: class_names has 2 names for 1 classes"):
        RunFolder(tmp_path).read_measurement()


@pytest.mark.parametrize("name", ["position", "label", "teacher_class", "student_class"])
def test_a_number_below_0_is_no_disagreement(name: str, tmp_path: Path) -> None:
    content = json.loads(json.dumps(asdict(MEASUREMENT)))
    content["disagreements"][0][name] = -1
    (tmp_path / "measurement.json").write_text(json.dumps(content))
    with pytest.raises(FolderError, match=rf"disagreements\[0\]: {name} is -1, expected 0 or above"):
        RunFolder(tmp_path).read_measurement()


@pytest.mark.parametrize(
    ("written", "where", "number"),
    [
        (RESULT, ("teacher_accuracy",), 7.0),
        (RESULT, ("student_macs",), -1),
        (RESULT, ("exports", "model.pt2", "pseudo", "agreement"), 1.01),
        (MEASUREMENT, ("agreement", "low"), -0.1),
        (MEASUREMENT, ("teacher", "top1", "high"), 1.5),
        (SENSITIVITY, ("fractions", 0), 2.0),
    ],
)
def test_a_number_out_of_its_range_is_damage(
    written: Any, where: tuple[Any, ...], number: float, tmp_path: Path
) -> None:
    path, content = tmp_path / "file.json", json.loads(json.dumps(asdict(written)))
    *parents, last = where
    part = content
    for each in parents:
        part = part[each]
    part[last] = number
    path.write_text(json.dumps(content))
    with pytest.raises(FolderError, match=rf"file\.json is damaged: .*is {number}, expected (a fraction|0 or above)"):
        read(path, type(written))


def test_a_mean_of_fractions_may_be_1_but_for_rounding() -> None:
    assert replace(RESULT, teacher_accuracy=1 + 1e-7).teacher_accuracy == 1 + 1e-7


def docstrings(kind: type) -> dict[str, str]:
    """Read the docstring that stands below each field of a dataclass."""
    tree = ast.parse(inspect.getsource(kind)).body[0]
    assert isinstance(tree, ast.ClassDef)
    found, name = {}, None
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name = node.target.id
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and name is not None:
            found[name], name = " ".join(str(node.value.value).split()), None
        else:
            name = None
    return found


@pytest.mark.parametrize("kind", DECLARED)
def test_every_field_says_what_it_is(kind: type) -> None:
    assert list(docstrings(kind)) == [field.name for field in fields(kind)]


@pytest.mark.parametrize("kind", DECLARED)
def test_the_page_tells_every_field_of_every_file(kind: type) -> None:
    sections = re.split(r"^##+ ", PAGE.read_text(), flags=re.MULTILINE)
    (section,) = [section for section in sections if section.splitlines()[0].endswith(f"`{kind.__name__}`")]
    assert re.findall(r"^\| `(\w+)` \|", section, flags=re.MULTILINE) == [field.name for field in fields(kind)]


def test_the_page_tells_of_every_file(tmp_path: Path) -> None:
    """Names of files are attributes of the run folder."""
    page = PAGE.read_text()
    names = [path.name for path in vars(RunFolder(tmp_path)).values() if isinstance(path, Path) and path != tmp_path]
    assert len(names) > 10
    assert [name for name in names if f"`{name}`" not in page and f"`{name}/`" not in page] == []
