"""A student from timm for a teacher of CIFAR-10: python examples/timm_student.py --data ../shared/data."""

import argparse
from pathlib import Path

import beliefmatch as bm

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--folder", type=Path, default=Path("runs/timm_student"))
parser.add_argument("--data", type=Path, default=Path("../shared/data"))
parser.add_argument("--student", default="timm:mobilenetv3_small_050", help="any name that timm.list_models() gives")
parser.add_argument("--rounds", type=int, default=20_000)
parser.add_argument("--batch-size", type=int, default=128)
arguments = parser.parse_args()

transfer = bm.recipes.zero_shot(
    bm.Setup(
        teacher=bm.Network(
            architecture="cifar_resnet_56",
            weights=arguments.data / "models" / "cifar10" / "resnet56_akamaster.safetensors",
        ),
        student=bm.NamedStudent(architecture=arguments.student),
        dataset="cifar10",
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        rounds=arguments.rounds,
        batch_size=arguments.batch_size,
    ),
    source=bm.Adversarial(fresh_noise=True, divergence="l1", batch_norm_weight=1.0),
)
print(bm.run(transfer, bm.RunOptions(folder=arguments.folder)))
network = bm.load_student(arguments.folder)
print(f"{type(network).__name__} with {sum(p.numel() for p in network.parameters()):,} parameters")
