"""All third-party networks load by the key mappings and do what their sources say, on the first images."""

import pytest

from networks import SANITY_IMAGES, SharedNetwork, find_networks, measured_accuracy
from shared_folder import DATA, needs_data

NETWORKS = find_networks(DATA) if DATA.is_dir() else []


@needs_data
def test_there_are_33() -> None:
    assert len(NETWORKS) == 33


@needs_data
@pytest.mark.parametrize("shared", NETWORKS, ids=lambda shared: shared.name)
def test_accuracy_is_the_documented_one(shared: SharedNetwork) -> None:
    num_images = SANITY_IMAGES if shared.is_sanity_check else 500
    tolerance = 0.1 if shared.is_sanity_check else 3
    assert measured_accuracy(shared, num_images) == pytest.approx(shared.documented_accuracy, abs=tolerance)
