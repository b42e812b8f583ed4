"""A small vision transformer of timm to a smaller one, without batch-norm: python examples/vision_transformer.py."""

import argparse
from pathlib import Path

from safetensors.torch import save_file

import beliefmatch as bm
from beliefmatch.networks.loading.network import make_network

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--folder", type=Path, default=Path("runs/vision_transformer"))
parser.add_argument("--rounds", type=int, default=20)
arguments = parser.parse_args()

name = "timm:vit_tiny_patch16_224?img_size=32&patch_size=4&embed_dim=32&num_heads=2"
weights = arguments.folder.with_suffix(".safetensors")
weights.parent.mkdir(parents=True, exist_ok=True)
# Fresh weights stand for yours: this shows that it runs, not that it teaches.
save_file(make_network(f"{name}&depth=4", in_channels=3, num_classes=10).state_dict(), weights)
transfer = bm.recipes.zero_shot(
    bm.Setup(
        teacher=bm.Network(architecture=f"{name}&depth=4", weights=weights),
        student=bm.NamedStudent(architecture=f"{name}&depth=1"),
        rounds=arguments.rounds,
        batch_size=16,
    )
)
print(bm.run(transfer, bm.RunOptions(folder=arguments.folder)))
