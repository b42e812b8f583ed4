"""Every benchmark can be imported, describes its flags, and imports nothing from the tests."""

import importlib.util
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
LIBRARIES = {
    *("labelled.py", "machine.py", "mnist_teachers.py", "tasks.py"),
    *("trust_eight_bits.py", "trust_judging.py", "trust_maps.py", "trust_parts.py", "trust_tasks.py"),
}
"""What benchmarks share."""
NAMES = [path.name for path in sorted(BENCHMARKS.glob("*.py")) if path.name not in LIBRARIES]


@pytest.mark.parametrize("name", NAMES)
def test_it_describes_its_flags(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    # By its file: folders of tests are called networks and students, too.
    spec = importlib.util.spec_from_file_location(f"benchmark_{Path(name).stem}", BENCHMARKS / name)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as ended:
        module.main()
    assert ended.value.code == 0
    assert f"python benchmarks/{name}" in capsys.readouterr().out


def test_none_needs_the_tests() -> None:
    for path in BENCHMARKS.rglob("*.py"):
        code = path.read_text()
        assert "sys.path" not in code, path
        assert '"tests"' not in code, path
