"""8-bit networks without data beside calibration on real images: accuracy, divergence, size and latency.

    python benchmarks/quantization.py [--only resnet20] [--seeds 0 1 2] [--inputs 256]
    python benchmarks/quantization.py --few-bits quantized:w4a4 [--only resnet20] [--rounds 25] [--batch-size 128]

For each network and seed, made inputs of each kind and as many real images calibrate onnxruntime's static quantisation
(8 bits, per channel); `auto` is what `beliefmatch quantize` writes, chosen without data. Test images measure, and
choose nothing; the real images that calibrate are others. Writes benchmarks/results/quantization.json, row by row, and
keeps what is there of other networks. The last line is one JSON object: {network: accuracy lost by auto, in points}.

With --few-bits, students that simulate few bits are trained by the recipe best instead; --warm-up batches fill its pool
at first. Their last line is {network: {student: accuracy after training, in percent}}.
"""

import argparse
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from beliefmatch import (
    LabelledImages,
    Network,
    QuantizationSettings,
    RunOptions,
    load_student,
    read_examples,
    recipes,
    run,
)
from beliefmatch.export import onnx
from beliefmatch.export.graph import DeployedGraph
from beliefmatch.functional.classification import correct
from beliefmatch.networks.examples import Images
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.teacher import Teacher
from beliefmatch.quantization.comparison import compare_logits, predict_by_onnxruntime
from beliefmatch.quantization.quantize import quantize_network
from beliefmatch.quantization.static import CalibratedGraph, StaticSettings, prepare_graph
from beliefmatch.sources.procedural_pool import ProceduralPool
from beliefmatch.students.base import build_student
from beliefmatch.students.named import NamedStudent
from labelled import measure_accuracy, read_labelled_images
from machine import RESULTS, describe_machine, rounded_spread, write_results
from tasks import CIFAR10, FASHION_BN, MOBILENET, TASKS, Task, percent, teacher_weights

NUM_TEST = 10_000


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A public network, what it was trained on, and where real images to calibrate on are."""

    task: Task
    architecture: str
    weights: str | None
    """A file of shared weights. None: the task trains the network."""
    training_images: str


CIFAR, FASHION = "cifar10/train_subset.npz", "fashion_mnist/train.npz"
SUBJECTS = {
    "resnet20": Subject(
        task=CIFAR10,
        architecture="cifar_resnet_20_b",
        weights="cifar10/resnet20_chenyaofo",
        training_images=CIFAR,
    ),
    "wrn16_2": Subject(
        task=CIFAR10, architecture="wide_resnet_16_2", weights="cifar10/wrn16_2_ferles_s0", training_images=CIFAR
    ),
    "resnet56": Subject(
        task=TASKS["cifar10_resnet_gpu"],
        architecture="cifar_resnet_56",
        weights="cifar10/resnet56_akamaster",
        training_images=CIFAR,
    ),
    "resnet8": Subject(
        task=TASKS["cifar10_resnet8"],
        architecture=TASKS["cifar10_resnet8"].teacher,
        weights="cifar10/resnet8_mlperftiny",
        training_images=CIFAR,
    ),
    "fashion": Subject(
        task=TASKS["fashion"],
        architecture="lenet_5",
        weights="fashion_mnist/lenet5_shitrit",
        training_images=FASHION,
    ),
    "fashion_bn": Subject(
        task=FASHION_BN,
        architecture="lenet_5_bn",
        weights="fashion_mnist/lenet5_bn_shitrit",
        training_images=FASHION,
    ),
    "mnist": Subject(
        task=TASKS["mnist"],
        architecture="lenet_5_tanh",
        weights="mnist/lenet5_kennygnw",
        training_images="mnist/train.npz",
    ),
    "mobilenet": Subject(task=MOBILENET, architecture=MOBILENET.teacher, weights=None, training_images=FASHION),
}


def row_of(in_32_bits: torch.Tensor, in_8_bits: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    """Compare outputs on test images."""
    close = compare_logits(in_32_bits, in_8_bits)
    return {
        "accuracy": round(100 * float(correct(in_8_bits, labels).float().mean()), 2),
        "agreement": round(100 * close.agreement, 2),
        "divergence": round(close.divergence, 5),
    }


def network_of(name: str, data: Path, folder: Path) -> Network:
    """Return one of the networks with its weights, which are trained where they are not shared."""
    subject = SUBJECTS[name]
    weights = data / "models" / f"{subject.weights}.safetensors"
    if subject.weights is None:
        weights = teacher_weights(name, data, folder, 0, subject.task)
    return Network(architecture=subject.architecture, weights=weights)


def train_in_few_bits(name: str, student: str, arguments: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Train a student in few bits without data, and measure it before and after."""
    task = SUBJECTS[name].task
    setup = recipes.Setup(
        teacher=network_of(name, arguments.data, arguments.folder),
        student=NamedStudent(architecture=student),
        shape=task.shape,
        mean=task.mean,
        std=task.std,
        rounds=arguments.rounds,
        batch_size=arguments.batch_size,
        seed=seed,
    )
    transfer = recipes.best(setup, source=ProceduralPool(warm_up=arguments.warm_up))
    teacher = Teacher.load(transfer.teacher, transfer.inputs)
    test = read_labelled_images(arguments.data / task.images)
    images = LabelledImages(images=test.images[: arguments.images], labels=test.labels[: arguments.images])
    folder = arguments.folder / f"{name}_{student.replace(':', '_')}_rounds_{arguments.rounds}_seed_{seed}"
    result = run(transfer, RunOptions(folder=folder, resume=True, accelerator="cpu"))
    made = load_student(folder, trust_code=True)
    networks = {"teacher": teacher.module, "before": build_student(transfer.student, teacher)[0], "after": made}
    return {
        **{name: percent(measure_accuracy(network, transfer.inputs, images)) for name, network in networks.items()},
        "images": len(images),
        "rounds": arguments.rounds,
        "batch_size": arguments.batch_size,
        "warm_up": arguments.warm_up,
        "seed": seed,
        "seconds": result.seconds,
        "bytes": result.student_bytes,
        "teacher_bytes": result.teacher_bytes,
    }


