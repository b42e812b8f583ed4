"""A public ResNet-56 for CIFAR-10 to a ResNet-20: python examples/cifar_resnet.py --data ../shared/data."""

import argparse
from pathlib import Path

import beliefmatch as bm

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--folder", type=Path, default=Path("runs/cifar_resnet"))
parser.add_argument("--data", type=Path, default=Path("../shared/data"))
parser.add_argument("--rounds", type=int, default=20_000)
parser.add_argument("--batch-size", type=int, default=128)
parser.add_argument("--test-images", type=int, default=10_000)
arguments = parser.parse_args()

transfer = bm.recipes.zero_shot(
    bm.Setup(
        teacher=bm.Network(
            architecture="cifar_resnet_56",
            weights=arguments.data / "models" / "cifar10" / "resnet56_akamaster.safetensors",
        ),
        student=bm.NamedStudent(architecture="cifar_resnet_20"),
        dataset="cifar10",
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        rounds=arguments.rounds,
        batch_size=arguments.batch_size,
    ),
    source=bm.Adversarial(fresh_noise=True, divergence="l1", batch_norm_weight=1.0),
)
bm.run(transfer, bm.RunOptions(folder=arguments.folder))
test = bm.read_images(arguments.data / "cifar10" / "test.npz")
assert test.labels is not None
few = slice(arguments.test_images)
print(bm.measure_run(arguments.folder, test.images[few], test.labels[few]))
