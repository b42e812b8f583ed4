"""Mean transition error of public students against their teachers, on real CIFAR-10 test images.

    python benchmarks/students.py [--data ../shared/data] [--images 1000] [--only NAME] [--again] [--device cpu]

A pair that is on file with as many images is not walked again, unless --again says so; the command can be stopped and
repeated. Writes `benchmarks/results/students.json`, with the machine that walked each pair. The last line
is one JSON object: {"pairs", "images"}.
"""

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from beliefmatch.data.images import read_images
from beliefmatch.measurement.transition import Guide, TransitionPlan, measure_transition
from beliefmatch.networks.examples import Images
from beliefmatch.networks.loading.network import Network
from beliefmatch.networks.normalisation import CIFAR10
from machine import RESULTS, describe_machine, write_results


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A student, a teacher, and which of them leads the way."""

    student: str
    student_architecture: str
    teacher: str
    teacher_architecture: str
    relation: str
    """What the teacher is to the student: its own, or a stand-in where its own was never released."""
    guided_by: Guide = "student"

    @property
    def name(self) -> str:
        """Names of both and of the guide."""
        return f"{self.student} / {self.teacher} / {self.guided_by}"


RAW = "wide_resnet_16_1_raw"
FROM_16_2 = Pair(
    student="wrn16_1_szamboni_zeroshot_from_wrn16_2",
    student_architecture=RAW,
    teacher="wrn16_2_szamboni",
    teacher_architecture="wide_resnet_16_2_raw",
    relation="its teacher",
)
FROM_40_1 = Pair(
    student="wrn16_1_szamboni_zeroshot_from_wrn40_1",
    student_architecture=RAW,
    teacher="wrn40_1_szamboni",
    teacher_architecture="wide_resnet_40_1_raw",
    relation="its teacher",
)
KD_AT = Pair(
    student="wrn16_1_polo5_kdat_student",
    student_architecture="wide_resnet_16_1",
    teacher="wrn40_1_ferles_s0",
    teacher_architecture="wide_resnet_40_1",
    relation="a stand-in: its WRN-40-2 is not public",
)
UNRELATED = Pair(
    student="wrn16_1_polo5",
    student_architecture="wide_resnet_16_1",
    teacher="wrn40_1_ferles_s0",
    teacher_architecture="wide_resnet_40_1",
    relation="none: both were trained alone",
)
KD_AT_16_2 = Pair(
    student="wrn16_1_polo5_kdat_student",
    student_architecture="wide_resnet_16_1",
    teacher="wrn16_2_ferles_s0",
    teacher_architecture="wide_resnet_16_2",
    relation="a stand-in: its WRN-40-2 is not public",
)
FROM_40_2 = Pair(
    student="wrn16_1_szamboni_zeroshot_from_wrn40_2",
    student_architecture=RAW,
    teacher="wrn40_1_szamboni",
    teacher_architecture="wide_resnet_40_1_raw",
    relation="a stand-in: its WRN-40-2 is not public",
)
PAIRS = (FROM_16_2, FROM_40_1, KD_AT, UNRELATED, KD_AT_16_2, FROM_40_2)


def measured(pair: Pair, data: Images, models: Path, num_images: int, device: str) -> dict[str, Any]:
    teacher, student = (
        Network(architecture=architecture, weights=models / f"{name}.safetensors").load(CIFAR10).to(device).eval()
        for architecture, name in (
            (pair.teacher_architecture, pair.teacher),
            (pair.student_architecture, pair.student),
        )
    )
    began = time.perf_counter()
    plan = TransitionPlan(num_images=num_images, guided_by=pair.guided_by)
    curves = measure_transition(teacher, student, CIFAR10, data, plan)
    low, high = curves.error_interval
    means = [curve.tolist() for curve in curves.mean_curves()]
    return {
        "student": pair.student,
        "teacher": pair.teacher,
        "relation": pair.relation,
        "guided_by": pair.guided_by,
        "images": num_images,
        "error": round(curves.error, 4),
        "interval": [round(low, 4), round(high, 4)],
        "guide_curve": [round(value, 4) for value in means[0]],
        "follower_curve": [round(value, 4) for value in means[1]],
        "seconds": round(time.perf_counter() - began, 1),
        "machine": describe_machine(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--only", default="")
    parser.add_argument("--again", action="store_true", help="walk pairs that are on file, too")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    path = RESULTS / "students.json"
    found: dict[str, Any] = json.loads(path.read_text())["pairs"] if path.is_file() else {}
    data = read_images(arguments.data / "cifar10" / "test.npz")
    for pair in PAIRS:
        is_known = found.get(pair.name, {}).get("images") == arguments.images
        if arguments.only in pair.name and (arguments.again or not is_known):
            models = arguments.data / "models" / "cifar10"
            found[pair.name] = measured(pair, data, models, arguments.images, arguments.device)
            print(json.dumps({key: found[pair.name][key] for key in ("student", "teacher", "error", "interval")}))
            write_results("students", {"pairs": found})
    print(json.dumps({"pairs": len(found), "images": arguments.images}))


if __name__ == "__main__":
    main()
