"""`compress` to a target: what is trained, kept, continued and returned."""

import json
import logging
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import beliefmatch as bm
from beliefmatch.errors import ExportError, FolderError, SettingsError
from beliefmatch.networks.loading.network import make_network
from beliefmatch.quantization.export import export_in_8_bits
from beliefmatch.runs.reading import read
from beliefmatch.runs.schema.candidates import Candidate, Candidates
from beliefmatch.studies import auto_compress
from tiny import make_conv_teacher

OPTIONS = bm.RunOptions(folder=Path("unused"), accelerator="cpu", precision="32-true")


@pytest.fixture(autouse=True)
def in_a_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(auto_compress, "NUM_COMPARED", 32)


def compressed(**settings: Any) -> bm.Compression:
    usual: dict[str, Any] = {
        "teacher": make_conv_teacher(),
        "student": "auto",
        "shape": (1, 8, 8),
        "mean": 0.3,
        "std": 0.4,
        "recipe": "noise",
        "rounds": 1,
        "batch_size": 4,
        "folder": "auto",
        "options": OPTIONS,
        "progress": False,
    }
    return bm.compress(**usual | settings)


def measured_as(monkeypatch: pytest.MonkeyPatch, *met: tuple[str | None, bool]) -> None:
    """Let the network itself and those of these names and bits be all that is found; these meet the target."""

    found = [
        Candidate(student=name, in_8_bits=bits, macs=9 - number, parameters=9, bytes=9, latency=1.0, meets=number > 0)
        for number, (name, bits) in enumerate([(None, False), *met])
    ]
    monkeypatch.setattr(auto_compress, "measure_proposals", lambda *_: ("onnxruntime", found))


def test_the_student_that_meets_the_target_is_trained_and_returned() -> None:
    result = compressed(macs=0.5)
    assert result.transfer.student.architecture == "thin:0.5"
    assert result.folder == Path("auto/thin_0.5")
    assert result.result.student_macs is not None
    assert result.result.student_macs <= 0.5 * (result.result.teacher_macs or 0)
    assert result.student.get_submodule("0").out_channels == 4
    found = read(Path("auto/candidates.json"), Candidates)
    assert result.found == found
    assert found.chosen is not None
    chosen = found.candidates[found.chosen]
    assert (chosen.student, chosen.folder, chosen.meets) == ("thin:0.5", "thin_0.5", True)
    assert chosen.agreement is not None
    assert "thin:0.5" in repr(result)


@pytest.mark.long
def test_the_same_call_measures_nothing_again_and_another_target_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    first = compressed(macs=0.5)
    monkeypatch.setattr(auto_compress, "measure_proposals", lambda *_: pytest.fail("it is measured again"))
    again = compressed(macs=0.5)
    assert (again.folder, again.result, again.found) == (first.folder, first.result, first.found)
    longer = compressed(macs=0.5, rounds=2)
    assert longer.folder == Path("auto/thin_0.5_to_2_rounds")
    assert longer.found is not None
    assert [each.folder for each in longer.found.candidates if each.folder] == ["thin_0.5_to_2_rounds"]
    with pytest.raises(FolderError, match=r"candidates\.json was measured for macs 0\.5: name another folder"):
        compressed(macs=0.4)
    other = make_conv_teacher()
    nn.init.zeros_(other[0].bias)  # pyright: ignore
    with pytest.raises(FolderError, match="was measured for another network"):
        compressed(teacher=other, macs=0.5)


def test_a_folder_that_holds_something_else_is_refused() -> None:
    Path("auto").mkdir()
    Path("auto/notes.txt").write_text("mine")
    with pytest.raises(FolderError, match=r"auto is not empty and holds no candidates\.json"):
        compressed(macs=0.5)


@pytest.mark.long
def test_of_several_the_one_that_agrees_best_is_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    teacher, agreements = make_network("convnet_16", in_channels=1, num_classes=10), iter([0.25, 0.75])
    monkeypatch.setattr(auto_compress, "_agree", lambda *_: next(agreements))
    measured_as(monkeypatch, ("thin:0.5", False), ("thin:0.4", False), ("convnet_8", False))
    result = compressed(teacher=teacher, macs=0.5, candidates=2)
    assert result.found is not None
    trained = [each for each in result.found.candidates if each.agreement is not None]
    assert [(each.student, each.agreement) for each in trained] == [("thin:0.5", 0.25), ("convnet_8", 0.75)]
    assert all((Path("auto") / str(each.folder) / "student.safetensors").is_file() for each in trained)
    assert trained[1].student == result.transfer.student.architecture
    assert result.found.candidates[result.found.chosen or 0] == trained[1]


def test_minutes_are_shared_by_those_that_are_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float | None] = []

    def plan(settings: Any) -> None:
        asked.append(settings.minutes)
        raise KeyboardInterrupt

    monkeypatch.setattr("beliefmatch.studies.compress.plan_compression", plan)
    measured_as(monkeypatch, ("thin:0.5", False), ("convnet_8", False))
    for number, minutes in ((1, 6.0), (2, 3.0), (5, 3.0)):
        with pytest.raises(KeyboardInterrupt):
            compressed(macs=0.5, candidates=number, rounds=None, minutes=6.0, folder=f"auto_{number}")
        assert asked.pop() == minutes


