"""Suggestions for a name that stands for no network."""

from pathlib import Path

from beliefmatch.errors import near_names
from beliefmatch.networks.loading.torch_checkpoint import explain_torchscript, is_torchscript
from beliefmatch.setting_names import Setting

PREFIXES = {"timm": "NAME", "torchvision": "NAME", "hf": "FOLDER"}
"""Of names from elsewhere, with what follows them."""
SPOKEN = {prefix: prefix for prefix in PREFIXES} | {"huggingface": "hf", "transformers": "hf"}
"""What people call the prefixes."""
OWN = "my_file.py:make_network"
ELSEWHERE = f"{', '.join(f'{prefix}:{rest}' for prefix, rest in PREFIXES.items())}, {OWN}, program.pt2, model.onnx"
"""Forms of the names of networks that are not built in."""
WEIGHTS = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")
"""What files end in that hold weights alone, mostly."""


def near_prefixes(architecture: str) -> str:
    """Write the names with the prefixes that are known, and before them the nearest with this one, if one is near."""
    prefix, _, name = architecture.partition(":")
    nearest = _near(prefix)
    rest = ", ".join([*(f"{prefix}:{after}" for prefix, after in PREFIXES.items() if prefix != nearest), OWN])
    return f"the nearest is {nearest}:{name}, others are {rest}" if nearest else f"known are {rest}"


def misses_prefix(prefix: str) -> bool:
    """Whether the name of a module before the colon is nearly a prefix."""
    return _near(prefix) is not None


def _near(prefix: str) -> str | None:
    return next((SPOKEN[found] for found in near_names(prefix.lower(), SPOKEN, most=1)), None)


def near_form(architecture: str) -> str | None:
    """Return how a file or folder is named as a network, where a name looks like one; None where it does not."""
    suffix = Path(architecture).suffix.lower()
    if suffix == ".py":
        return f"{architecture} names no function in it: write {architecture}:make_network"
    if is_torchscript(Path(architecture)):
        return explain_torchscript(Path(architecture))
    if suffix in WEIGHTS:
        return (
            f"{architecture} looks like a file of weights, which says nothing of the layers: name the architecture, "
            f"and the file with {Setting('teacher.weights', architecture)}"
        )
    if architecture and Path(architecture).is_dir():
        return f"{architecture} is a folder: one that transformers wrote is named hf:{architecture}"
    if "/" in architecture and ":" not in architecture:
        return f"no file or folder at {architecture}{near_paths(Path(architecture))}"
    return None


def near_paths(path: Path) -> str:
    """Return the names nearest to a missing path, of files of its suffix or folders, after a semicolon; or nothing."""
    try:
        around = [
            other.name
            for other in path.parent.iterdir()
            if (other.suffix == path.suffix if path.suffix else other.is_dir())
        ]
    except OSError:
        return ""
    nearest = near_names(path.name, around)
    return f"; the nearest there are {', '.join(nearest)}" if nearest else ""
