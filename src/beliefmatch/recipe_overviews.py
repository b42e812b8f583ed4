"""The table of recipes: what each is, its paper, when to use it, its cost and its needs. It loads none of them.

`recipes.ALL`, the help of `transfer` and the list of `beliefmatch recipes` are made from it.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Overview:
    """A recipe in a few words."""

    what: str
    """What it does."""
    paper: str
    """Authors and year; empty where it is ours."""
    when: str
    """When to use it."""
    cost: str
    """What it costs by default, on what hardware as far as that is known."""
    needs_gradients: bool = True
    """Whether its inputs follow a gradient of one of the two networks, as `needs` of its source says by default."""
    needs_classes: bool = True
    """Whether it needs a teacher of whose classes one is right, as source and objective say by default."""
    is_general: bool = True
    """Whether it is for inputs of any shape."""


OVERVIEWS: dict[str, Overview] = {
    "best": Overview(
        what="procedural images, refined through the teacher; the student starts from the teacher's weights",
        paper="ours, with Xu et al. 2024",
        when="first, and wherever you have no reason for another",
        cost="40,000 student steps; minutes for small networks on a CPU",
        needs_gradients=False,
        needs_classes=False,
    ),
    "zero_shot": Overview(
        what="adversarial belief matching: a generator finds inputs on which the two networks differ",
        paper="Micaelli & Storkey 2019",
        when="to reproduce the paper, or where the student must not start from the teacher",
        cost="800,000 student steps; 10 to 13 hours on one GPU (published)",
        needs_classes=False,
    ),
    "dfq": Overview(
        what="adversarial belief matching held to the teacher's batch-norm statistics",
        paper="Choi et al. 2020",
        when="teachers with batch-norm, and hours of time",
        cost="80,000 student steps; 0.75 to 9 hours of generation on one GPU (published)",
    ),
    "dafl": Overview(
        what="a generator makes inputs that the teacher is sure of",
        paper="Chen et al. 2019",
        when="to compare with",
        cost="240,000 student steps; 2.7 hours of generation on one GPU (published)",
    ),
    "dfad": Overview(
        what="a generator raises the difference of the logits",
        paper="Fang et al. 2019",
        when="to compare with; teachers without batch-norm",
        cost="125,000 student steps",
        needs_classes=False,
    ),
    "deep_inversion": Overview(
        what="inputs are optimised directly until they fit the teacher's batch-norm statistics",
        paper="Yin et al. 2020",
        when="pictures that look like the training data; teachers with batch-norm",
        cost="80,000 student steps and 200,000 steps of inputs; many hours on one GPU",
    ),
    "cmi": Overview(
        what="a new generator for each batch, told apart from all earlier ones",
        paper="Fang et al. 2021",
        when="the highest published accuracy, with days of time",
        cost="80,000 student steps; 13 to 19 hours of generation on one GPU (published)",
    ),
    "fast": Overview(
        what="a meta generator from which a few steps lead to any batch",
        paper="Fang et al. 2022",
        when="nearly the accuracy of cmi at a hundredth of its generation",
        cost="80,000 student steps; 0.15 hours of generation on one GPU (published)",
    ),
    "nayer": Overview(
        what="a generator behind a noisy layer on embeddings of the labels",
        paper="Tran et al. 2024",
        when="to compare with the newest published numbers",
        cost="120,000 student steps; hours on one GPU",
    ),
    "noise": Overview(
        what="distillation on noise alone",
        paper="Hinton et al. 2015",
        when="the baseline that every data-free method should beat",
        cost="80,000 student steps",
        needs_gradients=False,
        needs_classes=False,
    ),
    "unlabelled": Overview(
        what="distillation on images that you have, of any classes",
        paper="Hinton et al. 2015",
        when="you have some images, even unrelated ones; not data-free",
        cost="80,000 student steps",
        needs_gradients=False,
        needs_classes=False,
    ),
    "few_shot": Overview(
        what="distillation and attention transfer on a few labelled images of each class",
        paper="Micaelli & Storkey 2019",
        when="the baseline on real images; not data-free",
        cost="80,000 student steps; about an hour on one GPU",
        needs_gradients=False,
    ),
    "fine_tune": Overview(
        what="a student of another run goes on with a few labelled images",
        paper="Micaelli & Storkey 2019",
        when="after a data-free run, where you get some labelled images; not data-free",
        cost="seconds to minutes",
        needs_gradients=False,
    ),
    "digits": Overview(
        what="adversarial belief matching with what helped since, for 8x8 digits",
        paper="Micaelli & Storkey 2019",
        when="the demo uses it",
        cost="2,000 student steps; two minutes on two cores",
        needs_classes=False,
        is_general=False,
    ),
    "toy": Overview(
        what="free points in the plane, to see how matching works",
        paper="Micaelli & Storkey 2019",
        when="beliefmatch toy uses it",
        cost="4,000 student steps; a minute on two cores",
        is_general=False,
    ),
    "toy_generator": Overview(
        what="the toy with a generator",
        paper="Micaelli & Storkey 2019",
        when="beliefmatch toy --through generator uses it",
        cost="a minute on two cores",
        needs_classes=False,
        is_general=False,
    ),
}
"""By name of the recipe, the ones to try first at the top."""


def any_of(names: Iterable[str]) -> str:
    """Return names with commas between, and `or` before the last."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


WITHOUT_GRADIENTS = any_of(name for name, each in OVERVIEWS.items() if each.is_general and not each.needs_gradients)
"""Names of the recipes for networks that give no gradient."""
WITHOUT_CLASSES = any_of(name for name, each in OVERVIEWS.items() if each.is_general and not each.needs_classes)
"""Names of the recipes for teachers of several labels or of numbers."""
