"""Half of a network's multiply-accumulates, without another architecture: python examples/pruned_student.py."""

import argparse
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy

import beliefmatch as bm

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--folder", type=Path, default=Path("runs/pruned_student"))
parser.add_argument("--rounds", type=int, default=20)
parser.add_argument("--keep", type=float, default=0.5, help="part of the multiply-accumulates")
arguments = parser.parse_args()
pixels, labels = map(torch.tensor, load_digits(return_X_y=True))
images = (pixels.float().view(-1, 1, 8, 8) / 16 - 0.3) / 0.38
torch.manual_seed(0)
layers = [nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU()]
layers += [nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU()]
teacher = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(256, 10))
optimiser = torch.optim.Adam(teacher.parameters(), lr=2e-3)
for rows in [rows for _ in range(6) for rows in torch.randperm(1257).split(64)]:
    optimiser.zero_grad()
    cross_entropy(teacher(images[rows]), labels[rows]).backward()
    optimiser.step()
result = bm.compress(
    teacher,
    f"thin:{arguments.keep}",
    shape=(1, 8, 8),
    mean=0.3,
    std=0.38,
    rounds=arguments.rounds,
    folder=arguments.folder,
)
found = result.measure(bm.Inputs(inputs=images[1257:], labels=labels[1257:]))
print(f"teacher {found.teacher_accuracy:.3f}\nstudent {found.student_accuracy:.3f}\n{result!r}")
