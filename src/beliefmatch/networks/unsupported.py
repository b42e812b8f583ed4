"""What is not supported, recognised and refused by its name."""

from collections.abc import Mapping

from torch import Tensor, nn

SUPPORTED = "supported are networks that give each input a class, labels or numbers"
TOKENS = f"token inputs, such as text, are not supported: {SUPPORTED}, of images, signals or vectors"
SEVERAL_INPUTS = "networks of several inputs are not supported: write a function that returns a module of one"
SEGMENTATION = f"segmentation, a class for each pixel, is not supported: {SUPPORTED}"
DETECTION = f"object detection is not supported: {SUPPORTED}"
SCIKIT_LEARN = (
    "models of scikit-learn and its like, with operators of ai.onnx.ml, are not supported: they give no gradient and "
    "cannot be converted"
)
UNSUPPORTED_CLASSES = {
    "Segmentation": SEGMENTATION,
    "ObjectDetection": DETECTION,
    "SequenceClassification": TOKENS,
    "TokenClassification": TOKENS,
    "QuestionAnswering": TOKENS,
    "MultipleChoice": TOKENS,
    "MaskedLM": TOKENS,
    "CausalLM": TOKENS,
    "ConditionalGeneration": TOKENS,
}
"""By the end of the name of a class of transformers: why it is not supported."""


def explain_output(output: object) -> str:
    """Return which unsupported task an output shows, after a semicolon; empty where it shows none."""
    if _has_boxes(output):
        return f"; {DETECTION}"
    found = output.values() if isinstance(output, Mapping) else (output, getattr(output, "logits", None))
    maps = any(isinstance(value, Tensor) and value.dim() == 4 and min(value.shape[2:]) > 1 for value in found)
    return f"; {SEGMENTATION}" if maps else ""


def explain_failure(network: nn.Module, error: Exception) -> str:
    """Return which unsupported inputs a failed pass shows, after a semicolon; empty where it shows none."""
    text = str(error)
    if isinstance(error, TypeError) and "forward" in text and "missing" in text and "argument" in text:
        return f"; {SEVERAL_INPUTS}"
    embeds = any(isinstance(module, nn.Embedding) for module in network.modules())
    if embeds and "indices" in text and ("Long" in text or "Int" in text):
        return f"; {TOKENS}"
    return ""


def explain_class(name: str) -> str | None:
    """Return which unsupported task a class of transformers does, by its name; None where it is supported."""
    return next((task for end, task in UNSUPPORTED_CLASSES.items() if name.endswith(end)), None)


def _has_boxes(output: object) -> bool:
    if isinstance(output, list | tuple):
        return any(_has_boxes(value) for value in output[:1])
    if isinstance(output, Mapping):
        return "boxes" in output
    return getattr(output, "pred_boxes", None) is not None
