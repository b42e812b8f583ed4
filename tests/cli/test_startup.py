"""What has to be waited for before anything is asked of the package: neither torch nor what a run needs besides."""

import importlib.metadata
import subprocess
import sys

import pytest

import beliefmatch

CHECK = """
import sys
sys.exit(", ".join(name for name in ("torch", "lightning_fabric", "matplotlib") if name in sys.modules) or 0)
"""


@pytest.mark.parametrize(
    "code",
    [
        "import beliefmatch",
        "import beliefmatch.cli",
        "import sys, contextlib, beliefmatch.cli as cli\nwith contextlib.suppress(SystemExit): cli.main(['--help'])",
    ],
    ids=["package", "command", "help"],
)
def test_it_loads_no_torch(code: str) -> None:
    found = subprocess.run([sys.executable, "-c", f"{code}\n{CHECK}"], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr


def test_the_package_tells_its_version() -> None:
    assert beliefmatch.__version__ == importlib.metadata.version("beliefmatch")
    assert "__version__" in dir(beliefmatch)