def test_the_network_itself_in_8_bits_needs_no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    measured_as(monkeypatch, (None, True), ("thin:0.5", False))
    teacher = make_conv_teacher()
    result = compressed(teacher=teacher, size=0.5)
    assert not result.is_trained
    file = Path("auto/model_int8.onnx")
    assert result.int8 == file
    assert result.found is not None
    assert result.found.chosen == 1
    assert result.found.candidates[1].agreement is not None
    assert result.found.candidates[1].folder == "model_int8.onnx"
    assert "the network itself in 8 bits" in repr(result)
    assert "the network itself in 8 bits" in result._repr_html_()
    for attempt in (lambda: result.student, lambda: result.result, result.report, lambda: result.export("a.onnx")):
        with pytest.raises(SettingsError, match="nothing was trained: the network itself in 8 bits meets the target"):
            attempt()
    content = file.read_bytes()
    assert compressed(teacher=teacher, size=0.5).int8 == file
    assert file.read_bytes() == content


@pytest.mark.long
def test_a_file_in_8_bits_that_does_not_agree_gives_its_place_to_the_next(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ExportError("99 % of classes differ")

    measured_as(monkeypatch, (None, True), ("thin:0.5", False))
    monkeypatch.setattr(auto_compress, "quantize_network", fail)
    with caplog.at_level(logging.WARNING):
        result = compressed(size=0.5)
    assert result.transfer.student.architecture == "thin:0.5"
    assert "the network itself in 8 bits does not do: 99 % of classes differ" in caplog.text


def test_a_student_that_needs_8_bits_gets_them(monkeypatch: pytest.MonkeyPatch) -> None:
    measured_as(monkeypatch, ("thin:0.5", True))
    export = export_in_8_bits

    def lenient(*arguments: Any, **rest: Any) -> Any:
        return export(*arguments, settings=replace(bm.QuantizationSettings(), min_agreement=0.1), **rest)

    monkeypatch.setattr(auto_compress, "export_in_8_bits", lenient)
    result = compressed(speedup=2)
    assert result.is_trained
    assert result.int8 == Path("auto/thin_0.5/model_int8.onnx")
    assert "model_int8.onnx" in (result.result.exports or {})
    monkeypatch.setattr(auto_compress, "export_in_8_bits", lambda *_, **__: pytest.fail("it is written again"))
    assert compressed(speedup=2).int8 == result.int8


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "student='auto' needs to know what the student must meet"),
        ({"student": "convnet_8", "speedup": 2}, "student is named, and speedup chooses one: leave one out"),
        ({"macs": 0.5, "candidates": 0}, "candidates must be from 1 to 20; got 0"),
        ({"speedup": 1}, "speedup must be above 1"),
    ],
)
def test_what_contradicts_itself_is_one_line(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        compressed(**settings)
    assert not Path("auto").exists()


def test_where_nothing_meets_the_target_the_message_says_what_came_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Candidate(student=None, in_8_bits=False, macs=9, parameters=9, bytes=10, latency=1.0, meets=False)
    others = [
        replace(found, student="thin:0.5", latency=0.8, macs=8),
        replace(found, in_8_bits=True, latency=0.9, bytes=4),
        replace(found, student="convnet_4", macs=3),
    ]
    monkeypatch.setattr(auto_compress, "measure_proposals", lambda *_: ("torch", [found, *others]))
    for target, nearest in (
        ({"speedup": 9}, "speedup 9: thin:0.5 is 1.25 times as fast; ask"),
        ({"size": 0.1}, "size 0.1: the network itself in 8 bits has 0.40 of the bytes; ask"),
        ({"macs": 0.1}, "macs 0.1: convnet_4 has 0.33 of the multiply-accumulates; ask"),
        ({"speedup": 9, "macs": 0.1}, "macs 0.1: thin:0.5 is 1.25 times as fast, convnet_4 has 0.33 of the multiply"),
    ):
        with pytest.raises(SettingsError, match=f"nothing that was tried meets .*{re.escape(nearest)}"):
            compressed(**target)
    monkeypatch.setattr(auto_compress, "measure_proposals", lambda *_: ("torch", [found]))
    with pytest.raises(SettingsError, match="nothing smaller than the network was found for speedup 9"):
        compressed(speedup=9)
    assert not Path("auto").exists()


def test_a_damaged_record_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    measured_as(monkeypatch, ("thin:0.5", False))
    monkeypatch.setattr(auto_compress, "_finish", lambda *_: pytest.fail("it is trained"))
    with pytest.raises(pytest.fail.Exception):
        compressed(macs=0.5)
    path = Path("auto/candidates.json")
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"order": [99]}))
    with pytest.raises(FolderError, match=r"candidates\.json is damaged: .*a position is not that of a candidate"):
        compressed(macs=0.5)
