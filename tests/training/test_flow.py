"""How a command comes to the student step: by one road, and a short one."""

import ast
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

import beliefmatch
from beliefmatch.cli import main
from beliefmatch.training import loop
from tiny import named

SOURCE = Path(beliefmatch.__file__).parent
LOOP = SOURCE / "training" / "loop.py"
TREES = {path: ast.parse(path.read_text()) for path in sorted(SOURCE.rglob("*.py"))}
MOST_FRAMES = 8
"""Of ours, from the command to the student step, both counted."""
STUDENT_STEP, PREFLIGHT = "training/loop.py:step_student", "training/preflight.py:preflight"


def test_a_command_reaches_the_student_step_in_few_frames(tmp_path: Path) -> None:
    roads: set[tuple[str, ...]] = set()

    def note(module: nn.Module, _inputs: object) -> None:
        stack = tuple(frames_of_ours())
        if module.training and STUDENT_STEP in stack and PREFLIGHT not in stack:
            roads.add(stack[: stack.index(STUDENT_STEP) + 1])

    networks = {"--teacher.architecture": "make_conv_teacher", "--student.architecture": "make_dropout_student"}
    arguments = [text for flag, name in networks.items() for text in (flag, named(name))]
    arguments += ["--rounds", "1", "--batch-size", "4", "--folder", str(tmp_path / "run")]
    arguments += ["--accelerator", "cpu", "--precision", "32-true", "--display", "quiet"]
    handle = register_module_forward_pre_hook(note)
    try:
        assert main(["transfer", "digits", *arguments]) == 0
    finally:
        handle.remove()
    (road,) = roads
    assert road[0] == "cli/main.py:main"
    assert len(road) <= MOST_FRAMES, "\n".join(road)


def frames_of_ours() -> Iterator[str]:
    """Name those of the frames that lead here which are the package's, as file:function."""
    for frame in traceback.extract_stack():
        path = Path(frame.filename)
        if path.is_relative_to(SOURCE):
            yield f"{path.relative_to(SOURCE)}:{frame.name}"


def last_name(node: ast.expr) -> str:
    """Name of a variable, or of the last attribute of one."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def defined(tree: ast.AST) -> set[str]:
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}


@pytest.mark.parametrize("call", ["source.improve", "objective", "state.optimisation.step"])
def test_only_the_loop_does_the_steps_of_a_round(call: str) -> None:
    found = {path for path, tree in TREES.items() if any(is_call_of(call, each) for each in calls(tree))}
    if call == "state.optimisation.step":
        # Sources move what is theirs by optimisations of their own.
        found = {path for path in found if not path.is_relative_to(SOURCE / "sources")}
    if call == "source.improve":
        # For a calibration and a probe, from whose inputs no student learns.
        found.remove(SOURCE / "sources" / "procedural_pool.py")
    assert found == {LOOP}


def is_call_of(name: str, call: ast.Call) -> bool:
    return f".{ast.unparse(call.func)}".endswith(f".{name}")


def test_nothing_replaces_the_loop() -> None:
    """Its functions are defined once, nobody assigns to them, and nobody derives from its classes."""
    names = defined(TREES[LOOP])
    assert {"compute_round", "step_student", "run_teacher", "end_round"} <= names
    public = {name for name in names if not name.startswith("_")} - {"start", "end_round"}
    for path, tree in TREES.items():
        if path != LOOP:
            assert not public & defined(tree), path
            bases = {
                last_name(base) for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for base in node.bases
            }
            assert not names & bases, path
        assigned = {
            last_name(target) for node in ast.walk(tree) if isinstance(node, ast.Assign) for target in node.targets
        }
        assert not public & assigned, path


def test_the_loop_has_no_methods_to_override() -> None:
    classes = [node for node in TREES[LOOP].body if isinstance(node, ast.ClassDef)]
    assert classes
    for each in classes:
        assert not [node for node in each.body if isinstance(node, ast.FunctionDef)], each.name
    assert loop.compute_round.__module__ == "beliefmatch.training.loop"
