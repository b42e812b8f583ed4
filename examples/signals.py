"""A classifier of signals (channels, length) to one a quarter as wide: python examples/signals.py."""

import argparse
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

import beliefmatch as bm


def make_network(width: int = 32) -> nn.Module:
    layers = [nn.Conv1d(2, width, 9, padding=4), nn.BatchNorm1d(width), nn.ReLU(), nn.MaxPool1d(4)]
    layers += [nn.Conv1d(width, width, 9, padding=4), nn.BatchNorm1d(width), nn.ReLU(), nn.AdaptiveAvgPool1d(1)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(width, 3))


def make_student() -> nn.Module:
    return make_network(8)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("runs/signals"))
    parser.add_argument("--weights", type=Path, help="of a trained make_network; fresh ones only show that it runs")
    parser.add_argument("--rounds", type=int, default=300)
    arguments = parser.parse_args()
    weights = arguments.weights or arguments.folder.with_suffix(".safetensors")
    if not arguments.weights:
        weights.parent.mkdir(parents=True, exist_ok=True)
        save_file(make_network().state_dict(), weights)
    teacher = bm.Network(architecture=f"{__file__}:make_network", weights=weights)
    student = bm.NamedStudent(architecture=f"{__file__}:make_student")
    source = bm.Adversarial(student_steps=5, fresh_noise=True, divergence="l1", batch_norm_weight=1.0)
    shared = {"shape": (2, 64), "source": source, "objective": bm.BeliefMatching(divergence="l1")}
    transfer = bm.recipes.zero_shot(teacher=teacher, student=student, rounds=arguments.rounds, **shared)
    bm.run(transfer, bm.RunOptions(folder=arguments.folder))
    print(bm.load_student(arguments.folder)(torch.randn(1, 2, 64)))
