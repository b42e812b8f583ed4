"""A LeNet-5 for Fashion-MNIST that came as an ONNX file, to one of half its widths: python examples/onnx_teacher.py."""

import argparse
from pathlib import Path

import torch

import beliefmatch as bm

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--folder", type=Path, default=Path("runs/onnx_teacher"))
parser.add_argument("--data", type=Path, default=Path("../shared/data"))
parser.add_argument("--rounds", type=int, default=500)
arguments = parser.parse_args()

# Somebody else did this, and gave us the file alone.
weights = arguments.data / "models" / "fashion_mnist" / "lenet5_shitrit.safetensors"
given, file = bm.load_model("lenet_5", weights=weights, shape=(1, 28, 28)), arguments.folder.with_suffix(".onnx")
file.parent.mkdir(parents=True, exist_ok=True)
batch = {0: torch.export.Dim("batch")}
torch.onnx.export(given, (torch.zeros(2, 1, 28, 28),), file, dynamo=True, dynamic_shapes=(batch,), verbose=False)

transfer = bm.recipes.zero_shot(
    bm.Setup(
        teacher=bm.Network(architecture=str(file)),
        student=bm.NamedStudent(architecture="lenet_5_half"),
        mean=(0.5,),
        std=(0.5,),
        rounds=arguments.rounds,
    ),
    source=bm.Adversarial(fresh_noise=True, divergence="l1"),
    objective=bm.BeliefMatching(divergence="l1"),
)
bm.run(transfer, bm.RunOptions(folder=arguments.folder))
test = bm.read_images(arguments.data / "fashion_mnist" / "test.npz")
print(bm.measure_run(arguments.folder, test.images, test.labels))
