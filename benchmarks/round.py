"""Speed of one round of the paper's recipe: naive, ours in 32 bits, ours as shipped.

    python benchmarks/round.py [--pair 40-2:16-1] [--quick] [--repeats 3] [--batch-size 128] [--device cpu] [--profile]

Pairs are TEACHER:STUDENT, of Wide ResNets on 3x32x32 or lenet_5:lenet_5_half on 1x28x28; all of them unless one is
named. (a) is the round of reference/naive_round.py; (b) is our loop in fp32; (c) is our loop as a user gets it, with
the precision and the execution that `auto` chooses for the recipe's 80,000 rounds; on a GPU, where that is to compile,
(d) is (c) without. Repeats are interleaved and medians taken; each way is a process of its own, and all of them warm up
before the first is timed, on a GPU those of all pairs at once. A round shows each of its eleven steps a batch of
images. FLOP/s are of the work that each way really does, as torch counts it, against a large matrix product in the same
precision in the same run; 32 bits on a GPU are TF32, as torch's convolutions are. Weights are fresh, which changes
nothing about speed. Writes `benchmarks/results/round_DEVICE.json`, but for --quick, which on a CPU times one round each
way, the naive one without a first to warm up. The last line for each pair is one JSON object: {"pair", "speedup_fp32",
"speedup_shipped"}.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from beliefmatch.networks.cost import peak_memory
from beliefmatch.networks.loading.network import Network, make_network
from beliefmatch.recipes import zero_shot
from beliefmatch.recipes.setup import Setup
from beliefmatch.students.named import NamedStudent
from beliefmatch.training.execution.choice import begin_rounds
from beliefmatch.training.execution.cuda_graph import NUM_WARM_UP
from beliefmatch.training.execution.kernels import fastest_kernels
from beliefmatch.training.options import ExecutionName
from beliefmatch.training.precision import ResolvedPrecision, make_fabric, resolve_precision
from machine import RESULTS, describe_machine, table, write_results
from reference.naive_round import NaiveRound

PAIRS = ("40-2:16-1", "40-2:40-1", "16-2:16-1", "lenet_5:lenet_5_half")
NUM_OPERATORS = 15
PEAK_SIZE = {"cpu": 2048, "cuda": 8192}
WAYS = {"naive": "a", "fp32": "b", "shipped": "c", "captured": "d"}
ROUNDS_TIMED = {"cpu": {"naive": 1, "fp32": 2, "shipped": 2}, "cuda": dict.fromkeys(WAYS, 20) | {"naive": 5}}

Step = Callable[[], object]


def make_step(way: str, pair: str, batch_size: int, device: str) -> Step:
    """Make what does one round of a pair in one way."""
    torch.manual_seed(0)
    names = [name if name.startswith("lenet") else f"wide_resnet_{name.replace('-', '_')}" for name in pair.split(":")]
    shape = (1, 28, 28) if pair.startswith("lenet") else (3, 32, 32)
    teacher, student = (make_network(name, in_channels=shape[0], num_classes=10) for name in names)
    if way == "naive":
        return NaiveRound.start(teacher, student, shape, batch_size, torch.device(device)).next
    precision: ResolvedPrecision = "32-true" if way == "fp32" else resolve_precision("auto", device)
    execution: ExecutionName = "captured" if way == "captured" else "auto"
    transfer = zero_shot(
        Setup(
            teacher=Network(architecture=names[0]),
            student=NamedStudent(architecture=names[1]),
            shape=shape,
            batch_size=batch_size,
        )
    )
    return begin_rounds(transfer, make_fabric(device, precision), execution, teacher=teacher, student=student).next


def synchronise(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def seconds_of(step: Step, device: str, num_times: int) -> float:
    synchronise(device)
    began = time.perf_counter()
    for _ in range(num_times):
        step()
    synchronise(device)
    return (time.perf_counter() - began) / num_times


def measure_peak(precision: str, device: str) -> float:
    """Measure FLOP/s of a large matrix product."""
    size = PEAK_SIZE[device]
    dtype = torch.bfloat16 if precision == "bf16-mixed" else torch.float32
    first, second = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    before = torch.backends.cuda.matmul.allow_tf32
    # torch's convolutions in 32 bits are of this kind on a GPU, and so is most of a round.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32
    seconds = [seconds_of(lambda: first @ second, device, 3) for _ in range(5)]
    torch.backends.cuda.matmul.allow_tf32 = before
    return 2 * size**3 / median(seconds[1:])


def count_work(way: str, pair: str, batch_size: int) -> int:
    """Count the floating-point operations of one round, by doing it on the CPU with a batch of four."""
    step = make_step(way, pair, 4, "cpu")
    with FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops() * batch_size // 4


class Worker:
    """A process that does rounds in one way when told to, so that no way shares another's memory."""

    def __init__(self, way: str, pair: str, arguments: argparse.Namespace) -> None:
        command = [sys.executable, __file__, "--pair", pair, "--work", way, "--device", arguments.device]
        command += ["--batch-size", str(arguments.batch_size)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.asked = 0

    def begin(self, num_times: int) -> None:
        """Let it do so many rounds, and do not wait."""
        assert self.process.stdin
        self.process.stdin.write(f"{num_times}\n")
        self.process.stdin.flush()
        self.asked += 1

    def answer(self) -> tuple[float, int]:
        """Wait for all that was asked; tell seconds a round of the last, and the most bytes in use so far."""
        assert self.process.stdout
        seconds, memory = 0.0, 0
        for _ in range(self.asked):
            seconds, memory = json.loads(self.process.stdout.readline())
        self.asked = 0
        return seconds, memory

    def ask(self, num_times: int) -> tuple[float, int]:
        """Do so many rounds; tell seconds a round, and the most bytes in use so far."""
        self.begin(num_times)
        return self.answer()

    def end(self) -> None:
        """Let the process end."""
        self.process.communicate()


def work(way: str, pair: str, arguments: argparse.Namespace) -> None:
    """Be a worker."""
    step = make_step(way, pair, arguments.batch_size, arguments.device)
    with fastest_kernels():
        for line in sys.stdin:
            seconds = seconds_of(step, arguments.device, int(line))
            print(json.dumps([seconds, peak_memory(torch.device(arguments.device))]), flush=True)


def ways_of(device: str) -> list[str]:
    """Name the ways that differ on a device: what is shipped is our loop in fp32 on a CPU without 16-bit products."""
    same = device == "cpu" and resolve_precision("auto", device) == "32-true"
    return [way for way in ROUNDS_TIMED[device] if not (same and way == "shipped")]


def start_workers(pair: str, arguments: argparse.Namespace) -> dict[str, Worker]:
    """Start a worker for each way, and let them warm up."""
    workers: dict[str, Worker] = {}
    for way in ways_of(arguments.device):
        workers[way] = Worker(way, pair, arguments)
        if not (arguments.quick and way == "naive" and arguments.device == "cpu"):
            workers[way].begin(NUM_WARM_UP + 2 if arguments.device == "cuda" else 1)
            if arguments.device == "cpu":
                workers[way].answer()
    return workers


def measure_pair(pair: str, workers: dict[str, Worker], arguments: argparse.Namespace) -> dict[str, Any]:
    """Time one pair in every way, and print its table."""
    device, batch_size = arguments.device, arguments.batch_size
    shipped = resolve_precision("auto", device)
    precisions = {way: "32-true" if way in ("naive", "fp32") else shipped for way in workers}
    peaks = {precision: measure_peak(precision, device) for precision in set(precisions.values())}
    answers: dict[str, list[tuple[float, int]]] = {way: [] for way in workers}
    for _ in range(1 if arguments.quick else arguments.repeats):
        for way, worker in workers.items():
            answers[way].append(worker.ask(1 if arguments.quick and device == "cpu" else ROUNDS_TIMED[device][way]))
    for worker in workers.values():
        worker.end()
    seconds = {way: [round(each, 5) for each, _ in found] for way, found in answers.items()}
    medians = {way: median(timed) for way, timed in seconds.items()}
    operators = profile_step(make_step("shipped", pair, batch_size, device), device) if arguments.profile else []
    rows = []
    for way, precision in precisions.items():
        row = {
            "way": f"({WAYS[way]}) {way}",
            "precision": precision,
            "seconds_a_round": round(medians[way], 5),
            "rounds_a_second": round(1 / medians[way], 2),
            "images_a_second": round(11 * batch_size / medians[way]),
            "peak_memory_mib": round(answers[way][-1][1] / 2**20),
        }
        if not arguments.quick:
            done = count_work("naive" if way == "naive" else "fp32", pair, batch_size)
            row |= {
                "gmacs_a_round": round(done / 2e9, 1),
                "gflops": round(done / medians[way] / 1e9, 1),
                "peak_gflops": round(peaks[precision] / 1e9, 1),
                "of_peak": round(done / medians[way] / peaks[precision], 3),
            }
        rows.append(row)
    print(f"\n{pair}, batch {batch_size}, on {device}\n\n{table(rows)}\n", flush=True)
    if "shipped" not in medians:
        print("(c) is (b): this CPU does not multiply 16-bit floats, so `auto` stays in 32 bits\n", flush=True)
    if operators:
        print(f"where the time of (c) goes\n\n{table(operators)}\n", flush=True)
    found = {
        "pair": pair,
        "speedup_fp32": round(medians["naive"] / medians["fp32"], 2),
        "speedup_shipped": round(medians["naive"] / medians.get("shipped", medians["fp32"]), 2),
    }
    if "captured" in medians:
        found["speedup_captured"] = round(medians["naive"] / medians["captured"], 2)
    return {"machine": describe_machine(), "seconds": seconds, "rows": rows, "profile": operators, **found}


def profile_step(step: Step, device: str) -> list[dict[str, Any]]:
    """Profile one round, and give the operators, on a GPU the kernels, that take most of its time themselves."""
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device == "cuda" else [])]
    with fastest_kernels():
        for _ in range(NUM_WARM_UP + 2 if device == "cuda" else 1):
            step()
    with profile(activities=activities) as profiled:
        step()
        synchronise(device)
    # Operators on the host do not count on a GPU, nor do the graph's own marks on it.
    events = [event for event in profiled.key_averages() if device == "cpu" or event.device_type.name != "CPU"]
    clock = "self_cpu_time_total" if device == "cpu" else "self_device_time_total"
    spent = {event.key: getattr(event, clock) / 1e3 for event in events}
    counts = {event.key: event.count for event in events}
    whole = sum(spent.values())
    return [
        {"operator": key[:80], "calls": counts[key], "ms": round(spent[key], 2), "share": round(spent[key] / whole, 3)}
        for key in sorted(spent, key=lambda key: -spent[key])[:NUM_OPERATORS]
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pair", choices=PAIRS)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--profile", action="store_true", help="show and keep where the time of (c) goes")
    parser.add_argument("--work", choices=tuple(WAYS), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(arguments.work, arguments.pair, arguments)
        return
    name = f"round_{arguments.device}"
    earlier = RESULTS / f"{name}.json"
    pairs = json.loads(earlier.read_text())["pairs"] if earlier.is_file() else {}
    lines = []
    chosen = [arguments.pair] if arguments.pair else PAIRS
    at_once = {pair: start_workers(pair, arguments) for pair in chosen} if arguments.device == "cuda" else {}
    for worker in [worker for workers in at_once.values() for worker in workers.values()]:
        worker.answer()
    for pair in chosen:
        workers = at_once.get(pair) or start_workers(pair, arguments)
        pairs[pair] = measure_pair(pair, workers, arguments)
        lines.append({key: pairs[pair][key] for key in ("pair", "speedup_fp32", "speedup_shipped")})
        if not arguments.quick:
            write_results(name, {"pairs": pairs})
    for line in lines:
        print(json.dumps(line))


if __name__ == "__main__":
    main()
