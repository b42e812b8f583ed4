"""Where the shared folder lies, for tests that need real images or third-party networks."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("BELIEFMATCH_SHARED", ROOT.parent / "shared"))
DATA = SHARED / "data"
ORACLE = Path(os.environ.get("BELIEFMATCH_ORACLE", SHARED / "oracle"))

needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"no shared data at {DATA} (set BELIEFMATCH_SHARED)")
