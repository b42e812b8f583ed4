"""Networks of torchvision: `torchvision:NAME`, with `?weights=NAME` for weights that it offers."""

from dataclasses import dataclass
from typing import Any

from torch import nn

from beliefmatch.errors import BeliefMatchError, NetworkError, first_line, the_nearest
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.base import AbstractOrigin, refuse_misspelt, split_query
from beliefmatch.networks.loading.construction_limits import limited_construction
from beliefmatch.networks.loading.packages import only_weights, quiet, require
from beliefmatch.setting_names import Setting

PREFIX = "torchvision:"
CHANNELS = 3
"""What all of its classifiers take."""


@dataclass(frozen=True, kw_only=True)
class FromTorchvision(AbstractOrigin):
    """A classifier of torchvision, such as torchvision:resnet18?weights=IMAGENET1K_V1."""

    def make(self, *, in_channels: int, num_classes: int, pretrained: bool = False) -> nn.Module:
        """Build the network; pretrained weights bring their own number of classes."""
        if in_channels != CHANNELS:
            raise NetworkError(
                f"{self.architecture} takes {CHANNELS} channels, the inputs have {in_channels}: timm's models take any "
                "number (timm:NAME)"
            )
        if pretrained and self._weights_name:
            return self._create(num_classes=None)
        return self._create(num_classes=num_classes)

    def load(self, spec: InputSpec) -> nn.Module:
        """Load the weights that the name asks for."""
        if not self._weights_name:
            self._find()
            raise NetworkError(
                f"{self.architecture} has no weights: name their file with "
                f"{Setting('teacher.weights', placeholder='FILE')}, or write "
                f"{self.architecture}{'&' if '?' in self.architecture else '?'}weights=DEFAULT for torchvision's own"
            )
        return self._create(num_classes=None)

    def known_inputs(self) -> InputSpec | None:
        """Return what torchvision's own transforms for its weights do; an architecture alone does not say."""
        models, name, _ = self._find()
        if not self._weights_name:
            return None
        preset = self._find_weights(models, name).transforms()
        size = tuple(preset.crop_size)
        shape = (CHANNELS, *(size * 2 if len(size) == 1 else size))
        return InputSpec(shape=shape, mean=tuple(preset.mean), std=tuple(preset.std), normalisation_from="checkpoint")

    @property
    def _weights_name(self) -> str:
        return str(split_query(self.architecture)[1].get("weights", ""))

    def _find(self) -> tuple[Any, str, dict[str, Any]]:
        """Return torchvision's models, the name and its arguments, but for `weights`."""
        refuse_misspelt(self.architecture, "weights")
        models = require("torchvision.models", install="torchvision")
        name, arguments = split_query(self.architecture.removeprefix(PREFIX))
        arguments.pop("weights", None)
        known = models.list_models(module=models)
        if name not in known:
            raise NetworkError(f"torchvision has no classifier {name!r}; {the_nearest(name, known)}")
        return models, name, arguments

    def _find_weights(self, models: Any, name: str) -> Any:
        offered = models.get_model_weights(name).__members__
        # Torchvision writes ResNet18_Weights.IMAGENET1K_V1 too.
        wanted = self._weights_name.rpartition(".")[2]
        if wanted not in offered:
            raise NetworkError(f"torchvision has no weights {wanted!r} for {name}; there are {', '.join(offered)}")
        return offered[wanted]

    def _create(self, *, num_classes: int | None) -> nn.Module:
        """Build the network: with fresh weights of so many classes, or with the weights that the name asks for."""
        models, name, arguments = self._find()
        if num_classes is None:
            arguments["weights"] = self._find_weights(models, name)
        else:
            arguments = {"num_classes": num_classes} | arguments | {"weights": None}
        try:
            with quiet(), only_weights(), limited_construction(self.architecture):
                return models.get_model(name, **arguments)
        except BeliefMatchError:
            raise
        except Exception as error:
            # What models do with their arguments, and a download with the network, is up to them.
            what = "its weights cannot be had, or it cannot be made" if num_classes is None else "it cannot be made"
            raise NetworkError(f"{self.architecture}: {what} ({type(error).__name__}: {first_line(error)})") from error
