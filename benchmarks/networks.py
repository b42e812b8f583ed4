"""Accuracy of every shared network against the accuracy its source documents.

    python benchmarks/networks.py [--data ../shared/data] [--num-images 10000]

Loads third-party networks by the key mappings of `networks/loading/state_dict_keys.py`, or from a Python file, as a
user would, where they are no architecture of ours. Measures each on test images of its data set, prints a table and
writes it to `benchmarks/results/networks.json` and `docs/networks.md`. There are no SVHN images, so the SVHN networks
are measured as their sidecars were: on the first 2000 MNIST images in colour, a sign that they were read right.
The last line is one JSON object: {"networks", "largest_gap"}, the gap in percentage points.
"""

import argparse
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from beliefmatch.networks.examples import LabelledImages
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.network import Network
from labelled import measure_accuracy, read_labelled_images
from machine import describe_machine, table, write_results

SANITY_IMAGES = 2000


@dataclass(frozen=True, kw_only=True)
class SharedNetwork:
    """A third-party network: what it is, what it takes and what it should reach."""

    name: str
    network: Network
    spec: InputSpec
    images: Path
    documented_accuracy: float
    """Percent."""
    is_sanity_check: bool


def find_networks(data: Path) -> list[SharedNetwork]:
    """Describe every network of images under data/models by its sidecar."""
    sidecars = [(path, json.loads(path.read_text())) for path in sorted((data / "models").glob("*/*.json"))]
    return [_describe(path, facts, data) for path, facts in sidecars if facts["input"]["layout"].startswith("NCHW")]


def _describe(sidecar: Path, facts: dict[str, Any], data: Path) -> SharedNetwork:
    inputs, measured = facts["input"], facts["measured"]
    # Sidecars of networks that came later have other keys.
    documented = measured.get("test_accuracy_percent", measured.get("accuracy_percent"))
    is_sanity_check = documented is None
    return SharedNetwork(
        name=f"{sidecar.parent.name}/{sidecar.stem}",
        network=Network(architecture=architecture_name(facts), weights=sidecar.with_suffix(".safetensors")),
        spec=_raw_pixels() if inputs["scale"].startswith("raw pixel") else _normalised(facts),
        images=data / ("mnist" if is_sanity_check else sidecar.parent.name) / "test.npz",
        documented_accuracy=measured["sanity_accuracy_percent"] if is_sanity_check else documented,
        is_sanity_check=is_sanity_check,
    )


def _normalised(facts: dict[str, Any]) -> InputSpec:
    inputs = facts["input"]
    resized = facts["architecture"]["family"] == "wide_resnet"
    side = 32 if resized or inputs["channels"] == 3 else 28
    return InputSpec(shape=(inputs["channels"], side, side), mean=tuple(inputs["mean"]), std=tuple(inputs["std"]))


def _raw_pixels() -> InputSpec:
    """Describe pixels from 0 to 255: those in [0, 1], divided by 1/255."""
    return InputSpec(shape=(3, 32, 32), mean=(0.0,) * 3, std=(1 / 255,) * 3)


def architecture_name(facts: dict[str, Any]) -> str:
    """Name the architecture that a sidecar describes."""
    shape = facts["architecture"]
    match shape["family"]:
        case "wide_resnet":
            raw = "_raw" if shape["shortcut_input"] == "raw" else ""
            return f"wide_resnet_{shape['depth']}_{shape['widen_factor']}{raw}"
        case "cifar_resnet":
            return f"cifar_resnet_{shape['depth']}{'_b' if shape['shortcut'] == 'B' else ''}"
        case "lenet5" if facts["input"]["channels"] == 3:
            return "lenet_32"
        case "lenet5":
            norm = "_bn" if shape.get("batch_norm") else ""
            return f"lenet_5{norm}{'_tanh' if shape.get('activation') == 'tanh' else ''}"
        case "resnet8_mlperf_tiny":
            return f"{Path(__file__).parent / 'reference' / 'keras_resnet.py'}:make_resnet8"
        case family:
            raise ValueError(f"unknown family {family}")


def first_images(shared: SharedNetwork, num_images: int) -> LabelledImages:
    """Read the first images of its test set; those of a sanity check in colour."""
    data = _read(shared.images)
    images = data.images.expand(-1, -1, -1, 3) if shared.is_sanity_check else data.images
    return LabelledImages(images=images[:num_images], labels=data.labels[:num_images])


@cache
def _read(path: Path) -> LabelledImages:
    return read_labelled_images(path)


def measured_accuracy(shared: SharedNetwork, num_images: int) -> float:
    """Measure one network on the first images of its test set, in percent."""
    data = first_images(shared, min(num_images, SANITY_IMAGES) if shared.is_sanity_check else num_images)
    images, labels = data.images, data.labels
    return 100 * measure_accuracy(shared.network.load(shared.spec), shared.spec, images, labels)


PAGE = Path(__file__).parents[1] / "docs" / "networks.md"


def write_page(rows: list[dict]) -> None:
    """Write the table as a page of the documents."""
    machine = describe_machine()
    PAGE.write_text(
        "# Third-party networks\n\n"
        "Accuracy in percent of public networks, loaded by the key mappings of `networks/loading/state_dict_keys.py`,\n"
        "against what is documented for these very files, on all 10,000 test images of their data set. There are no\n"
        "SVHN images, so those networks are measured as documented: on the first 2000 MNIST test images in colour, a\n"
        "sign that the weights were read right and no more.\n\n"
        f"`python benchmarks/networks.py`, {machine['cores']} cores of {machine['processor']}, "
        f"torch {machine['versions']['torch']}, {machine['date']}.\n\n"
        f"{table(rows)}\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--num-images", type=int, default=10_000)
    arguments = parser.parse_args()
    rows = []
    for shared in find_networks(arguments.data):
        accuracy = measured_accuracy(shared, arguments.num_images)
        row = {
            "name": shared.name,
            "architecture": shared.network.architecture,
            "documented": shared.documented_accuracy,
            "measured": round(accuracy, 2),
            "images": "first 2000 of MNIST, in colour" if shared.is_sanity_check else shared.images.parent.name,
        }
        rows.append(row)
        print(
            f"{row['name']:<55} {row['architecture']:<22} {row['documented']:6.2f} {row['measured']:6.2f}", flush=True
        )
    write_results("networks", {"machine": describe_machine(), "num_images": arguments.num_images, "networks": rows})
    write_page(rows)
    largest = max(abs(row["measured"] - row["documented"]) for row in rows)
    print(json.dumps({"networks": len(rows), "largest_gap": round(largest, 4)}))


if __name__ == "__main__":
    main()
