"""The formats by their names."""

from beliefmatch.errors import SettingsError, near_names
from beliefmatch.export.base import Format, FormatName
from beliefmatch.export.onnx import ONNX
from beliefmatch.export.pt2 import PT2
from beliefmatch.export.safetensors import SAFETENSORS

FORMATS: dict[FormatName, Format] = {"onnx": ONNX, "pt2": PT2, "safetensors": SAFETENSORS}


def check_format(name: str) -> FormatName:
    """Return a format's name if there is one that is called so.

    Raises:
        SettingsError: there is none.
    """
    for known in FORMATS:
        if name == known:
            return known
    nearest = near_names(name, FORMATS, most=len(FORMATS), cutoff=0)
    raise SettingsError(f"no format is called {name!r}; there are {', '.join(nearest)}, the nearest first")
