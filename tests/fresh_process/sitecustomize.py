"""Python runs this where it starts with this folder in PYTHONPATH: a process of its own, as users have them.

Torchvision gets the operators that it misses when it is imported, and not before, so that torch stays out of processes
that do without.
"""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType


class BeforeTorchvision(MetaPathFinder):
    """Finds nothing: it is asked before torchvision is found."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == "torchvision":
            sys.meta_path.remove(self)
            sys.path.append(str(Path(__file__).parents[1]))
            from torchvision_operators import define_missing_operators  # noqa: PLC0415

            define_missing_operators()
        return None


sys.meta_path.insert(0, BeforeTorchvision())
