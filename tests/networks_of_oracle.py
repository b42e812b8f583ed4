"""Networks as the files of the oracle name and hold them."""

from torch import Tensor, nn

from beliefmatch.networks.loading.network import make_network
from beliefmatch.networks.loading.weights import fit_weights


def architecture(name: str) -> str:
    family, *sizes = name.lower().replace("wrn-", "wide_resnet-").split("-")
    return "_".join([family, *sizes])


def part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(f"{prefix}."): value for key, value in tensors.items() if key.startswith(f"{prefix}.")}


def num_classes(weights: dict[str, Tensor]) -> int:
    return [value for value in weights.values() if value.dim() == 2][-1].shape[0]


def network(name: str, weights: dict[str, Tensor]) -> nn.Module:
    module = make_network(architecture(name), in_channels=3, num_classes=num_classes(weights))
    fit_weights(module, weights, name=name)
    return module
