"""Transition curves against the numbers of the released code."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from beliefmatch.measurement.transition import TransitionCurves, transition_curves
from networks_of_oracle import network, part
from shared_folder import ORACLE

CASES = sorted(ORACLE.glob("transition_*.json"))


pytestmark = [
    pytest.mark.skipif(not CASES, reason=f"no transition_*.json in {ORACLE} (set BELIEFMATCH_ORACLE)"),
    pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem),
]


def test_the_curves_of_one_image_agree(path: Path) -> None:
    check_curves(path, num_images=1)


@pytest.mark.long
def test_every_point_of_every_curve_agrees(path: Path) -> None:
    found = check_curves(path, num_images=None)
    assert found.error == pytest.approx(json.loads(path.read_text())["mean_transition_error"], rel=1e-6)


def check_curves(path: Path, num_images: int | None) -> TransitionCurves:
    """Compare the curves of the first images."""
    wanted = json.loads(path.read_text())
    tensors = load_file(path.with_suffix(".safetensors"))
    guide, follower = (network(wanted[role], part(tensors, role)).double() for role in ("guide", "follower"))
    found = transition_curves(
        guide,
        follower,
        tensors["images"][:num_images].double(),
        tensors["labels"][:num_images].long(),
        num_steps=wanted["steps"],
        step_size=wanted["step_size"],
    )
    for name, curves in (("guide", found.guide), ("follower", found.follower)):
        torch.testing.assert_close(curves, tensors[f"{name}_curves"].double()[:num_images], rtol=1e-6, atol=1e-9)
    assert all(parameter.grad is None for module in (guide, follower) for parameter in module.parameters())
    return found
