"""Programs of torch.export as the records of their archives, to be damaged or blown up."""

import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

PIECE = bytes(2**25)


def save_program(path: Path) -> Path:
    """Export a linear layer of any batch into a file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        batch = {0: torch.export.Dim("batch", max=1024)}
        torch.export.save(torch.export.export(nn.Linear(8, 3), (torch.randn(3, 8),), dynamic_shapes=(batch,)), path)
    return path


def read_records(path: Path) -> dict[str, bytes]:
    """Read all records of an archive."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_archive(path: Path, records: Mapping[str, bytes], zeros: Mapping[str, int] | None = None) -> Path:
    """Write an archive, with further records of so many pieces of zeros."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in records.items():
            archive.writestr(name, content)
        for name, count in (zeros or {}).items():
            with archive.open(name, "w", force_zip64=True) as file:
                for _ in range(count):
                    file.write(PIECE)
    return path
