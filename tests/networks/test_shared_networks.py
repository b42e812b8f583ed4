"""All third-party networks load by the key mappings and answer as they did when their accuracy was measured.

Their logits of the first eight test images lie in `logits/`, one file a network. To write them anew, and then say why
in the commit (the accuracies, which take longer, must be the documented ones then):

    BELIEFMATCH_GOLDEN=write python -m pytest -n 0 tests/networks/test_shared_networks.py
"""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from networks import SANITY_IMAGES, SharedNetwork, find_networks, first_images, measured_accuracy
from shared_folder import DATA, needs_data

NETWORKS = find_networks(DATA) if DATA.is_dir() else []
LOGITS = Path(__file__).with_name("logits")
HEADER = "logits of the first eight test images, one line an image; see ../test_shared_networks.py"


@needs_data
def test_there_are_34() -> None:
    assert len(NETWORKS) == 34
    assert {file.stem for file in LOGITS.iterdir()} == {file_name(shared) for shared in NETWORKS}


@needs_data
@pytest.mark.parametrize("shared", NETWORKS, ids=lambda shared: shared.name)
def test_logits_are_those_on_file(shared: SharedNetwork) -> None:
    inputs = first_images(shared, 8).to_inputs(shared.spec)
    with torch.no_grad():
        logits = shared.network.load(shared.spec).double().eval()(inputs.double()).numpy()
    path = LOGITS / f"{file_name(shared)}.txt"
    if os.environ.get("BELIEFMATCH_GOLDEN") == "write":
        np.savetxt(path, logits, fmt="%.5f", header=HEADER)
    np.testing.assert_allclose(logits, np.loadtxt(path), rtol=1e-4, atol=1e-4)


@needs_data
@pytest.mark.long
@pytest.mark.parametrize("shared", NETWORKS, ids=lambda shared: shared.name)
def test_accuracy_is_the_documented_one(shared: SharedNetwork) -> None:
    num_images = SANITY_IMAGES if shared.is_sanity_check else 500
    tolerance = 0.1 if shared.is_sanity_check else 3
    assert measured_accuracy(shared, num_images) == pytest.approx(shared.documented_accuracy, abs=tolerance)


def file_name(shared: SharedNetwork) -> str:
    return shared.name.replace("/", "_")
