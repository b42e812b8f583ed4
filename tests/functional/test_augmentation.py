"""Crops and mirror images, against slicing by hand."""

import torch
from torch.nn.functional import pad

from beliefmatch.functional.augmentation import Shard, augment, random_crop, random_flip

IMAGES = torch.arange(6 * 3 * 5 * 4, dtype=torch.uint8).view(6, 3, 5, 4)


def test_a_crop_is_a_window_of_the_padded_image() -> None:
    found = random_crop(IMAGES, 2, torch.Generator().manual_seed(0))
    padded = pad(IMAGES, (2, 2, 2, 2))
    places = set()
    for example, image in enumerate(found):
        windows = {
            (row, column): padded[example, :, row : row + 5, column : column + 4]
            for row in range(5)
            for column in range(5)
        }
        matches = [place for place, window in windows.items() if torch.equal(window, image)]
        assert matches
        places.add(matches[0])
    assert len(places) > 2


def test_without_padding_a_crop_is_the_image() -> None:
    assert torch.equal(random_crop(IMAGES, 0, torch.Generator().manual_seed(0)), IMAGES)


def test_about_half_are_mirrored_and_the_others_left_alone() -> None:
    images = IMAGES[:1].expand(200, -1, -1, -1)
    found = random_flip(images, torch.Generator().manual_seed(0))
    mirrored = (found == images.flip(3)).flatten(1).all(dim=1)
    same = (found == images).flatten(1).all(dim=1)
    assert bool((mirrored ^ same).all())
    assert 70 < int(mirrored.sum()) < 130


def test_two_processes_change_their_halves_as_one_changes_the_whole() -> None:
    whole, *halves = (
        augment(images, "crop_flip", 2, torch.Generator().manual_seed(0), place)
        for images, place in (
            (IMAGES, None),
            (IMAGES[: len(IMAGES) // 2], Shard(0, len(IMAGES))),
            (IMAGES[len(IMAGES) // 2 :], Shard(len(IMAGES) // 2, len(IMAGES))),
        )
    )
    assert torch.equal(torch.cat(halves), whole)
