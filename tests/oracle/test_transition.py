"""Transition curves against the numbers of the released code."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from beliefmatch.measurement.transition import transition_curves
from networks_of_oracle import network, part
from shared_folder import ORACLE

CASES = sorted(ORACLE.glob("transition_*.json"))


@pytest.mark.skipif(not CASES, reason=f"no transition_*.json in {ORACLE} (set BELIEFMATCH_ORACLE)")
@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_every_point_of_every_curve_agrees(path: Path) -> None:
    wanted = json.loads(path.read_text())
    tensors = load_file(path.with_suffix(".safetensors"))
    guide, follower = (network(wanted[role], part(tensors, role)).double() for role in ("guide", "follower"))
    found = transition_curves(
        guide,
        follower,
        tensors["images"].double(),
        tensors["labels"].long(),
        num_steps=wanted["steps"],
        step_size=wanted["step_size"],
    )
    for name, curves in (("guide", found.guide), ("follower", found.follower)):
        torch.testing.assert_close(curves, tensors[f"{name}_curves"].double(), rtol=1e-6, atol=1e-9)
    assert found.error == pytest.approx(wanted["mean_transition_error"], rel=1e-6)
    assert all(parameter.grad is None for module in (guide, follower) for parameter in module.parameters())
