"""Files that are either whole or as they were."""

import errno
import os
from pathlib import Path

import pytest

from beliefmatch.errors import FolderError
from beliefmatch.runs.atomic import sweep, write_bytes


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
    (tmp_path / ".checkpoint.pt.a1b2.partial").touch()
    (tmp_path / "mine.partial").touch()
    (tmp_path / ".hidden").touch()
    sweep(tmp_path)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [".hidden", "mine.partial"]
