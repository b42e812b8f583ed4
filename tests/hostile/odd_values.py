"""Values that nobody should give to a flag or write into a file, and the flags that are tried."""

from typing import Any

from hostile_texts import TEXTS

NUMBERS = (
    *("nan", "inf", "-inf", "-1", "0", "1e308", "1e-320", "9" * 30, "9" * 4301, "0x10", "1_0", "", "abc", "-0.0"),
    *("1000000000000", "4294967297", "9223372036854775808", "1e9", "0.5", "true", "None", "\u0661"),
)
"""Values of flags that take numbers."""
WORDS = (
    *TEXTS.values(),
    *("", " ", "/dev/null", "/dev/zero", "/", ".", "..", "~", "a" * 300, "a/" * 100, "a:b", "a.py:b", "timm:", "hf:"),
    *("torchvision:nothing", "x.onnx", "x.pt2", "cifar_resnet_600002", "mlp_9999999_9999999", "convnet_" + "9" * 4301),
    *("wide_resnet_40_99999", "mlp_" + "_".join("9" * 300), "mlp_0", "mlp_8?a=b", "?", "-", "--", "file.py:"),
    *("timm:resnet18?layers=(90000,1,1,1)", "timm:resnet18?layers=" + "-" * 4000 + "1", "timm:resnet18?a=1e300"),
    *("torchvision:resnet18?a=" + "(" * 900, "timm:vit_tiny_patch16_224?depth=90000&embed_dim=3&num_heads=1"),
)
"""Values of flags that take texts."""
JSON_VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 1.5, 10**19, -(10**19), 1e308, "", "text", "\udcff", [], {}, [[]], [None], {"type": "Path"}),
    *({"type": "Path", "path": 0}, {"type": "Transfer"}, [1e400], "x" * 5000, *TEXTS.values()),
)
FLAGS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    (
        "transfer",
        (
            *("--mean", "--std", "--shape", "--batch-size", "--rounds", "--seed", "--optimiser.learning-rate"),
            *("--micro-batch", "--log-every", "--checkpoint-every", "--picture-every", "--teacher.num-classes"),
            *("--objective.temperature", "--objective.divergence-weight", "--timeout", "--devices", "--minutes"),
            *("--source.student-steps", "--optimiser.momentum"),
        ),
        ("--teacher", "--student", "--folder", "--teacher.weights", "--student.weights", "--taps", "--precision"),
    ),
    (
        "measure",
        ("--mean", "--std", "--shape", "--batch-size", "--transition-seed", "--transition-memory", "--transition"),
        (
            *("--teacher", "--student", "--images", "--teacher.weights", "--out", "--teacher.strip-prefix"),
            *("--dataset", "--class-names"),
        ),
    ),
    (
        "measure run",
        ("--batch-size", "--transition", "--transition-steps"),
        ("--images", "--out", "--guided-by", "--class-names"),
    ),
    ("export", ("--mean", "--std"), ("--to", "--images", "--out", "--teacher-license", "--pixels")),
    ("report", (), ("--out",)),
)
FREQUENCIES = (8, 8, 3, 2, 1)
"""How often each of these commands comes: those that take longest, rarely."""
