"""A teacher of 64 features, without batch-norm, to a smaller one: python examples/tabular_digits.py."""

import argparse
from pathlib import Path

import torch
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from torch.nn.functional import cross_entropy

import beliefmatch as bm
from beliefmatch.networks.loading.network import make_network

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--folder", type=Path, default=Path("runs/tabular_digits"))
parser.add_argument("--rounds", type=int, default=500)
parser.add_argument("--seed", type=int, default=0)
arguments = parser.parse_args()
pixels, labels = map(torch.tensor, load_digits(return_X_y=True))
features = (pixels.float() - 4.9) / 6.0
torch.manual_seed(arguments.seed)
network = make_network("mlp_128_64", in_channels=64, num_classes=10)
optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
for rows in [rows for _ in range(60) for rows in torch.randperm(1257).split(64)]:
    optimiser.zero_grad()
    cross_entropy(network(features[rows]), labels[rows]).backward()
    optimiser.step()
arguments.folder.parent.mkdir(parents=True, exist_ok=True)
save_file(network.state_dict(), weights := arguments.folder.with_suffix(".safetensors"))
teacher, student = bm.Network(architecture="mlp_128_64", weights=weights), bm.NamedStudent(architecture="mlp_32")
transfer = bm.recipes.zero_shot(
    bm.Setup(teacher=teacher, student=student, shape=(64,), rounds=arguments.rounds, seed=arguments.seed),
    source=bm.Adversarial(fresh_noise=True, divergence="l1", learning_rate=1e-4),
    objective=bm.BeliefMatching(divergence="l1"),
    optimiser=bm.Adam(learning_rate=5e-3, gradient_clip=5.0),
)
bm.run(transfer, bm.RunOptions(folder=arguments.folder))
found = bm.measure_run(arguments.folder, features[1257:], labels[1257:], name="held-back digits")
print(f"teacher {found.teacher_accuracy:.3f}\nstudent {found.student_accuracy:.3f}")
