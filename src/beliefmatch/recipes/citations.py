"""Which papers a run is based on, as BibTeX: of its source, its objective and where its student starts."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from beliefmatch.objectives.belief_matching import BeliefMatching
from beliefmatch.objectives.distillation import Distillation
from beliefmatch.sources.adversarial import Adversarial
from beliefmatch.sources.cmi import Cmi
from beliefmatch.sources.dafl import Dafl
from beliefmatch.sources.deep_inversion import DeepInversion
from beliefmatch.sources.dfad import Dfad
from beliefmatch.sources.dfq import Dfq
from beliefmatch.sources.fast import Fast
from beliefmatch.sources.few_shot import FewShot
from beliefmatch.sources.free_points import FreePoints
from beliefmatch.sources.nayer import Nayer
from beliefmatch.sources.noise import Noise
from beliefmatch.sources.procedural_pool import ProceduralPool
from beliefmatch.sources.unlabelled import Unlabelled
from beliefmatch.training.transfer import Transfer


@dataclass(frozen=True, kw_only=True)
class Paper:
    """What a bibliography says of a paper."""

    key: str
    """Name of the entry in BibTeX."""
    authors: tuple[str, ...]
    """Each as "Family, Given"."""
    title: str
    """As printed; braces keep the case of what they hold."""
    year: int
    """Of the venue, or else of the preprint."""
    venue: str | None = None
    """Conference. None: a preprint alone."""
    arxiv: str
    """Number of the preprint."""

    def to_text(self) -> str:
        """Return it in one line: authors and year, title, and where it appeared."""
        first, *others = (author.partition(",")[0] for author in self.authors)
        authors = f"{first} et al." if len(others) > 1 else " & ".join([first, *others])
        title = self.title.translate(str.maketrans("", "", "{}"))
        return f"{authors} {self.year}, {title}, {self.venue or f'arXiv {self.arxiv}'}"

    def to_bibtex(self) -> str:
        """Return the entry, which ends in a line break."""
        fields = {"title": self.title, "author": " and ".join(self.authors), "booktitle": self.venue}
        fields |= {"year": str(self.year), "eprint": self.arxiv, "archiveprefix": "arXiv"}
        return _entry("misc" if self.venue is None else "inproceedings", self.key, fields)


BELIEF_MATCHING = Paper(
    key="micaelli2019zeroshot",
    authors=("Micaelli, Paul", "Storkey, Amos J."),
    title="Zero-shot Knowledge Transfer via Adversarial Belief Matching",
    year=2019,
    venue="Advances in Neural Information Processing Systems",
    arxiv="1905.09768",
)
DISTILLATION = Paper(
    key="hinton2015distilling",
    authors=("Hinton, Geoffrey", "Vinyals, Oriol", "Dean, Jeff"),
    title="Distilling the Knowledge in a Neural Network",
    year=2015,
    arxiv="1503.02531",
)
ATTENTION = Paper(
    key="zagoruyko2017paying",
    authors=("Zagoruyko, Sergey", "Komodakis, Nikos"),
    title="Paying More Attention to Attention: Improving the Performance of Convolutional Neural Networks via "
    "Attention Transfer",
    year=2017,
    venue="International Conference on Learning Representations",
    arxiv="1612.03928",
)
FEATURES = Paper(
    key="romero2015fitnets",
    authors=(
        *("Romero, Adriana", "Ballas, Nicolas", "Kahou, Samira Ebrahimi", "Chassang, Antoine"),
        *("Gatta, Carlo", "Bengio, Yoshua"),
    ),
    title="FitNets: Hints for Thin Deep Nets",
    year=2015,
    venue="International Conference on Learning Representations",
    arxiv="1412.6550",
)
WEIGHT_SELECTION = Paper(
    key="xu2024initializing",
    authors=(
        *("Xu, Zhiqiu", "Chen, Yanjie", "Vishniakov, Kirill", "Yin, Yida"),
        *("Shen, Zhiqiang", "Darrell, Trevor", "Liu, Lingjie", "Liu, Zhuang"),
    ),
    title="Initializing Models with Larger Ones",
    year=2024,
    venue="International Conference on Learning Representations",
    arxiv="2311.18823",
)
GOOD_DATASET = Paper(
    key="frank2025what",
    authors=("Frank, Logan", "Davis, Jim"),
    title="What Makes a Good Dataset for Knowledge Distillation?",
    year=2025,
    venue="IEEE/CVF Conference on Computer Vision and Pattern Recognition",
    arxiv="2411.12817",
)
LOOKING_AT_NOISE = Paper(
    key="baradad2021learning",
    authors=("Baradad, Manel", "Wulff, Jonas", "Wang, Tongzhou", "Isola, Phillip", "Torralba, Antonio"),
    title="Learning to See by Looking at Noise",
    year=2021,
    venue="Advances in Neural Information Processing Systems",
    arxiv="2106.05963",
)
DEEP_INVERSION = Paper(
    key="yin2020dreaming",
    authors=(
        *("Yin, Hongxu", "Molchanov, Pavlo", "Alvarez, Jose M.", "Li, Zhizhong"),
        *("Mallya, Arun", "Hoiem, Derek", "Jha, Niraj K.", "Kautz, Jan"),
    ),
    title="Dreaming to Distill: Data-free Knowledge Transfer via {DeepInversion}",
    year=2020,
    venue="IEEE/CVF Conference on Computer Vision and Pattern Recognition",
    arxiv="1912.08795",
)
DAFL = Paper(
    key="chen2019data",
    authors=(
        *("Chen, Hanting", "Wang, Yunhe", "Xu, Chang", "Yang, Zhaohui", "Liu, Chuanjian"),
        *("Shi, Boxin", "Xu, Chunjing", "Xu, Chao", "Tian, Qi"),
    ),
    title="Data-Free Learning of Student Networks",
    year=2019,
    venue="IEEE/CVF International Conference on Computer Vision",
    arxiv="1904.01186",
)
DFAD = Paper(
    key="fang2019data",
    authors=("Fang, Gongfan", "Song, Jie", "Shen, Chengchao", "Wang, Xinchao", "Chen, Da", "Song, Mingli"),
    title="Data-Free Adversarial Distillation",
    year=2019,
    arxiv="1912.11006",
)
DFQ = Paper(
    key="choi2020data",
    authors=("Choi, Yoojin", "Choi, Jihwan", "El-Khamy, Mostafa", "Lee, Jungwon"),
    title="Data-Free Network Quantization With Adversarial Knowledge Distillation",
    year=2020,
    venue="IEEE/CVF Conference on Computer Vision and Pattern Recognition Workshops",
    arxiv="2005.04136",
)
CMI = Paper(
    key="fang2021contrastive",
    authors=("Fang, Gongfan", "Song, Jie", "Wang, Xinchao", "Shen, Chengchao", "Wang, Xingen", "Song, Mingli"),
    title="Contrastive Model Inversion for Data-Free Knowledge Distillation",
    year=2021,
    venue="International Joint Conference on Artificial Intelligence",
    arxiv="2105.08584",
)
FAST = Paper(
    key="fang2022up",
    authors=(
        *("Fang, Gongfan", "Mo, Kanya", "Wang, Xinchao", "Song, Jie"),
        *("Bei, Shitao", "Zhang, Haofei", "Song, Mingli"),
    ),
    title="Up to 100x Faster Data-free Knowledge Distillation",
    year=2022,
    venue="AAAI Conference on Artificial Intelligence",
    arxiv="2112.06253",
)
NAYER = Paper(
    key="tran2024nayer",
    authors=(
        *("Tran, Minh-Tuan", "Le, Trung", "Le, Xuan-May"),
        *("Harandi, Mehrtash", "Tran, Quan Hung", "Phung, Dinh"),
    ),
    title="{NAYER}: Noisy Layer Data Generation for Efficient and Effective Data-free Knowledge Distillation",
    year=2024,
    venue="IEEE/CVF Conference on Computer Vision and Pattern Recognition",
    arxiv="2310.00258",
)

VERSION = re.compile(r"[0-9A-Za-z.+!-]{1,64}")
"""What a version may be made of."""

PAPERS: dict[type, tuple[Paper, ...]] = {
    Adversarial: (BELIEF_MATCHING,),
    Cmi: (CMI,),
    Dafl: (DAFL,),
    DeepInversion: (DEEP_INVERSION,),
    Dfad: (DFAD,),
    Dfq: (DFQ,),
    Fast: (FAST,),
    FewShot: (BELIEF_MATCHING,),
    FreePoints: (BELIEF_MATCHING,),
    Nayer: (NAYER,),
    Noise: (BELIEF_MATCHING,),
    ProceduralPool: (GOOD_DATASET, LOOKING_AT_NOISE, DEEP_INVERSION),
    Unlabelled: (DISTILLATION,),
    BeliefMatching: (BELIEF_MATCHING,),
    Distillation: (DISTILLATION,),
}
"""Papers of each source and each objective."""


def papers_of(transfer: Transfer) -> list[Paper]:
    """Return the papers that a run is based on, each once: of source, objective, their options, and the start."""
    return list(dict.fromkeys(_find_papers(transfer)))


def _find_papers(transfer: Transfer) -> Iterator[Paper]:
    source, objective = transfer.source, transfer.objective
    yield from PAPERS[type(source)]
    if isinstance(source, Adversarial) and source.batch_norm_weight:
        yield DEEP_INVERSION
    yield from PAPERS[type(objective)]
    # L1 on centred logits came with DFAD.
    if "l1" in (getattr(source, "divergence", None), getattr(objective, "divergence", None)):
        yield DFAD
    if getattr(objective, "attention_weight", 0):
        yield ATTENTION
    if getattr(objective, "feature_weight", 0):
        yield FEATURES
    if transfer.student.start == "teacher":
        yield WEIGHT_SELECTION


def cite_software(version: str) -> str:
    """Return the entry of beliefmatch itself, which ends in a line break.

    Args:
        version: as a run folder has it. A text that is no version, which somebody else may have put there, is left out.
    """
    fields: dict[str, str | None] = {"title": "{beliefmatch}: compress a pretrained network without its data"}
    fields |= {"author": "{beliefmatch developers}", "version": version if VERSION.fullmatch(version) else None}
    return _entry("software", "beliefmatch", fields)


def _entry(kind: str, key: str, fields: dict[str, str | None]) -> str:
    lines = [f"  {name} = {{{value}}},\n" for name, value in fields.items() if value is not None]
    return f"@{kind}{{{key},\n{''.join(lines)}}}\n"
