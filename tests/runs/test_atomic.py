"""Files that are either whole or as they were, through links, and only where files belong."""

import errno
import os
import stat
from pathlib import Path

import pytest

from beliefmatch.errors import FolderError
from beliefmatch.runs.atomic import replacing, sweep, write_bytes

LEFT = ".checkpoint.pt.0123456789abcdef.partial"


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "checkpoint.pt"
    write_bytes(path, b"old")

    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FolderError, match=r"No space left on device \(the old one is untouched\)"):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_kill_left_is_swept_and_nothing_of_the_users(tmp_path: Path) -> None:
    for name in (LEFT, "mine.partial", ".hidden", ".mine.partial", ".download.iso.a1b2c3.partial"):
        (tmp_path / name).touch()
    sweep(tmp_path)
    assert names(tmp_path) == [".download.iso.a1b2c3.partial", ".hidden", ".mine.partial", "mine.partial"]


def test_any_write_sweeps_what_kills_left_beside_it(tmp_path: Path) -> None:
    (tmp_path / LEFT).touch()
    write_bytes(tmp_path / "report.html", b"page")
    assert names(tmp_path) == ["report.html"]


def test_a_file_that_is_being_written_is_not_swept(tmp_path: Path) -> None:
    with replacing(tmp_path / "model.onnx", b"model") as temporary:
        sweep(tmp_path)
        write_bytes(tmp_path / "other", b"other")
        assert temporary.read_bytes() == b"model"
    assert names(tmp_path) == ["model.onnx", "other"]


def test_a_link_stays_and_its_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    file, link = tmp_path / "far" / "page.html", tmp_path / "link.html"
    link.symlink_to(file)
    for content in (b"first", b"second"):
        write_bytes(link, content)
        assert link.is_symlink()
        assert file.read_bytes() == content


@pytest.mark.parametrize("kind", ["device", "pipe", "folder", "link to a device", "loop of links", "below a file"])
def test_only_regular_files_are_written(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    match kind:
        case "device":
            path = Path("/dev/null")
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "link to a device":
            path.symlink_to("/dev/null")
        case "loop of links":
            path.symlink_to(path)
        case _:
            path.touch()
            path = path / "page.html"
    with pytest.raises(FolderError, match="cannot write"):
        write_bytes(path, b"page")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    assert not [name for name in names(tmp_path) if name.endswith(".partial")]


@pytest.mark.parametrize(("umask", "expected"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_the_umask_decides_who_may_read(umask: int, expected: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        write_bytes(tmp_path / "weights", b"w")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "weights").stat().st_mode) == expected


def test_a_file_that_is_replaced_keeps_its_permissions(tmp_path: Path) -> None:
    file = tmp_path / "weights"
    file.touch(0o600)
    write_bytes(file, b"w")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
