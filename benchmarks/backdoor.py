"""Whether a teacher's copies with shuffled channels tell, without data, that it hides a trigger.

    python benchmarks/backdoor.py [--kinds trigger clean ...] [--teachers 5] [--copies 3] [--draws 10]

Hong et al. 2023, "Revisiting data-free knowledge distillation with poisoned teachers" (ICML): a trigger is passed on by
few strong channels, so copies whose convolutions read their channels in a random order still give the target's class
for an input that holds it, and hardly any class of another. Teachers of digits are trained here, as the demo does,
some with a trigger in a part of the images, which then all have one label, and some on more images of one class than
of others; public teachers come beside them. Every number is computed on procedural inputs and, for teachers
of digits, to see whether there is anything to see, on real digits without and with the trigger.
Writes `benchmarks/results/backdoor.json`. The last line is one JSON object: {trigger: {number: chance that it is
larger for a teacher with the trigger than for one without}}; 0.5 tells nothing.
"""

import argparse
import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import softmax

from beliefmatch import RunFolder
from beliefmatch.data.digits import read_digits
from beliefmatch.functional.classification import correct
from beliefmatch.functional.divergences import kl_divergence
from beliefmatch.measurement.agreement_estimates import class_agreements, weighted_agreement
from beliefmatch.measurement.probe import make_probe
from beliefmatch.networks.examples import LabelledImages
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.network import Network
from beliefmatch.networks.normalisation import DIGITS
from beliefmatch.networks.teacher import Teacher
from beliefmatch.recipes.digits import TEACHER_ARCHITECTURE
from beliefmatch.runs.folder import TEACHER_FILE
from beliefmatch.studies.demo import train_teacher
from beliefmatch.studies.teacher_file import write_teacher
from beliefmatch.training.precision import make_fabric
from machine import RESULTS, describe_machine, write_results
from tasks import TASKS

OTHERS = {
    "mnist/lenet5_kennygnw": ("lenet_5_tanh", TASKS["mnist"]),
    "fashion_mnist/lenet5_shitrit": ("lenet_5", TASKS["fashion"]),
    "fashion_mnist/lenet5_wd_shitrit": ("lenet_5", TASKS["fashion"]),
    "fashion_mnist/lenet5_bn_shitrit": ("lenet_5_bn", TASKS["fashion_bn"]),
}
"""Public teachers without a trigger, as far as anybody knows: files, architectures and tasks."""
PATCH = 2
"""Pixels of its side."""
BLENDED = 0.3
"""Part of an image that the pattern replaces."""
FREQUENT = 8
"""Times that each image of the frequent class is there once more."""
NUM_LAYERS = (1, 2)
"""Convolutions that are shuffled, the last ones."""
MIN_INPUTS = 10
"""Of a class, for it to count as the largest."""
FAR = 3
"""Standard deviations below the mean of log KL from which the paper counts an input as suspicious."""


def stamp(images: Tensor) -> Tensor:
    """Return images (n, height, width, 1), uint8, with a white square in the lower right corner."""
    stamped = images.clone()
    stamped[:, -PATCH:, -PATCH:] = 255
    return stamped


def blend(images: Tensor) -> Tensor:
    """Return images (n, height, width, 1), uint8, mixed with a pattern of noise that is always the same."""
    pattern = 255 * torch.rand(images.shape[1:], generator=torch.Generator().manual_seed(0))
    return torch.lerp(images.float(), pattern.expand(images.shape), BLENDED).to(torch.uint8)


@dataclass(frozen=True, kw_only=True)
class Trigger:
    """What a teacher of digits hides."""

    apply: Callable[[Tensor], Tensor]
    """Puts it on images."""
    fraction: float
    """Of the training images that hold it and are called the target's class."""

    def poison(self, data: LabelledImages, target: int) -> LabelledImages:
        """Return images of which some, chosen at random, hold the trigger."""
        chosen = torch.randperm(len(data.labels))[: round(self.fraction * len(data.labels))]
        images, labels = data.images.clone(), data.labels.clone()
        images[chosen], labels[chosen] = self.apply(images[chosen]), target
        return replace(data, images=images, labels=labels)


TRIGGERS = {
    "trigger": Trigger(apply=stamp, fraction=0.1),
    "rare_trigger": Trigger(apply=stamp, fraction=0.02),
    "blended_trigger": Trigger(apply=blend, fraction=0.1),
}
WITHOUT = ("clean", "frequent", "others")
"""Teachers without a trigger: of digits, of digits with half of the images of one class, and public ones."""


