"""Speed of transition curves against the obvious loop, one image and one class at a time.

    python benchmarks/transition.py [--images N] [--steps 10] [--repeats 3] [--device cpu]

Both walk WRN-16-1 guided by WRN-16-1 over inputs of 3x32x32; weights do not matter for speed and are fresh. The slow
loop takes two images, ours takes all (24 on a CPU, 512 on a GPU), interleaved; the ratio is of medians of seconds an
image. Writes
`benchmarks/results/transition_DEVICE.json`. The last line is one JSON object: {"ratio"}.
"""

import argparse
import json
import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor

from beliefmatch.measurement.transition import transition_curves
from beliefmatch.networks.loading.network import make_network
from machine import describe_machine, write_results
from reference.slow_transition import slow_transition_curves

NUM_SLOW = 2
NUM_FAST = {"cpu": 24, "cuda": 512}


def seconds_an_image(walk: Callable[[Tensor], object], images: Tensor) -> float:
    began = time.perf_counter()
    walk(images)
    if images.is_cuda:
        torch.cuda.synchronize()
    return (time.perf_counter() - began) / len(images)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    device = torch.device(arguments.device)
    arguments.images = arguments.images or NUM_FAST[device.type]
    guide, follower = (
        make_network("wide_resnet_16_1", in_channels=3, num_classes=10).to(device).eval() for _ in range(2)
    )
    images = torch.randn(arguments.images, 3, 32, 32, device=device)
    labels = torch.zeros(arguments.images, dtype=torch.int64, device=device)

    def slow(batch: Tensor) -> object:
        return slow_transition_curves(guide, follower, batch, labels[: len(batch)], arguments.steps)

    def fast(batch: Tensor) -> object:
        return transition_curves(guide, follower, batch, labels[: len(batch)], num_steps=arguments.steps)

    for walk in (slow, fast):
        walk(images[:1])
    rows = []
    for _ in range(arguments.repeats):
        row = {"slow": seconds_an_image(slow, images[:NUM_SLOW]), "fast": seconds_an_image(fast, images)}
        rows.append({name: round(value, 5) for name, value in row.items()})
        print(json.dumps({"seconds_an_image": rows[-1]}), flush=True)
    ratio = round(median(row["slow"] for row in rows) / median(row["fast"] for row in rows), 2)
    write_results(
        f"transition_{device.type}",
        {"machine": describe_machine(), "settings": vars(arguments), "seconds_an_image": rows, "ratio": ratio},
    )
    print(json.dumps({"ratio": ratio}))


if __name__ == "__main__":
    main()
