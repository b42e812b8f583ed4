"""Measuring the accuracy of a network against the obvious loop.

    python benchmarks/measuring.py [--images 10000] [--architecture wide_resnet_16_1] [--repeats 5] [--device cpu]

All take the same images of 3x32x32, interleaved: the obvious loop 500 at a time, ours as many as it takes by itself,
which is fewer, and ours 500 at a time too. Writes `benchmarks/results/measuring_DEVICE.json`. The last line is one JSON
object: {"ratio", "ratio_of_equal_batches"}, seconds of the obvious loop over ours.
"""

import argparse
import json
import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor, nn

from beliefmatch.networks.loading.network import make_network
from beliefmatch.networks.normalisation import CIFAR10
from beliefmatch.networks.placement import move_to_device
from labelled import measure_accuracy
from machine import describe_machine, write_results

BATCH_SIZE = 500


def obvious_accuracy(network: nn.Module, images: Tensor, labels: Tensor, device: torch.device) -> float:
    assert CIFAR10.mean is not None
    assert CIFAR10.std is not None
    mean = torch.tensor(CIFAR10.mean, device=device).view(1, 3, 1, 1)
    std = torch.tensor(CIFAR10.std, device=device).view(1, 3, 1, 1)
    right = 0
    network.eval()
    with torch.no_grad():
        for start in range(0, len(images), BATCH_SIZE):
            pixels = images[start : start + BATCH_SIZE].to(device).permute(0, 3, 1, 2).float() / 255
            predicted = network((pixels - mean) / std).argmax(dim=1)
            right += (predicted == labels[start : start + BATCH_SIZE].to(device)).sum().item()
    return right / len(images)


def timed(measure: Callable[[], float]) -> tuple[float, float]:
    began = time.perf_counter()
    found = measure()
    return found, time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--architecture", default="wide_resnet_16_1")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    device = torch.device(arguments.device)
    images = torch.randint(256, (arguments.images, 32, 32, 3), dtype=torch.uint8)
    labels = torch.randint(10, (arguments.images,))
    plain, ours = (make_network(arguments.architecture, in_channels=3, num_classes=10) for _ in range(2))
    ours.load_state_dict(plain.state_dict())
    plain.to(device)
    move_to_device(ours, device, torch.float32)
    rows = []
    for repeat in range(arguments.repeats + 1):
        slow = timed(lambda: obvious_accuracy(plain, images, labels, device))
        fast = timed(lambda: measure_accuracy(ours, CIFAR10, images, labels))
        equal = timed(lambda: measure_accuracy(ours, CIFAR10, images, labels, batch_size=BATCH_SIZE))
        assert abs(slow[0] - fast[0]) < 2e-3, (slow, fast)
        assert abs(slow[0] - equal[0]) < 2e-3, (slow, equal)
        if repeat:
            rows.append({"obvious": round(slow[1], 4), "ours": round(fast[1], 4), "equal_batches": round(equal[1], 4)})
            print(json.dumps(rows[-1]), flush=True)
    medians = {name: median(row[name] for row in rows) for name in rows[0]}
    ratios = {
        "ratio": round(medians["obvious"] / medians["ours"], 2),
        "ratio_of_equal_batches": round(medians["obvious"] / medians["equal_batches"], 2),
    }
    results = {"machine": describe_machine(), "settings": vars(arguments), "seconds": rows, **ratios}
    write_results(f"measuring_{device.type}", results)
    print(json.dumps(ratios))


if __name__ == "__main__":
    main()