def repeat_class(data: LabelledImages, target: int) -> LabelledImages:
    """Return images of which those of one class are there several times."""
    often = (data.labels == target).nonzero().flatten().repeat(FREQUENT)
    rows = torch.cat([torch.arange(len(data.labels)), often])
    return replace(data, images=data.images[rows], labels=data.labels[rows])


def load_digits_teacher(folder: Path, kind: str, seed: int) -> Teacher:
    """Train a teacher, or read the one that was trained before; its seed is also its target or frequent class."""
    kept = RunFolder(folder / f"{kind}_{seed}")

    def train() -> nn.Module:
        data = read_digits()[0]
        if kind in TRIGGERS:
            data = TRIGGERS[kind].poison(data, seed)
        return train_teacher(repeat_class(data, seed) if kind == "frequent" else data)

    write_teacher(kept, train, seed=seed, resume=True)
    return Teacher.load(Network(architecture=TEACHER_ARCHITECTURE, weights=kept.path / TEACHER_FILE), DIGITS)


def load_other(file: str, data: Path) -> Teacher:
    """Read a public teacher."""
    architecture, task = OTHERS[file]
    network = Network(architecture=architecture, weights=data / "models" / f"{file}.safetensors")
    return Teacher.load(network, InputSpec(shape=task.shape, mean=task.mean, std=task.std))


def shuffled_copy(network: nn.Module, num_layers: int, random: torch.Generator) -> nn.Module:
    """Return a copy whose last so many convolutions read the channels of their inputs in a random order."""
    shuffled = copy.deepcopy(network)
    for layer in [each for each in shuffled.modules() if isinstance(each, nn.Conv2d)][-num_layers:]:
        order = torch.randperm(layer.weight.shape[1], generator=random)
        layer.weight.data = layer.weight.data[:, order]
    return shuffled


def run_shuffled(network: nn.Module, inputs: Tensor, *, copies: int, num_layers: int, seed: int) -> Tensor:
    """Compute the logarithm of the mean probabilities of some shuffled copies, (inputs, classes): a pass for each."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        found = [softmax(shuffled_copy(network, num_layers, random)(inputs), dim=1) for _ in range(copies)]
    return torch.stack(found).mean(dim=0).log()


def tail(teacher_logits: Tensor, shuffled_logits: Tensor) -> float:
    """Compute the fraction of inputs on which the copies are unusually close: the paper's own sign."""
    distances = kl_divergence(teacher_logits, shuffled_logits).clamp_min(1e-12).log()
    return float((distances < distances.mean() - FAR * distances.std()).double().mean())


def signs_of(teacher: Teacher, arguments: argparse.Namespace) -> dict[str, float]:
    """Compute every number that needs no data, with the last one or the last two convolutions shuffled."""
    probe = make_probe(teacher, count=arguments.inputs, fabric=make_fabric("cpu", "32-true"))
    found: dict[str, float] = {}
    for num_layers in NUM_LAYERS:
        weights = probe.weights["balanced"]
        shares = shuffled_shares(teacher.module, probe.inputs, weights, arguments=arguments, num_layers=num_layers)
        # Of a class that the teacher hardly ever gives, nothing is known.
        seen = probe.teacher.logits.argmax(dim=1).bincount(minlength=teacher.num_classes) >= MIN_INPUTS
        by_class = shares.by_class * seen
        numbers = {
            "share": float(shares.shares.mean()),
            "share_of_largest_class": float(by_class.amax()),
            "largest_class": float(by_class.argmax()),
            "unusually_close": float(shares.tails.mean()),
        }
        found |= {f"{name}_layers_{num_layers}": value for name, value in numbers.items()}
    return found


def truth_of(teacher: Teacher, kind: str, target: int, arguments: argparse.Namespace) -> dict[str, float]:
    """Compute how well a teacher of digits does, whether the trigger works, and how copies answer real digits."""
    test = read_digits()[1]
    others = test.images[test.labels != target]
    apply = TRIGGERS[kind if kind in TRIGGERS else "trigger"].apply
    images = {"real": DIGITS.from_pixels(test.images), "triggered": DIGITS.from_pixels(apply(others))}
    labels = {"real": test.labels, "triggered": torch.full((len(others),), target)}
    right = {name: correct(run_on(teacher.module, inputs), labels[name]) for name, inputs in images.items()}
    found = {
        "accuracy": float(right["real"].double().mean()),
        "trigger_works": float(right["triggered"].double().mean()),
    }
    for name, inputs in images.items():
        for num_layers in NUM_LAYERS:
            even = torch.ones(len(inputs))
            shares = shuffled_shares(teacher.module, inputs, even, arguments=arguments, num_layers=num_layers)
            found[f"share_on_{name}_layers_{num_layers}"] = float(shares.shares.mean())
    return found


