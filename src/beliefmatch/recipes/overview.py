"""What each recipe is, where it comes from, when to use it and what it costs, in a line each."""

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


OVERVIEWS: dict[str, Overview] = {
    "best": Overview(
        what="procedural images, refined through the teacher; the student starts from the teacher's weights",
        paper="ours, with Xu et al. 2024",
        when="first, and wherever you have no reason for another",
        cost="40,000 student steps; minutes for small networks on a CPU",
    ),
    "zero_shot": Overview(
        what="adversarial belief matching: a generator finds inputs on which the two networks differ",
        paper="Micaelli & Storkey 2019",
        when="to reproduce the paper, or where the student must not start from the teacher",
        cost="800,000 student steps; 10 to 13 hours on one GPU (published)",
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
    ),
    "unlabelled": Overview(
        what="distillation on images that you have, of any classes",
        paper="Hinton et al. 2015",
        when="you have some images, even unrelated ones; not data-free",
        cost="80,000 student steps",
    ),
    "few_shot": Overview(
        what="distillation and attention transfer on a few labelled images of each class",
        paper="Micaelli & Storkey 2019",
        when="the baseline on real images; not data-free",
        cost="80,000 student steps; about an hour on one GPU",
    ),
    "fine_tune": Overview(
        what="a student of another run goes on with a few labelled images",
        paper="Micaelli & Storkey 2019",
        when="after a data-free run, where you get some labelled images; not data-free",
        cost="seconds to minutes",
    ),
    "digits": Overview(
        what="adversarial belief matching with what helped since, for 8x8 digits",
        paper="Micaelli & Storkey 2019",
        when="the demo uses it",
        cost="2,000 student steps; two minutes on two cores",
    ),
    "toy": Overview(
        what="free points in the plane, to see how matching works",
        paper="Micaelli & Storkey 2019",
        when="beliefmatch toy uses it",
        cost="4,000 student steps; a minute on two cores",
    ),
    "toy_generator": Overview(
        what="the toy with a generator",
        paper="Micaelli & Storkey 2019",
        when="beliefmatch toy --through generator uses it",
        cost="a minute on two cores",
    ),
}
"""By name of the recipe, the ones to try first at the top."""
