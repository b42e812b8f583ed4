"""Accuracy of every shared network against the accuracy its source documents.

    python benchmarks/networks.py [--data ../shared/data] [--num-images 10000]

Loads third-party networks by the key mappings of `networks/loading/state_dict_keys.py`, measures each on test images
of its data set, prints a table and writes it to `benchmarks/results/networks.json` and `docs/networks.md`. There are
no SVHN images, so the SVHN networks are measured as their sidecars were: on the first 2000 MNIST images in colour, a
sign that they were read right.
The last line is one JSON object: {"networks", "largest_gap"}, the gap in percentage points.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from beliefmatch.data.images import read_labelled_images
from beliefmatch.measurement.predictions import measure_accuracy
from beliefmatch.networks.examples import LabelledImages
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.network import Network
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
    """Describe every network under data/models that the key mappings know, by its sidecar."""
    sidecars = {path: json.loads(path.read_text()) for path in sorted((data / "models").glob("*/*.json"))}
    # Sidecars of other networks, which a user's own Python file would define, document their accuracy in other words.
    return [
        _describe(path, facts, data) for path, facts in sidecars.items() if "test_accuracy_percent" in facts["measured"]
    ]


def _describe(sidecar: Path, facts: dict[str, Any], data: Path) -> SharedNetwork:
    inputs, measured = facts["input"], facts["measured"]
    is_sanity_check = measured["test_accuracy_percent"] is None
    resized = facts["architecture"]["family"] == "wide_resnet"
    side = 32 if resized or inputs["channels"] == 3 else 28
    return SharedNetwork(
        name=f"{sidecar.parent.name}/{sidecar.stem}",
        network=Network(architecture=architecture_name(facts), weights=sidecar.with_suffix(".safetensors")),
        spec=InputSpec(shape=(inputs["channels"], side, side), mean=tuple(inputs["mean"]), std=tuple(inputs["std"])),
        images=data / ("mnist" if is_sanity_check else sidecar.parent.name) / "test.npz",
        documented_accuracy=measured["sanity_accuracy_percent" if is_sanity_check else "test_accuracy_percent"],
        is_sanity_check=is_sanity_check,
    )


def architecture_name(facts: dict) -> str:
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
        case family:
            raise ValueError(f"unknown family {family}")


def measured_accuracy(shared: SharedNetwork, num_images: int) -> float:
    """Measure one network on the first images of its test set, in percent."""
    data = read_labelled_images(shared.images)
    if shared.is_sanity_check:
        num_images = min(num_images, SANITY_IMAGES)
        data = LabelledImages(images=data.images.expand(-1, -1, -1, 3), labels=data.labels)
    images, labels = data.images[:num_images], data.labels[:num_images]
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