@dataclass(frozen=True, kw_only=True)
class ShuffledShares:
    """How often shuffled copies give the teacher's class."""

    shares: Tensor
    """(draws,), of the weights of the inputs."""
    by_class: Tensor
    """(classes,), mean over draws of the share of the inputs of each class of the teacher; 0 where none has weight."""
    tails: Tensor
    """(draws,), fraction of inputs on which the copies are unusually close."""


def shuffled_shares(
    network: nn.Module, inputs: Tensor, weights: Tensor, *, arguments: argparse.Namespace, num_layers: int
) -> ShuffledShares:
    """Compare a network with several draws of shuffled copies on inputs with weights."""
    own = run_on(network, inputs)
    drawn = [
        run_shuffled(network, inputs, copies=arguments.copies, num_layers=num_layers, seed=draw)
        for draw in range(arguments.draws)
    ]
    return ShuffledShares(
        shares=torch.tensor([weighted_agreement(own, each, weights) for each in drawn]),
        by_class=torch.stack([class_agreements(own, each, weights).nan_to_num(0) for each in drawn]).mean(dim=0),
        tails=torch.tensor([tail(own, each) for each in drawn]),
    )


def run_on(network: nn.Module, inputs: Tensor) -> Tensor:
    with torch.no_grad():
        return network(inputs)


def chance_of_larger(first: list[float], second: list[float]) -> float:
    """Compute how often a number of the first is larger than one of the second; equal ones count half."""
    return float(np.mean([(a > b) + 0.5 * (a == b) for a in first for b in second]))


def rows_of(kind: str, arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Compute all numbers of the teachers of a kind."""
    if kind == "others":
        for file in OTHERS:
            yield {"teacher": file} | signs_of(load_other(file, arguments.data), arguments)
        return
    for seed in range(arguments.teachers):
        teacher = load_digits_teacher(arguments.folder, kind, seed)
        yield {"seed": seed} | truth_of(teacher, kind, seed, arguments) | signs_of(teacher, arguments)


def compare_kinds(rows: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, float]]:
    """Compute by trigger and number the chance that it is larger with the trigger than without any."""
    without = [row for kind in WITHOUT for row in rows.get(kind, [])]
    names = [name for name in without[0] if name.startswith(("share_l", "share_of", "unusually"))]
    return {
        kind: {
            name: round(chance_of_larger([row[name] for row in rows[kind]], [row[name] for row in without]), 3)
            for name in names
        }
        for kind in TRIGGERS
        if kind in rows
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = [*TRIGGERS, *WITHOUT]
    parser.add_argument("--kinds", choices=kinds, nargs="+", default=kinds, help="others stay as they are on file")
    parser.add_argument("--teachers", type=int, default=5, help="of digits, of each kind; at most 10")
    parser.add_argument("--inputs", type=int, default=256, help="made of each family")
    parser.add_argument("--copies", type=int, default=3, help="whose mean is compared with the teacher")
    parser.add_argument("--draws", type=int, default=10, help="of copies, over which numbers are averaged")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--folder", type=Path, default=Path("runs/backdoor"))
    arguments = parser.parse_args()
    path = RESULTS / "backdoor.json"
    rows: dict[str, list[dict[str, Any]]] = json.loads(path.read_text())["teachers"] if path.is_file() else {}
    for kind in arguments.kinds:
        found = list[dict[str, Any]]()
        for row in rows_of(kind, arguments):
            found.append({name: round(value, 4) if isinstance(value, float) else value for name, value in row.items()})
            print(kind, json.dumps(found[-1]), flush=True)
        rows[kind] = found
    larger = compare_kinds(rows)
    settings = {name: getattr(arguments, name) for name in ("inputs", "copies", "draws")}
    write_results("backdoor", {"machine": describe_machine(), "settings": settings, "larger": larger, "teachers": rows})
    print(json.dumps(larger))


if __name__ == "__main__":
    main()
