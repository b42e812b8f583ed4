"""A network in 8 bits, a quarter of its size, without data: python examples/quantized_network.py."""

import argparse
from pathlib import Path

import onnxruntime
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy

import beliefmatch as bm

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--folder", type=Path, default=Path("runs/quantized_network"))
parser.add_argument("--num-inputs", type=int, default=256, help="made inputs to calibrate on")
arguments = parser.parse_args()
pixels, labels = map(torch.tensor, load_digits(return_X_y=True))
images = (pixels.float().view(-1, 1, 8, 8) / 16 - 0.3) / 0.38
torch.manual_seed(0)
layers = [nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU()]
layers += [nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU()]
network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(256, 10))
optimiser = torch.optim.Adam(network.parameters(), lr=2e-3)
for rows in [rows for _ in range(6) for rows in torch.randperm(1257).split(64)]:
    optimiser.zero_grad()
    cross_entropy(network(images[rows]), labels[rows]).backward()
    optimiser.step()
settings = bm.QuantizationSettings(num_inputs=arguments.num_inputs)
made = bm.quantize(
    network.eval(), arguments.folder / "digits.onnx", shape=(1, 8, 8), mean=0.3, std=0.38, settings=settings
)
(logits,) = onnxruntime.InferenceSession(made.file).run(None, {"inputs": images[1257:].numpy()})
for name, outputs in (("in 32 bits", network(images[1257:])), ("in 8 bits", torch.tensor(logits))):
    print(f"{name}: accuracy {float((outputs.argmax(1) == labels[1257:]).float().mean()):.3f}")
print(f"{made.quantization.bytes / made.quantization.float_bytes:.2f} of the bytes")
