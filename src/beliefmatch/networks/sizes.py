"""Hints for networks made for images of one size, such as vision transformers."""

from torch import nn

from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.base import height_and_width
from beliefmatch.setting_names import Setting

ARGUMENTS = {"timm": "img_size", "torchvision": "image_size", "transformers": "image_size"}
"""By package of the network's class: the argument for the size, after the question mark of a name."""


def size_hint(network: nn.Module, spec: InputSpec, *, role: str) -> str:
    """Return what can be typed where a network is made for images of another size; empty where it is not."""
    argument = ARGUMENTS.get(type(network).__module__.partition(".")[0])
    made_for = _made_for(network)
    if argument is None or made_for is None or len(spec.shape) != 3 or made_for == spec.shape[1:]:
        return ""
    height, width = spec.shape[1:]
    size = f"{height}" if height == width else f"({height},{width})"
    channels = getattr(getattr(network, "config", None), "num_channels", spec.shape[0])
    made, own = "; it is made for {}x{}: ".format(*made_for), Setting("shape", (channels, *made_for))
    if role == "student":
        return f"{made}write ?{argument}={size} after its name, or say {own} if the teacher takes that"
    # Weights of a transformer hold a vector for each position.
    return f"{made}say {own}, or write ?{argument}={size} after its name if its weights are of that size"


def _made_for(network: nn.Module) -> tuple[int, int] | None:
    """Read the size where the three packages keep it; timm's configuration last, which holds the default size."""
    config = getattr(network, "pretrained_cfg", None) or {}
    kept = (
        getattr(getattr(network, "patch_embed", None), "img_size", None),
        getattr(network, "image_size", None),
        getattr(getattr(network, "config", None), "image_size", None),
        config["input_size"][1:] if config.get("fixed_input_size") else None,
    )
    return next((size for size in map(height_and_width, kept) if size), None)
