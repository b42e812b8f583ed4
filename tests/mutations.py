"""Break promises one by one, and see that the tests named beside each do fail.

    python tests/mutations.py                 all of mutations.toml, in some minutes
    python tests/mutations.py --only fast     those whose name holds this text

Each mutation is made in a copy of the tree, which imports its own source; the working tree stays as it is. Without any
mutation all of these tests must pass first. A mutation is killed where every test beside it fails. The last line is one
JSON object: {"mutations", "killed"}; the exit status is 0 where all are killed. No part of `make test`.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LIST = Path(__file__).with_name("mutations.toml")
PACKAGE = Path("src/beliefmatch")


@dataclass(frozen=True, kw_only=True)
class Mutation:
    """A change that breaks a promise, and the tests that guard it."""

    name: str
    file: Path
    """Relative to the root."""
    find: str
    """Text that the file holds once."""
    replace: str
    tests: tuple[str, ...]

    def changed(self, text: str) -> str:
        """Return the text of the file with the change.

        Raises:
            SystemExit: the file does not hold the text exactly once.
        """
        if (count := text.count(self.find)) != 1:
            sys.exit(f"{self.name}: {self.file} holds {self.find!r} {count} times, expected once; correct {LIST.name}")
        return text.replace(self.find, self.replace)


def read_mutations(only: str = "") -> list[Mutation]:
    """Read the mutations whose name holds a text, with the tests under their full names."""
    content = tomllib.loads(LIST.read_text())

    def full(test: str) -> str:
        alias = next((alias for alias in content["tests"] if test.startswith(alias)), "")
        return content["tests"].get(alias, "") + test.removeprefix(alias)

    return [
        Mutation(
            name=each["name"],
            file=PACKAGE / each["file"],
            find=each["find"],
            replace=each["replace"],
            tests=tuple(map(full, each["tests"])),
        )
        for each in content["mutation"]
        if only in each["name"]
    ]


def copy_tree(place: Path) -> None:
    """Copy every file that git tracks, or would, to a place."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        source, target = ROOT / name, place / name
        if source.is_file() and not source.is_symlink():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


def run_python(place: Path, *arguments: str) -> str:
    """Run Python in a copy of the tree, with that copy's source, and return what it prints."""
    # Nothing is compiled to a file: a change within the same second would go unseen.
    env = os.environ | {
        "PYTHONPATH": str(place / "src"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "BELIEFMATCH_SHARED": os.environ.get("BELIEFMATCH_SHARED", str(ROOT.parent / "shared")),
    }
    env.pop("BELIEFMATCH_GOLDEN", None)
    done = subprocess.run([sys.executable, *arguments], cwd=place, env=env, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def run_tests(place: Path, tests: Sequence[str]) -> tuple[set[str], set[str]]:
    """Run tests in a copy of the tree.

    Returns:
        The names of those that failed, and of those that passed.

    Raises:
        SystemExit: they cannot be collected, so that nothing is known.
    """
    said = run_python(place, "-m", "pytest", "-n", "0", "-q", "-rfEp", "--tb=no", "-p", "no:cacheprovider", *tests)
    failed, passed = (set(re.findall(rf"^{word} (\S+)", said, re.MULTILINE)) for word in ("FAILED", "PASSED"))
    if re.search(r"^ERROR", said, re.MULTILINE) or not failed | passed:
        sys.exit(f"the tests cannot be run:\n{said[-3000:]}")
    return failed, passed


def matches(test: str, names: set[str]) -> bool:
    """Whether one of the names is the test, or one of its parameters."""
    return any(name == test or name.startswith(f"{test}[") for name in names)


def is_killed(mutation: Mutation, place: Path) -> bool:
    """Make a change in a copy of the tree, run its tests, and take the change back."""
    path = place / mutation.file
    text = path.read_text()
    path.write_text(mutation.changed(text))
    try:
        failed, _ = run_tests(place, mutation.tests)
    finally:
        path.write_text(text)
    survivors = [test for test in mutation.tests if not matches(test, failed)]
    print(f"{'survived' if survivors else 'killed':<9}{mutation.name}", flush=True)
    for test in survivors:
        print(f"         passed: {test}", flush=True)
    return not survivors


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="TEXT", help="those whose name holds this text")
    mutations = read_mutations(parser.parse_args().only)
    for mutation in mutations:
        mutation.changed((ROOT / mutation.file).read_text())
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder).resolve() / "tree"
        copy_tree(place)
        used = run_python(place, "-c", "import beliefmatch; print(beliefmatch.__file__)").strip()
        assert Path(used).is_relative_to(place), f"the copy does not use its own source but {used}"
        tests = sorted({test for mutation in mutations for test in mutation.tests})
        failed, passed = run_tests(place, tests)
        if failed or not all(matches(test, passed) for test in tests):
            sys.exit(f"these fail without any mutation, or do not exist: {failed or set(tests) - passed}")
        print(f"{len(passed)} tests pass without any mutation", flush=True)
        killed = sum([is_killed(mutation, place) for mutation in mutations])
    print(json.dumps({"mutations": len(mutations), "killed": killed}))
    return 0 if killed == len(mutations) else 1


if __name__ == "__main__":
    sys.exit(main())
