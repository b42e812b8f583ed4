"""Networks of timm: `timm:NAME`, with arguments of its `create_model` after a question mark."""

from dataclasses import dataclass
from typing import Any

from torch import nn

from beliefmatch.errors import BeliefMatchError, NetworkError, first_line, the_nearest
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.base import AbstractOrigin, height_and_width, refuse_misspelt, split_query
from beliefmatch.networks.loading.construction_limits import limited_construction
from beliefmatch.networks.loading.packages import only_weights, quiet, require
from beliefmatch.setting_names import Setting

PREFIX = "timm:"
OF_TIMM = ("pretrained_cfg", "pretrained_cfg_overlay")
"""Arguments of timm's own that are called nearly as ours."""


@dataclass(frozen=True, kw_only=True)
class FromTimm(AbstractOrigin):
    """An architecture of timm, such as timm:resnet18?pretrained or timm:vit_tiny_patch16_224?img_size=32."""

    def make(self, *, in_channels: int, num_classes: int, pretrained: bool = False) -> nn.Module:
        """Build the network; a pretrained one gets a fresh head where its own has another number of classes."""
        return self._create(
            pretrained=pretrained and self._is_pretrained, in_channels=in_channels, num_classes=num_classes
        )

    def load(self, spec: InputSpec) -> nn.Module:
        """Load pretrained weights with their own channels and classes.

        timm would adapt their first layer to other channels, which changes what the teacher predicts.
        """
        if not self._is_pretrained:
            self._find()
            raise NetworkError(
                f"{self.architecture} has no weights: name their file with "
                f"{Setting('teacher.weights', placeholder='FILE')}, or write "
                f"{_with_pretrained(self.architecture)} for timm's own"
            )
        known = self.known_inputs()
        if known is not None and known.shape[0] != spec.shape[0]:
            raise NetworkError(
                f"weights of {self.architecture} take {known.shape[0]} channels, the inputs have {spec.shape[0]}"
            )
        self._check_classes()
        return self._create(pretrained=True, in_channels=spec.shape[0], num_classes=None)

    def known_inputs(self) -> InputSpec | None:
        """Return what timm's configuration says; its normalisation is a default where the weights are not timm's."""
        timm, name, arguments = self._find()
        config = timm.get_pretrained_cfg(name)
        if config is None:
            return None
        # timm itself raises the error for an invalid size, when it makes the network.
        size = height_and_width(arguments.get("img_size")) or tuple(config.input_size[1:])
        channels, mean, std = config.input_size[0], tuple(config.mean), tuple(config.std)
        if self._is_pretrained:
            # The constants are of timm's own channels, whatever the user asks for.
            return InputSpec(shape=(channels, *size), mean=mean, std=std, normalisation_from="checkpoint")
        asked = arguments.get("in_chans", channels)
        if asked != channels:
            return InputSpec(shape=(asked, *size), normalisation_from="default")
        return InputSpec(shape=(channels, *size), mean=mean, std=std, normalisation_from="default")

    def _check_classes(self) -> None:
        """Check that the name asks for the number of classes of the weights: timm would make a fresh head otherwise."""
        timm, name, arguments = self._find()
        config = timm.get_pretrained_cfg(name)
        asked = arguments.get("num_classes")
        if config is not None and asked not in (None, config.num_classes):
            raise NetworkError(f"weights of {self.architecture} know {config.num_classes} classes, not {asked}")

    @property
    def _is_pretrained(self) -> bool:
        return bool(split_query(self.architecture)[1].get("pretrained"))

    def _find(self) -> tuple[Any, str, dict[str, Any]]:
        """Return timm, the name and its arguments, but for `pretrained`."""
        refuse_misspelt(self.architecture, "pretrained", others=OF_TIMM)
        timm = require("timm", install="beliefmatch[timm]")
        name, arguments = split_query(self.architecture.removeprefix(PREFIX))
        arguments.pop("pretrained", None)
        architecture, tagged, _ = name.partition(".")
        if not timm.is_model(architecture):
            raise NetworkError(f"timm knows no model {name!r}; {the_nearest(name, timm.list_models())}")
        tags = timm.models.get_arch_pretrained_cfgs(architecture) if tagged else [name]
        if name not in tags:
            raise NetworkError(f"timm knows no weights {name!r}; {the_nearest(name, tags)}")
        return timm, name, arguments

    def _create(self, *, pretrained: bool, in_channels: int, num_classes: int | None) -> nn.Module:
        timm, name, arguments = self._find()
        classes = {} if num_classes is None else {"num_classes": num_classes}
        try:
            with quiet(), only_weights(), limited_construction(self.architecture):
                return timm.create_model(name, pretrained=pretrained, **{"in_chans": in_channels} | classes | arguments)
        except BeliefMatchError:
            raise
        except Exception as error:
            # What timm's models do with their arguments, and a download with the network, is up to them.
            what = "its weights cannot be had, or it cannot be made" if pretrained else "it cannot be made"
            raise NetworkError(f"{self.architecture}: {what} ({type(error).__name__}: {first_line(error)})") from error


def _with_pretrained(architecture: str) -> str:
    return f"{architecture}{'&' if '?' in architecture else '?'}pretrained"
