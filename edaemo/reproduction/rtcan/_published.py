"""Hold the numbers of tables 1 to 6 and figure 4 of the RTCAN-1D paper, typed from its text.

Yin, G., Sun, S., Yu, D., Li, D., Zhang, K. A multimodal framework for large-scale emotion
recognition by fusing music and electrodermal activity signals. ACM TOMM 18, 2022. The
percentages are as printed.
"""

from __future__ import annotations

from typing import NamedTuple

ILLEGIBLE = "illegible in the source"
TITLES = {"pmemo": "PMEmo", "deap": "DEAP", "amigos": "AMIGOS"}
PROTOCOL = (
    "The paper splits people into ten folds: eight for training, one for validation, one for the "
    "test (section 5.1). This is protocol `paper` here. The released code splits single trials at "
    "random, which is protocol `trial` here, and averages the test accuracy over epochs."
)


class Balance(NamedTuple):
    """Trials of the high and of the low class, and their percentages."""

    n_high: int
    high: float
    n_low: int
    low: float


class Scores(NamedTuple):
    """Average accuracy and F1 of a row of tables 3 to 5, in percent, in the paper's order."""

    valence_accuracy: float
    valence_f1: float
    arousal_accuracy: float
    arousal_f1: float


TABLE_1 = {
    ("pmemo", "arousal"): Balance(4520, 58.8, 3170, 41.2),
    ("pmemo", "valence"): Balance(4436, 57.7, 3254, 42.3),
    ("deap", "arousal"): Balance(680, 53.1, 600, 46.9),
    ("deap", "valence"): Balance(647, 50.5, 633, 49.5),
    ("amigos", "arousal"): Balance(443, 56.2, 345, 43.3),
    ("amigos", "valence"): Balance(394, 50.0, 394, 50.0),
}
REMARKS_1 = {
    "pmemo": "the paper's classes have 7690 trials, but its text has 7962",
    "amigos": "the paper prints 43.3 % for 345 of 788 trials, which is 43.8 %",
}

TABLE_2 = {"amigos": 0.56, "deap": 0.15, "pmemo": 0.52}  # all with p < .001
PUBLISHED_P = "< .001"
REMARKS_2 = {
    "amigos": f"the paper quotes another paper; the cell is {ILLEGIBLE}, section 4.3 has 0.56"
}

_FEATURES = "EDA hand-crafted feature"
# By method, input signal, dataset and percent of the people.
TABLE_3: dict[tuple[str, str, str, float], Scores] = {
    ("RTCAG", "EDA", "deap", 100): Scores(77.15, 79.18, 83.42, 83.77),
    ("RTCAG", "EDA", "amigos", 100): Scores(75.87, 74.48, 78.20, 77.56),
    ("SVM", _FEATURES, "pmemo", 10): Scores(60.48, 61.51, 61.73, 61.95),
    ("SVM", _FEATURES, "pmemo", 40): Scores(60.27, 61.04, 61.49, 61.77),
    ("SVM", _FEATURES, "pmemo", 70): Scores(60.03, 60.87, 61.12, 61.35),
    ("SVM", _FEATURES, "pmemo", 100): Scores(59.78, 60.36, 60.95, 61.14),
    ("3-layer CNN", _FEATURES, "pmemo", 10): Scores(65.68, 65.33, 65.74, 65.90),
    ("3-layer CNN", _FEATURES, "pmemo", 40): Scores(62.85, 63.26, 63.37, 63.40),
    ("3-layer CNN", _FEATURES, "pmemo", 70): Scores(62.39, 62.92, 62.55, 62.88),
    ("3-layer CNN", _FEATURES, "pmemo", 100): Scores(61.64, 62.30, 61.98, 62.14),
    ("RTCAG", "EDA", "pmemo", 10): Scores(72.12, 71.33, 74.52, 71.53),
    ("RTCAG", "EDA", "pmemo", 40): Scores(66.24, 65.80, 67.05, 66.70),
    ("RTCAG", "EDA", "pmemo", 70): Scores(65.82, 64.77, 65.79, 66.23),
    ("RTCAG", "EDA", "pmemo", 100): Scores(64.52, 63.31, 65.19, 65.84),
    ("SVM", "Music", "pmemo", 100): Scores(70.43, 75.32, 71.49, 76.36),
    ("RTCAN-1D", "EDA + Music", "pmemo", 100): Scores(79.68, 82.45, 83.76, 86.12),
}
PERCENTS = (10, 40, 70, 100)
REMARK_3 = (
    "The paper prints 46, 128, 319 and 457 people for 10, 40, 70 and 100 % of PMEmo's 457 people, "
    "but 40 % are 183. It does not explain how the people were drawn. Its row of an SVM on music "
    "is quoted from earlier work."
)
REMARK_FIGURE_4 = (
    f"The drawing of figure 4 is {ILLEGIBLE}. Its points are the numbers of table 3, which are "
    "shown with the shrinking set."
)

NARROW, WIDE = (64, 64, 64, 64), (64, 128, 256, 512)
# On PMEmo, by depth and channels.
TABLE_4 = {
    (1, NARROW): Scores(79.68, 82.45, 83.76, 86.12),
    (1, WIDE): Scores(75.42, 78.80, 79.31, 80.83),
    (2, NARROW): Scores(73.45, 76.92, 74.80, 75.55),
    (2, WIDE): Scores(72.84, 75.47, 73.43, 74.71),
}

