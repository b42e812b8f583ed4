"""Folders that hold no run, and files that are damaged: one line that names them, and no page."""

import re
from pathlib import Path

import pytest

from beliefmatch.errors import FolderError
from beliefmatch.report.page import write_report
from report.conftest import Copy
from report.folders import edit


@pytest.mark.parametrize("kind", ["missing", "empty", "file"])
def test_a_folder_that_holds_no_run_is_named_in_one_line(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "folder"
    if kind == "empty":
        folder.mkdir()
    if kind == "file":
        folder.write_text("")
    with pytest.raises(FolderError, match=r"folder holds no run \(no run.json\): name the folder of") as caught:
        write_report([folder])
    assert "\n" not in str(caught.value)
    with pytest.raises(FolderError, match="at least one run folder"):
        write_report([])


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("name", "content"),
    [
        *(
            (name, content)
            for name in ("run.json", "result.json", "measurement.json")
            for content in (b"", b"[]", b"{}")
        ),
        ("run.json", b'{"settings": {"transfer": 3}}'),
        ("run.json", b'{"settings": {"transfer": {"rounds": "many", "seed": 0}}}'),
        ("student.json", b"\xff"),
        ("pseudo/round_000002.png", b"no picture"),
        ("pseudo/round_000002.npz", b"no arrays"),
        ("pseudo/round_000002.npz", b"PK\x03\x04"),
    ],
)
def test_a_damaged_file_is_named_in_one_line(copy: Copy, name: str, content: bytes) -> None:
    folder = copy("run")
    (folder / name).write_bytes(content)
    with pytest.raises(FolderError, match=re.escape(name)) as caught:
        write_report([folder])
    assert "\n" not in str(caught.value)
    assert not (folder / "report.html").exists()


def test_numbers_that_are_none_are_damage(copy: Copy) -> None:
    folder = copy("run")
    edit(folder / "result.json", lambda result: result.update(agreement="most"))
    with pytest.raises(FolderError, match="agreement is 'most', expected a number or null"):
        write_report([folder])
