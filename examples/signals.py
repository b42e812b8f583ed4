"""A classifier of signals (channels, length) to one a quarter as wide: python examples/signals.py."""

import argparse
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch.nn.functional import cross_entropy

import beliefmatch as bm
from beliefmatch.networks.loading.network import make_network

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--folder", type=Path, default=Path("runs/signals"))
parser.add_argument("--rounds", type=int, default=300)
parser.add_argument("--seed", type=int, default=0)
arguments = parser.parse_args()
torch.manual_seed(arguments.seed)
# Sines, square waves and chirps of random frequency and phase, in noise: 6000 to train on, 1000 held back.
labels, time = torch.randint(3, (7000, 1, 1)), torch.linspace(0, 1, 64)
angle = 6.28 * ((2 + 4 * torch.rand(labels.shape)) * (time + (labels == 2) * time**2) + torch.rand(7000, 2, 1))
signals = torch.where(labels == 1, angle.sin().sign(), angle.sin()) + 0.5 * torch.randn(7000, 2, 64)
network = make_network("fcn_32", in_channels=2, num_classes=3)
optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
for rows in [rows for _ in range(4) for rows in torch.randperm(6000).split(64)]:
    cross_entropy(network(signals[rows]), labels[rows, 0, 0]).backward()
    optimiser.step()
    optimiser.zero_grad()
weights = arguments.folder.with_suffix(".safetensors")
weights.parent.mkdir(parents=True, exist_ok=True)
save_file(network.state_dict(), weights)
teacher = bm.Network(architecture="fcn_32", weights=weights, num_classes=3)
source = bm.Adversarial(student_steps=5, fresh_noise=True, divergence="l1", batch_norm_weight=1.0)
student = bm.NamedStudent(architecture="fcn_8")
setup = bm.Setup(teacher=teacher, student=student, shape=(2, 64), rounds=arguments.rounds, seed=arguments.seed)
transfer = bm.recipes.zero_shot(setup, source=source, objective=bm.BeliefMatching(divergence="l1"))
bm.run(transfer, bm.RunOptions(folder=arguments.folder))
found = bm.measure_run(arguments.folder, signals[6000:], labels[6000:, 0, 0], name="held-back signals")
print(f"teacher {found.teacher_accuracy:.3f}\nstudent {found.student_accuracy:.3f}")