# SCA_Res, SCA, RNTA.
MODULES = {
    "Basic": (False, False, False),
    "Ra": (True, False, False),
    "Rb": (False, True, False),
    "Rc": (True, True, False),
    "Rd": (False, False, True),
    "Re": (False, True, True),
    "Rf": (True, True, True),
}
REMARK_5 = (
    f"The check marks of the paper's table are {ILLEGIBLE}. The columns were identified by the "
    "text, and because Re and Rf have the numbers of table 3. DEAP and AMIGOS use only EDA, PMEmo "
    "uses EDA and music."
)
_ACROSS_5 = {  # accuracy and F1 of valence, then of arousal; each from Basic to Rf
    "deap": (
        (76.28, 74.45, 76.61, 74.02, 76.53, 77.15, 73.33),
        (78.21, 75.40, 77.98, 74.97, 78.33, 79.18, 74.60),
        (81.94, 78.48, 82.45, 78.04, 82.71, 83.42, 77.51),
        (81.95, 77.87, 82.40, 77.33, 82.80, 83.77, 76.95),
    ),
    "amigos": (
        (73.48, 71.04, 73.94, 70.87, 74.28, 75.87, 70.63),
        (73.30, 71.73, 73.77, 71.25, 73.45, 74.48, 70.88),
        (76.87, 71.31, 77.46, 70.84, 77.91, 78.20, 70.27),
        (75.81, 74.47, 76.71, 74.00, 76.50, 77.56, 73.59),
    ),
    "pmemo": (
        (74.82, 75.93, 75.67, 77.40, 75.61, 76.26, 79.68),
        (78.50, 80.22, 79.15, 81.60, 79.33, 80.75, 82.45),
        (77.34, 81.16, 80.43, 82.05, 80.73, 80.92, 83.76),
        (82.53, 85.20, 84.13, 85.62, 84.66, 85.15, 86.12),
    ),
}
TABLE_5 = {
    (dataset, variant): Scores(*column)
    for dataset, rows in _ACROSS_5.items()
    for variant, column in zip(MODULES, zip(*rows, strict=True), strict=True)
}


class Previous(NamedTuple):
    """A row of table 6: a model of earlier work, and what the paper prints about it.

    `pipeline` is the name of the model in edaemo. `scores` is None if the cells are illegible; the
    other fields are None if the model is not in the table.
    """

    method: str
    pipeline: str
    dataset: str | None = None
    n_people: int | None = None
    signal: str | None = None
    split: str | None = None
    scores: Scores | None = None


_NAN = float("nan")
_FOLDS = "10-fold"
_BOTH = "EDA + Music"
TABLE_6 = (
    Previous("SVM, linear [12]", "svm-eda", "amigos", 40, "EDA", _FOLDS),
    Previous("SVM, RBF [34]", "svm-rbf-eda", "deap", 32, ILLEGIBLE, ILLEGIBLE),
    Previous("MLP [52]", "mlp-eda", "deap", 32, "EDA", _FOLDS),
    Previous("Alexnet-2D [40]", "alexnet2d-eda", "deap", 32, "7 signals", ILLEGIBLE),
    Previous("DCNN [50]", "dcnn-eda", "amigos", 40, "EDA", ILLEGIBLE),
    Previous("3-layer CNN [1]", "machot-eda", "deap", 32, "EDA", "subject-independent"),
    Previous("Res-SIN [62]", "ressin-eda", "pmemo", 457, "EDA", ILLEGIBLE),
    Previous(
        "Res-SIN [62]",
        "ressin-eda-music",
        "pmemo",
        457,
        _BOTH,
        _FOLDS,
        Scores(73.43, _NAN, 73.65, _NAN),
    ),
)
# The models of the paper itself: by signal, with the datasets and numbers of table 3.
TABLE_6_RTCAN = {
    "EDA": {
        name: Previous(
            "RTCAG", "rtcan-eda", name, n, "EDA", _FOLDS, TABLE_3["RTCAG", "EDA", name, 100]
        )
        for name, n in (("deap", 32), ("amigos", 40), ("pmemo", 457))
    },
    _BOTH: {
        "pmemo": Previous(
            "RTCAN-1D",
            "rtcan-eda-music",
            "pmemo",
            457,
            _BOTH,
            _FOLDS,
            TABLE_3["RTCAN-1D", _BOTH, "pmemo", 100],
        )
    },
}
# Models that are not in the table: those that AIMSTF builds on, and two for time series.
NOT_IN_TABLE_6 = {
    "DeepVANet, bio branch": "deepvanet-eda",
    "TSception": "tsception-eda",
    "MiniRocket": "minirocket-eda",
    "InceptionTime": "inceptiontime-eda",
}
REMARK_6 = (
    "Dataset, people, signal and split are those of the published numbers. Most cells of the "
    f"paper's table 6 are {ILLEGIBLE}. Legible are the row of RTCAN-1D, and names, datasets, "
    "people and splits of some rows. The numbers of RTCAG are those of table 3. The accuracy of "
    "Res-SIN on EDA and music is that of its abstract (arXiv:1908.03692). For the 3-layer CNN [1], "
    "the text has one number: 82 %, subject-independent; its abstract adds that this is on DEAP, "
    "for four classes."
)
REMARK_MODELS_6 = (
    "The earlier models were written from the descriptions that we have, and most sizes of their "
    "layers are our choice (docs/models.md). They all take what edaemo computes from the EDA; none "
    "of them takes ECG, EEG or other signals as their sources do."
)
