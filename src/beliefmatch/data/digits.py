"""Scikit-learn's embedded handwritten digits: 1797 real images of 8x8 pixels (Alpaydin & Kaynak 1998)."""

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from beliefmatch.networks.examples import LabelledImages

NUM_TEST = 540


def read_digits() -> tuple[LabelledImages, LabelledImages]:
    """Read the digits, split once and for all, stratified by class.

    Returns:
        1257 images to train on and 540 to measure on, (n, 8, 8, 1), uint8, grey levels scaled from 0..16 to 0..255.
    """
    features, labels = load_digits(return_X_y=True)
    pixels = np.round(np.asarray(features).reshape(-1, 8, 8, 1) * (255 / 16)).astype(np.uint8)
    train, test = train_test_split(np.arange(len(labels)), test_size=NUM_TEST, stratify=labels, random_state=0)
    targets = np.asarray(labels, dtype=np.int64)
    first, second = (
        LabelledImages(images=torch.from_numpy(pixels[rows]), labels=torch.from_numpy(targets[rows]))
        for rows in (train, test)
    )
    return first, second