def measure(subject: Subject, network: Network, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Quantise one network in every way."""
    task, data, num_inputs = subject.task, arguments.data, arguments.inputs
    spec = InputSpec(shape=task.shape, mean=task.mean, std=task.std)
    teacher = Teacher.load(network, spec)
    test = read_examples(data / task.images)
    inputs, labels = test.to_inputs(spec, slice(arguments.images)), test.needed_labels()[: arguments.images]
    content = onnx.write(DeployedGraph(teacher.module, spec, None), spec)
    in_32_bits = predict_by_onnxruntime(content, inputs)
    rows: dict[str, Any] = {"float": row_of(in_32_bits, in_32_bits, labels)}
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        settings = QuantizationSettings(num_inputs=num_inputs, seed=seed)
        made = quantize_network(teacher.module, spec, Path(folder) / "auto.onnx", settings=settings)
        found = made.quantization
        rows["auto"] = row_of(in_32_bits, predict_by_onnxruntime(made.file.read_bytes(), inputs), labels)
        rows["auto"] |= {
            "calibration": found.calibration,
            "ranges": found.ranges,
            "keep_float": found.keep_float,
            "bytes": found.bytes,
            "float_bytes": found.float_bytes,
            "seconds_a_latency": found.latency,
            "float_seconds_a_latency": found.float_latency,
            "seconds": round(time.perf_counter() - began, 1),
            "bias_correction": found.bias_correction,
            "candidates": {
                f"{each.calibration} {each.ranges}{' corrected' * each.bias_correction}": round(each.divergence, 5)
                for each in found.candidates
            },
        }
        graph = prepare_graph(content)
        stored = read_examples(data / subject.training_images)
        assert isinstance(stored, Images)
        chosen = torch.randperm(len(stored), generator=torch.Generator().manual_seed(seed))[:num_inputs]
        noise = torch.randn((num_inputs, *spec.shape), generator=torch.Generator().manual_seed(seed))
        for name, calibrating in (("real", stored.to_inputs(spec, chosen)), ("noise", noise)):
            where = Path(folder) / name
            where.mkdir()
            quantised = CalibratedGraph(graph, calibrating, where).quantize(StaticSettings())
            rows[name] = row_of(in_32_bits, predict_by_onnxruntime(quantised, inputs), labels)
    return rows


def read_stored() -> dict[str, Any]:
    """Read what is on file, anew each time, since other runs of this script may have written since."""
    path = RESULTS / "quantization.json"
    stored = json.loads(path.read_text()) if path.is_file() else {}
    return {"networks": {}, "few_bits": {}} | stored


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=SUBJECTS, nargs="+", default=list(SUBJECTS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--inputs", type=int, default=256, help="made inputs, and real images beside them")
    parser.add_argument("--few-bits", nargs="+", default=[], help="students to train, such as quantized:w4a4")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--warm-up", type=int, default=8, help="batches that fill the pool at first")
    parser.add_argument("--images", type=int, default=NUM_TEST, help="test images that are measured on")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--folder", type=Path, default=Path("runs/quantization"))
    arguments = parser.parse_args()
    if arguments.few_bits:
        for name in arguments.only:
            for student in arguments.few_bits:
                runs = [train_in_few_bits(name, student, arguments, seed) for seed in arguments.seeds]
                stored = read_stored()
                stored["few_bits"].setdefault(name, {})[student] = {"runs": runs, "machine": describe_machine()}
                print(name, student, json.dumps(runs), flush=True)
                write_results("quantization", stored)
        few_bits = read_stored()["few_bits"]
        after = {
            name: {each: few_bits[name][each]["runs"][0]["after"] for each in arguments.few_bits}
            for name in arguments.only
        }
        print(json.dumps(after))
        return
    for name in arguments.only:
        network = network_of(name, arguments.data, arguments.folder)
        runs = [measure(SUBJECTS[name], network, seed, arguments) for seed in arguments.seeds]
        lost = {
            way: rounded_spread([run["float"]["accuracy"] - run[way]["accuracy"] for run in runs], 2)
            for way in ("auto", "real", "noise")
        }
        stored = read_stored()
        stored["networks"][name] = {
            "runs": runs,
            "accuracy_lost": lost,
            "inputs": arguments.inputs,
            "images": arguments.images,
            "seeds": arguments.seeds,
        }
        print(name, lost, flush=True)
        write_results("quantization", stored | {"machine": describe_machine()})
    networks = read_stored()["networks"]
    print(json.dumps({name: networks[name]["accuracy_lost"]["auto"][0] for name in arguments.only}))


if __name__ == "__main__":
    main()
