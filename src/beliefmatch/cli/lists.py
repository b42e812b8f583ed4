"""The commands `recipes` and `architectures`: what there is to choose from."""

from beliefmatch.cli.output import open_table, print_table
from beliefmatch.cli.printing import print_text
from beliefmatch.recipe_overviews import OVERVIEWS
from beliefmatch.training.progress import Display, print_json


def recipes(*, display: Display = "full") -> None:
    """List the recipes: what each is, its paper, when to use it and what it costs.

    Args:
        display: A table, nothing, or JSON for scripts.
    """
    from dataclasses import asdict

    if display == "json":
        print_json({name: asdict(overview) for name, overview in OVERVIEWS.items()})
    elif display == "full":
        table = open_table()
        table.add_column("recipe", no_wrap=True)
        for heading in ("what it is", "paper", "when to use it", "cost"):
            table.add_column(heading)
        for name, each in OVERVIEWS.items():
            table.add_row(name, each.what, each.paper, each.when, each.cost, end_section=False)
        print_table(table)
        print_text(
            "beliefmatch compress MODEL --recipe NAME uses one; beliefmatch transfer NAME --help lists its settings"
        )


ELSEWHERE = (
    ("timm:NAME", "a model of timm; timm:NAME?pretrained with its weights"),
    ("torchvision:NAME", "a model of torchvision; torchvision:NAME?weights=DEFAULT with its weights"),
    ("hf:FOLDER", "an image classifier of Hugging Face, in a folder or by its repository"),
    ("my_file.py:function", "your own: a function without arguments that returns the network"),
    ("FILE.onnx, FILE.pt2", "a program; a teacher only"),
)
"""Names of networks that are not built in, and what they stand for."""
BUILT_IN = (
    (
        "wide_resnet_DEPTH_FACTOR",
        "wide residual network for 32x32 images; _raw behind it: 1x1 shortcut of the raw input",
    ),
    ("cifar_resnet_DEPTH", "residual network for 32x32 images; _b behind it: shortcuts of option B"),
    ("lenet_5", "for 28x28 or 32x32 images; _half, _bn, _tanh behind it"),
    ("lenet_32", "for 32x32 images"),
    ("convnet_WIDTH", "small convolutional network for images of any size"),
    ("mlp_WIDTH_WIDTH", "for vectors, with any number of hidden layers"),
    ("fcn_WIDTH", "fully convolutional network for signals"),
)
"""Patterns of the names that are built in."""


def architectures() -> None:
    """List the names of networks: those that are built in, and how to name others."""
    from beliefmatch.networks.loading.built_in import EXAMPLES

    width = max(len(name) for name, _ in (*BUILT_IN, *ELSEWHERE))
    lines = ["built in:", *(f"  {name:{width}}  {text}" for name, text in BUILT_IN)]
    lines += ["others:", *(f"  {name:{width}}  {text}" for name, text in ELSEWHERE)]
    print_text("\n".join([*lines, "such as:", *_wrapped(EXAMPLES)]))


def _wrapped(names: tuple[str, ...]) -> list[str]:
    import textwrap

    return textwrap.wrap(", ".join(names), width=100, initial_indent="  ", subsequent_indent="  ")
