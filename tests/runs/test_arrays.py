"""Arrays of .npz files that somebody else made: the header is checked before any memory is taken."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import beliefmatch.memory
from beliefmatch.errors import FolderError
from beliefmatch.runs.arrays import read_arrays


def npy(header: dict[str, Any] | str, content: bytes = b"", version: int = 1) -> bytes:
    text = (header if isinstance(header, str) else repr(header)).encode()
    return b"\x93NUMPY" + bytes([version, 0]) + len(text).to_bytes(2 if version == 1 else 4, "little") + text + content


def header(shape: Any, dtype: str = "<f4", *, fortran: bool = False) -> dict[str, Any]:
    return {"descr": dtype, "fortran_order": fortran, "shape": shape}


def write(path: Path, member: bytes, method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("inputs.npy", member)
    return path


@pytest.mark.parametrize("dtype", [">f4", ">i2", "<f8", "|u1", "|b1", ">f2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_numbers_of_any_byte_order_are_read_as_numpy_reads_them(dtype: str, order: Any, tmp_path: Path) -> None:
    values = np.arange(24).reshape(2, 3, 4).astype(dtype, order=order)
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", inputs=values, other=np.zeros(3))
        found = read_arrays(tmp_path / "a.npz", ["inputs"])
        assert list(found) == ["inputs"]
        np.testing.assert_array_equal(found["inputs"], values)
        assert found["inputs"].dtype.isnative
        assert found["inputs"].flags.writeable


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (npy(header((10**13,))), "its header says"),
        (npy(header((2**62, 2**62))), "its header says"),
        (npy(header((-1,))), "a shape that no array has"),
        (npy(header((True, 2)), bytes(8)), "a shape that no array has"),
        (npy(header((1,) * 40), bytes(4)), "a shape that no array has"),
        (npy(header((2,), "|O"), bytes(16)), "pickles and texts are not read"),
        (npy(header((2,), "<U4"), bytes(32)), "pickles and texts are not read"),
        (npy(header((2,), "nonsense"), bytes(8)), "no array, or is damaged"),
        (npy("{'descr': __import__('os')}"), "no array, or is damaged"),
        (npy("(" * 5000), "no array, or is damaged"),
        (npy(header((2,)), bytes(7)), "its header says"),
        (npy(header((2,)), bytes(9)), "its header says"),
        (npy(header((2,)), bytes(8), version=9), "no array, or is damaged"),
        (npy(header((2,)))[:20], "no array, or is damaged"),
        (b"text", "no array, or is damaged"),
        (b"", "no array, or is damaged"),
    ],
)
def test_a_header_that_does_not_fit_is_refused(member: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(FolderError, match=message):
        read_arrays(write(tmp_path / "a.npz", member), ["inputs"])


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = write(tmp_path / "a.npz", npy(header((2**25,)), bytes(2**27)), zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2**18
    with pytest.raises(FolderError, match=r"is refused: .* bytes would become 0\.1 GiB"):
        read_arrays(path, ["inputs"])


def test_several_members_are_no_bomb_together(tmp_path: Path) -> None:
    """Each is below the size from which its own growth counts."""
    names, member = ("inputs", "labels"), npy(header((10_000_000,)), bytes(40_000_000))
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(f"{name}.npy", member)
    assert list(read_arrays(tmp_path / "a.npz", names[:1])) == ["inputs"]
    with pytest.raises(FolderError, match=r"a\.npz is refused: .* bytes would become 0\.1 GiB"):
        read_arrays(tmp_path / "a.npz", names)


def test_what_does_not_fit_in_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.npz", npy(header((250,)), bytes(1000)))
    monkeypatch.setattr(beliefmatch.memory, "free_memory", lambda: 1999)
    with pytest.raises(FolderError, match=r"of memory, and .* are free: take fewer examples"):
        read_arrays(path, ["inputs"])
    monkeypatch.setattr(beliefmatch.memory, "free_memory", lambda: 2000)
    assert len(read_arrays(path, ["inputs"])["inputs"]) == 250


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_are_refused(method: int, tmp_path: Path) -> None:
    path = write(tmp_path / "a.npz", npy(header((2,)), bytes(8)), method)
    with pytest.raises(FolderError, match="compressed in a way"):
        read_arrays(path, ["inputs"])


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.npz", npy(header((2,)), bytes(8)))
    content = bytearray(path.read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + flags] |= 1
    path.write_bytes(content)
    with pytest.raises(FolderError, match="is encrypted"):
        read_arrays(path, ["inputs"])


def test_a_single_array_is_named(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    (tmp_path / "a.npz").write_bytes(buffer.getvalue())
    with pytest.raises(FolderError, match="holds a single array"):
        read_arrays(tmp_path / "a.npz", ["inputs"])
