"""How others name the layers of our architectures: every mapping of state-dict keys stands here.

A convention applies when the weights hold a key that matches its `sign`. Its rules are anchored at the start of a
key; the first that matches rewrites that prefix, and a key that none matches keeps its name.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from beliefmatch.networks.architectures.cifar_resnet import CifarResNet
from beliefmatch.networks.architectures.lenet import LeNet5, LeNet32
from beliefmatch.networks.architectures.wide_resnet import WideResNet


@dataclass(frozen=True, kw_only=True)
class Convention:
    """One author's names for one architecture."""

    source: str
    """Repository that the names come from."""
    sign: str
    """Pattern of a key that only this convention has."""
    rules: Mapping[str, str]
    """Pattern of a prefix to its replacement, tried in order."""

    def rename(self, key: str) -> str:
        """Return our name for a key of this convention."""
        for pattern, replacement in self.rules.items():
            renamed, count = re.subn(rf"^{pattern}", replacement, key)
            if count:
                return renamed
        return key


CONVENTIONS: dict[type[nn.Module], tuple[Convention, ...]] = {
    WideResNet: (
        Convention(
            source="xternalz/WideResNet-pytorch, polo5/ZeroShotKnowledgeTransfer",
            sign=r"block1\.layer\.",
            rules={
                r"block(\d)\.layer\.(\d+)\.convShortcut\.": r"group\1.\2.shortcut.",
                r"block(\d)\.layer\.(\d+)\.": r"group\1.\2.",
                r"bn1\.": "bn.",
            },
        ),
        Convention(
            source="AlexandrosFerles/NIPS_2019_Reproducibilty_Challenge",
            sign=r"block1\.nblockLayer\.",
            rules={
                r"block(\d)\.nblockLayer\.(\d+)\.conv_inp\.": r"group\1.\2.shortcut.",
                r"block(\d)\.nblockLayer\.(\d+)\.batch_norm(\d)\.": r"group\1.\2.bn\3.",
                r"block(\d)\.nblockLayer\.(\d+)\.": r"group\1.\2.",
                r"batch_norm\.": "bn.",
            },
        ),
        Convention(
            source="meliketoy/wide-resnet.pytorch, SZamboni",
            sign=r"layer1\.0\.",
            rules={
                r"layer(\d)\.(\d+)\.shortcut\.0\.": r"group\1.\2.shortcut.",
                r"layer(\d)\.(\d+)\.": r"group\1.\2.",
                r"bn1\.": "bn.",
                r"linear\.": "fc.",
            },
        ),
    ),
    CifarResNet: (
        Convention(source="akamaster/pytorch_resnet_cifar10", sign=r"linear\.", rules={r"linear\.": "fc."}),
        Convention(
            source="chenyaofo/pytorch-cifar-models",
            sign=r"layer2\.0\.downsample\.",
            rules={r"(layer\d\.\d+)\.downsample\.": r"\1.shortcut."},
        ),
    ),
    LeNet5: (
        Convention(
            source="shitrit",
            sign=r"fc7\.",
            rules={
                r"fc1\.": "conv1.",
                r"fc1_bn\.": "bn1.",
                r"fc2_bn\.": "pool1_bn.",
                r"fc3\.": "conv2.",
                r"fc3_bn\.": "bn2.",
                r"fc4_bn\.": "pool2_bn.",
                r"fc5\.": "conv3.",
                r"fc5_bn\.": "bn3.",
                r"fc6\.": "fc1.",
                r"fc6_bn\.": "fc1_bn.",
                r"fc7\.": "fc2.",
            },
        ),
        Convention(source="kennygnw", sign=r"c1\.", rules={r"c(\d)\.": r"conv\1."}),
    ),
    LeNet32: (
        Convention(
            source="polo5/FewShotKnowledgeTransfer",
            sign=r"layers\.11\.",
            rules={
                r"layers\.0\.": "conv1.",
                r"layers\.3\.": "conv2.",
                r"layers\.7\.": "fc1.",
                r"layers\.9\.": "fc2.",
                r"layers\.11\.": "fc3.",
            },
        ),
    ),
}


def find_convention(network: nn.Module, keys: list[str]) -> Convention | None:
    """Return the convention that the keys of a file follow, or None where they are ours or unknown."""
    for convention in CONVENTIONS.get(type(network), ()):
        if any(re.match(convention.sign, key) for key in keys):
            return convention
    return None
