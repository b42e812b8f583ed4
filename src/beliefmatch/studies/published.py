"""Numbers that others printed. Accuracies in percent; deviations over three seeds."""

from dataclasses import dataclass

PAPER = "paper"
FERLES = "Ferles et al."
DATAFREE = "DataFree"

ZERO_SHOT = "zero-shot"
FINE_TUNED = "zero-shot, fine-tuned"
NO_TEACHER = "no teacher"
KD_AT = "KD+AT"
"""Methods, as the paper calls them."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """A number, who printed it, and its deviation over seeds where they gave one."""

    by: str
    value: float
    deviation: float | None = None


def paper(value: float, deviation: float | None = None) -> Published:
    """Return a number of Micaelli & Storkey 2019."""
    return Published(by=PAPER, value=value, deviation=deviation)


def ferles(value: float) -> Published:
    """Return a number of the ReScience reproduction by Ferles et al. 2020, mean of three seeds."""
    return Published(by=FERLES, value=value)


def datafree(value: float) -> Published:
    """Return a number of the DataFree benchmark by Fang et al., whose WRN-40-2 stands at 94.87."""
    return Published(by=DATAFREE, value=value)


@dataclass(frozen=True, kw_only=True)
class Table1Row:
    """One pair of table 1, CIFAR-10."""

    teacher: float
    student_with_data: float
    few_shot: tuple[Published, ...]
    """KD+AT on 200 images of each class."""
    zero_shot: tuple[Published, ...]
    fresh_noise: tuple[Published, ...]
    """Zero-shot, with new noise for each student step."""


TABLE1: dict[tuple[str, str], Table1Row] = {
    ("16-2", "16-1"): Table1Row(
        teacher=93.97,
        student_with_data=91.04,
        few_shot=(paper(84.54, 0.21),),
        zero_shot=(paper(82.44, 0.21), ferles(81.25)),
        fresh_noise=(ferles(82.82),),
    ),
    ("40-1", "16-1"): Table1Row(
        teacher=93.18,
        student_with_data=91.04,
        few_shot=(paper(81.71, 0.25),),
        zero_shot=(paper(79.93, 1.11), ferles(79.90)),
        fresh_noise=(ferles(82.61),),
    ),
    ("40-2", "16-1"): Table1Row(
        teacher=94.73,
        student_with_data=91.04,
        few_shot=(paper(81.25, 0.67),),
        zero_shot=(paper(83.69, 0.58), ferles(83.63), datafree(83.74)),
        fresh_noise=(ferles(84.78),),
    ),
    ("40-1", "16-2"): Table1Row(
        teacher=93.18,
        student_with_data=93.97,
        few_shot=(paper(85.74, 0.47),),
        zero_shot=(paper(86.60, 0.56), ferles(87.71)),
        fresh_noise=(ferles(89.27),),
    ),
    ("40-2", "16-2"): Table1Row(
        teacher=94.73,
        student_with_data=93.97,
        few_shot=(paper(86.39, 0.33),),
        zero_shot=(paper(89.71, 0.10), ferles(89.31), datafree(89.66)),
        fresh_noise=(ferles(91.12),),
    ),
    ("40-2", "40-1"): Table1Row(
        teacher=94.73,
        student_with_data=93.18,
        few_shot=(paper(87.35, 0.12),),
        zero_shot=(paper(86.60, 1.79), ferles(87.46), datafree(86.07)),
        fresh_noise=(ferles(90.27),),
    ),
}

IMAGES_PER_CLASS = (10, 25, 50, 75, 100)
FIGURE2: dict[str, dict[str, tuple[float, ...]]] = {
    "cifar10": {
        NO_TEACHER: (25.8, 33.5, 44.9, 55.6, 58.8),
        KD_AT: (40.3, 57, 68, 72, 76),
        FINE_TUNED: (84.68, 84.71, 85.28, 85.75, 85.91),
    },
    "svhn": {
        KD_AT: (24.6, 40.3, 54.0, 69.7, 77.7),
        FINE_TUNED: (94.36, 94.37, 94.35, 94.38, 94.41),
    },
}
"""Accuracy at each of IMAGES_PER_CLASS, WRN-40-2 -> WRN-16-1."""
SVHN_ZERO_SHOT = (paper(94.06, 0.27),)
FIGURE2_START = {"cifar10": TABLE1["40-2", "16-1"].zero_shot, "svhn": (paper(94.37),)}
"""Where figure 2 begins, at M = 0: on SVHN not with what the text prints."""
ALL_IMAGES = {"cifar10": (paper(91.92),), "svhn": (paper(95.88),)}
"""KD+AT on the full training set, WRN-40-2 -> WRN-16-1."""
SVHN_TEACHER = 96.50
SVHN_STUDENT_WITH_DATA = 95.71

TRANSITION_ERRORS: dict[str, dict[str, tuple[Published, ...]]] = {
    "cifar10": {
        ZERO_SHOT: (paper(0.22), ferles(0.18)),
        KD_AT: (paper(0.68), ferles(0.81)),
    },
    "svhn": {
        ZERO_SHOT: (paper(0.09), ferles(0.11)),
        KD_AT: (paper(0.64), ferles(0.83)),
    },
}
"""Mean transition error, guided by the student, WRN-40-2 -> WRN-16-1; KD+AT with the full training set."""

TOY_TEACHER = 96.8
"""Accuracy of the toy's teacher in the authors' notebook, in percent."""
