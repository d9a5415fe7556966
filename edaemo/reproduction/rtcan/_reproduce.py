"""Reproduce the tables and figure 4 of the RTCAN-1D paper, on any study with the needed data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import spearmanr
from sklearn.utils import Bunch

from edaemo._sklearn import AnyBunch
from edaemo.datasets import select_people
from edaemo.evaluation import EvaluationError, require_ratings
from edaemo.preprocessing import SubjectThresholdRelabeler
from edaemo.reproduction.rtcan._published import (
    MODULES,
    PROTOCOL,
    PUBLISHED_P,
    REMARK_3,
    REMARK_5,
    REMARK_FIGURE_4,
    REMARKS_1,
    REMARKS_2,
    TABLE_1,
    TABLE_2,
    TABLE_3,
    TABLE_4,
    TABLE_5,
    TITLES,
    Scores,
)
from edaemo.reproduction.rtcan._runs import (
    TARGETS,
    Network,
    Point,
    ReproductionSettings,
    describe_runs,
    eda_models,
    evaluate_models,
    fix_test,
    name_of,
    references,
    score_point,
    score_rows,
    shrink,
)
from edaemo.statistics import divide, draw_people, interval_over_people

TEST_FIXED, SHRINKING = "test people fixed", "shrinking set"
SIGNALS = ("eda", "eda+music")
# Variants of RTCAN by name: the network, columns of its rows, and published scores.
_Variants = dict[str, tuple[Network, dict[str, Any], Scores]]
DEFAULT = ReproductionSettings()
REPEATED = ReproductionSettings(n_repeats=3)


class Reproduction(NamedTuple):
    """A reproduced table or figure of the paper.

    Parameters
    ----------
    name : str
        "table1" to "table6" or "figure4".
    table : DataFrame
        One row for each number: columns that identify it, ``measured``, ``published`` (NaN if the
        paper does not have this number), ``published_of`` (the dataset of the published number) and
        ``note``. Scores and shares are in percent. Tables 3 to 6 and figure 4 also have ``low`` and
        ``high``, the 95 % interval over people and repeats, and ``sd``, the standard deviation of
        the balanced accuracy over repeats (NaN for other scores). Rows with ``reference`` are not
        in the paper: baselines that use no EDA, and in tables 4 and 5 a support vector machine.
        ``measured`` is NaN if a row was not run; ``note`` contains the reason.
    remarks : tuple of str
        Descriptions of the protocols, and caveats.
    """

    name: str
    table: pd.DataFrame
    remarks: tuple[str, ...]


def reproduce_table1(
    studies: AnyBunch | Sequence[AnyBunch], *, people: str = "all"
) -> Reproduction:
    """Count high and low trials after relabelling with a threshold for each person.

    Parameters
    ----------
    studies : Bunch or sequence of Bunch
        Bunches of a loader, with ratings of valence and arousal.
    people : {"evaluation", "development", "all"}, default="all"

    Returns
    -------
    Reproduction
        Additional columns: ``dataset``, ``target``, ``class``, ``n``, ``published_n``.

    Raises
    ------
    EvaluationError
        If a study has no ratings of valence or arousal.
    ValueError
        If thresholds by subject are not possible, as for PMEmo's 2019 release.
    """
    rows = []
    for study in _several(studies, people, "table1"):
        relabeler = SubjectThresholdRelabeler(target="both")
        balance = relabeler.fit(study.ratings, subject=study.trials["subject"]).class_balance_
        for target in ("arousal", "valence"):
            n, n_high = (int(balance.loc[target, name]) for name in ("n", "n_high"))
            printed = TABLE_1.get((study.name, target))
            for which, count in [("high", n_high), ("low", n - n_high)]:
                row = {
                    "dataset": _title(study),
                    "target": target,
                    "class": which,
                    "n": count,
                    "measured": 100 * count / n,
                    "published_n": getattr(printed, f"n_{which}", None),
                    "published": getattr(printed, which, np.nan),
                    "published_of": TITLES.get(study.name, None),
                    "note": _note(study, REMARKS_1),
                }
                rows.append(row)
    remark = (
        "High means above the person's threshold (2-means of valence and arousal), which is "
        "computed from all ratings of the person. No model is trained, so no protocol applies."
    )
    return Reproduction("table1", pd.DataFrame(rows), (remark,))


def reproduce_table2(
    studies: AnyBunch | Sequence[AnyBunch], *, people: str = "all", random_state: int = 0
) -> Reproduction:
    """Compute Spearman's correlation of valence and arousal over all trials.

    Parameters
    ----------
    studies : Bunch or sequence of Bunch
        As in :func:`reproduce_table1`.
    people : {"evaluation", "development", "all"}, default="all"
        As in :func:`reproduce_table1`.
    random_state : int, default=0
        Seed of the 2000 draws of people.

    Returns
    -------
    Reproduction
        Additional columns: ``dataset``, ``n_trials``, ``n_people``, ``p``, ``published_p``;
        ``low``, ``high``, the 95 % interval over people. ``p`` treats trials as independent, as in
        the paper.

    Raises
    ------
    EvaluationError
        If a study has no ratings of valence or arousal, or if the ratings are not each person's
        ratings.
    """
    rows = []
    for study in _several(studies, people, "table2"):
        if (why := study.ratings.attrs.get("relabelling")) is not None:
            raise EvaluationError(f"table2 needs the ratings of each person: {why}")
        ratings, subject = study.ratings[list(TARGETS)].to_numpy(), study.trials["subject"]
        r, p = spearmanr(ratings[:, 0], ratings[:, 1])
        low, high = _spearman_interval(ratings, pd.factorize(subject)[0], random_state)
        row = {
            "dataset": _title(study),
            "n_people": subject.nunique(),
            "n_trials": len(ratings),
            "measured": float(r),
            "low": low,
            "high": high,
            "p": float(p),
            "published": TABLE_2.get(study.name, np.nan),
            "published_p": PUBLISHED_P if study.name in TABLE_2 else None,
            "published_of": TITLES.get(study.name, None),
            "note": _note(study, REMARKS_2),
        }
        rows.append(row)
    remark = (
        "p treats all trials as independent, as in the paper, but trials of one person are "
        "dependent. The 95 % interval draws people. No model is trained, so no protocol applies."
    )
    return Reproduction("table2", pd.DataFrame(rows), (remark,))


def reproduce_table3(study: AnyBunch, settings: ReproductionSettings = DEFAULT) -> Reproduction:
    """Compare RTCAN, the CNN and the SVM on EDA, music and both, also on shares of the people.

    Parameters
    ----------
    study : Bunch
        With ratings of valence and arousal. Without music, the rows with music are left out.
    settings : ReproductionSettings
        Settings of the evaluation.

    Returns
    -------
    Reproduction
        Additional columns: ``method``, ``dataset``, ``percent`` (of the people; the draws are
        nested, and training and test people are both drawn from this share, as in the paper),
        ``n_people``, ``signal``, ``protocol``, ``target``, ``score``. On DEAP and AMIGOS, RTCAN has
        no attention in its residual units, as in the paper.

    Raises
    ------
    EvaluationError, ValueError, StoreError
        As :func:`evaluate`, and if the study has no ratings of valence or arousal.
    """
    points = shrink(check_study(study, "table3", settings.people), settings)
    without_music = eda_models(study)
    with_music: dict[tuple[str, str], str | Network] = {}
    if study.get("music") is not None:
        with_music = {
            ("SVM", "Music"): "svm-music",
            ("RTCAN-1D", "EDA + Music"): Network(music=True),
        }
    tables = [
        evaluate_models(
            study, [*without_music.values(), *with_music.values()], settings.protocols, settings
        )
    ]
    fewer = [point.protocol for point in points if point.why_not is None and point.percent < 100]
    if fewer:
        tables.append(evaluate_models(study, without_music.values(), fewer, settings))
    table, rows = pd.concat(tables), []
    for ((method, signal), model), point in product(
        {**without_music, **with_music}.items(), points
    ):
        if point.percent == 100 or (method, signal) in without_music:
            about = {"method": method, **_about_people(study, point), "signal": signal}
            printed = TABLE_3.get((method, signal, published_dataset(study), point.percent))
            rows += score_point(table, point, name_of(model), about, printed)
    for point in points:
        if point.percent == 100:
            rows += references(table, point.name, _about_people(study, point))
    remarks = [*describe_runs(table, settings), REMARK_3]
    if not with_music:
        remarks.append(f"{study.name} has no music, so the rows with music are left out.")
    return _finish("table3", study, rows, remarks, printed_on=published_dataset(study))


def reproduce_table4(
    study: AnyBunch,
    settings: ReproductionSettings = DEFAULT,
    *,
    signal: str = "eda+music",
) -> Reproduction:
    """Compare depths and widths of RTCAN's residual blocks.

    Parameters
    ----------
    study : Bunch
        With ratings of valence and arousal, and with music unless `signal` is "eda".
    settings : ReproductionSettings
        Settings of the evaluation.
    signal : {"eda", "eda+music"}, default="eda+music"
        Input of the networks. The paper uses EDA and music.

    Returns
    -------
    Reproduction
        Additional columns: ``method`` (such as "d=1, c=[64,64,64,64]"), ``depth``, ``channels``,
        ``protocol``, ``target``, ``score``.

    Raises
    ------
    EvaluationError, ValueError, StoreError
        As :func:`evaluate`, and if the study has no valence or arousal, or if `signal` needs music
        and the study has no music.
    """
    check_study(study, "table4", settings.people)
    music = _takes_music(study, signal, "table4")
    variants: _Variants = {}
    for (depth, channels), printed in TABLE_4.items():
        width = f"[{','.join(map(str, channels))}]"
        about = {"depth": depth, "channels": width}
        variants[f"d={depth}, c={width}"] = Network(music, depth, channels), about, printed
    rows, remarks = _compare_variants(study, variants, settings)
    return _finish("table4", study, rows, remarks, printed_on="pmemo")


def reproduce_table5(
    study: AnyBunch,
    settings: ReproductionSettings = DEFAULT,
    *,
    signal: str | None = None,
) -> Reproduction:
    """Compare RTCAN with and without each of its attention modules.

    Parameters
    ----------
    study : Bunch
        With ratings of valence and arousal, and with music if `signal` is "eda+music".
    settings : ReproductionSettings
        Settings of the evaluation.
    signal : {"eda", "eda+music"} or None, default=None
        Input of the networks. None: EDA, and music if the study has it, as in the paper.

    Returns
    -------
    Reproduction
        Additional columns: ``method`` ("Basic", "Ra" to "Rf"), ``protocol``, ``target``,
        ``score``.

    Raises
    ------
    EvaluationError, ValueError, StoreError
        As :func:`reproduce_table4`.
    """
    check_study(study, "table5", settings.people)
    if signal is None:
        signal = "eda" if study.get("music") is None else "eda+music"
    music = _takes_music(study, signal, "table5")
    printed_on = published_dataset(study)
    variants: _Variants = {
        name: (Network(music, modules=modules), {}, TABLE_5[printed_on, name])
        for name, modules in MODULES.items()
    }
    rows, remarks = _compare_variants(study, variants, settings)
    return _finish("table5", study, rows, [*remarks, REMARK_5], printed_on=printed_on)


def reproduce_figure4(study: AnyBunch, settings: ReproductionSettings = REPEATED) -> Reproduction:
    """Compute learning curves on 10, 40, 70 and 100 % of the people, in nested draws.

    Parameters
    ----------
    study : Bunch
        With ratings of valence and arousal.
    settings : ReproductionSettings
        The only protocol must be "subject". The default has three repeats.

    Returns
    -------
    Reproduction
        Additional columns: ``way``, ``method``, ``percent``, ``target``, ``score``; of the first
        repeat ``n_people`` (training or test), ``n_training_people`` (mean over folds) and
        ``n_test_people``. With the way "test people fixed", all people are tested, and the models
        are trained on a share of the training people. With "shrinking set", training and test
        people are drawn from a share of all people, as in the paper. Both are equal at 100 %.

    Raises
    ------
    EvaluationError, ValueError, StoreError
        As :func:`evaluate`, and if the study has no ratings of valence or arousal.
    """
    if tuple(settings.protocols) != ("subject",):
        raise EvaluationError(f"figure4 needs protocols=('subject',), got {settings.protocols!r}.")
    selected = check_study(study, "figure4", settings.people)
    ways = {TEST_FIXED: fix_test(selected, settings), SHRINKING: shrink(selected, settings)}
    possible = {
        point.name: point.protocol
        for points in ways.values()
        for point in points
        if point.why_not is None
    }
    models = eda_models(study)
    table = evaluate_models(study, models.values(), possible.values(), settings)
    rows: list[dict[str, Any]] = []
    for way, points in ways.items():
        for ((method, signal), model), point in product(models.items(), points):
            printed = TABLE_3.get((method, signal, published_dataset(study), point.percent))
            if way == TEST_FIXED and point.percent < 100:
                printed = None
            about = {"way": way, "method": method, **_about_people(study, point)}
            rows += score_point(table, point, name_of(model), about, printed)
        for point in points:
            if point.why_not is None:
                about = {"way": way, **_about_people(study, point)}
                rows += references(table, point.name, about, ["majority"])
    remarks = [*describe_runs(table, settings), REMARK_FIGURE_4, REMARK_3]
    return _finish("figure4", study, rows, remarks, printed_on=published_dataset(study))


def _about_people(study: Bunch, point: Point) -> dict[str, Any]:
    share = f"-{point.percent}%" if point.percent < 100 else ""
    return {
        "dataset": _title(study) + share,
        "protocol": point.base,
        "percent": point.percent,
        "n_people": point.n_people,
        "n_training_people": point.n_training_people,
        "n_test_people": point.n_test_people,
    }


def _compare_variants(
    study: Bunch,
    variants: _Variants,
    settings: ReproductionSettings,
) -> tuple[list[dict[str, Any]], list[str]]:
    """Evaluate variants of RTCAN under each protocol; return the rows and the remarks."""
    networks = [network for network, _, _ in variants.values()]
    signal, machine = (
        ("EDA and music", "svm-eda-music") if networks[0].music else ("EDA", "svm-eda")
    )
    table = evaluate_models(study, [*networks, machine], settings.protocols, settings)
    rows: list[dict[str, Any]] = []
    for protocol in settings.protocols:
        for name, (network, about, published) in variants.items():
            columns = {"protocol": protocol, "method": name, **about}
            rows += score_rows(table, protocol, network.name, columns, published)
        rows += references(table, protocol, {"protocol": protocol})
        rows += references(table, protocol, {"protocol": protocol}, [machine])
    return rows, [*describe_runs(table, settings), f"All networks and {machine} use {signal}."]


def _finish(
    name: str, study: Bunch, rows: list[dict[str, Any]], remarks: Iterable[str], *, printed_on: str
) -> Reproduction:
    remarks = [*remarks, PROTOCOL]
    if study.name != printed_on:
        remarks.append(
            f"The published numbers are from {TITLES[printed_on]}, with different people and "
            "different recordings. They are shown for comparison only; equal numbers are not "
            "expected."
        )
    table = pd.DataFrame(rows)
    is_published = table["published"].notna()
    table["published_of"] = [TITLES[printed_on] if printed else None for printed in is_published]
    return Reproduction(name, table, tuple(remarks))


def _several(studies: Bunch | Sequence[Bunch], people: str, name: str) -> list[Bunch]:
    studies = [studies] if isinstance(studies, Bunch) else list(studies)
    return [check_study(study, name, people) for study in studies]


def check_study(study: Bunch, name: str, people: str) -> Bunch:
    """Return the study with the chosen people; raise if it has no valence or arousal."""
    require_ratings(study, TARGETS, name, "Choose another study.")
    return select_people(study, people)


def _takes_music(study: Bunch, signal: str, name: str) -> bool:
    """Return whether the networks use music; raise if the study lacks it."""
    if signal not in SIGNALS:
        raise EvaluationError(f"signal={signal!r} must be one of {list(SIGNALS)}.")
    if signal == "eda+music" and study.get("music") is None:
        raise EvaluationError(
            f"{name} uses EDA and music, but {study.name} has no music. Pass signal='eda' "
            "(--signal eda), or choose another study."
        )
    return signal == "eda+music"


def _title(study: Bunch) -> str:
    return TITLES.get(study.name, study.name)


def published_dataset(study: Bunch) -> str:
    """Return the dataset whose published numbers are shown with the results of a study."""
    return study.name if study.name in TITLES else "pmemo"


def _note(study: Bunch, remarks: dict[str, str]) -> str:
    if study.name in TITLES:
        return remarks.get(study.name, "")
    return "ARTIFICIAL, not in the paper" if study.get("artificial") else "not in the paper"


def _spearman_interval(
    ratings: np.ndarray, subject: np.ndarray, random_state: int
) -> tuple[float, float]:
    """Return the 95 % interval over people of the correlation of two columns of ratings."""
    codes = [np.unique(column, return_inverse=True)[1] for column in ratings.T]
    drawn = draw_people(subject.max() + 1, random_state)
    draws = np.array([_weighted_spearman(codes, weights[subject]) for weights in drawn])
    return interval_over_people(draws, subject.max() + 1)


def _weighted_spearman(codes: Sequence[np.ndarray], weights: np.ndarray) -> float:
    """Return the correlation of the average ranks of two columns, with a weight for each row."""
    ranks = []
    for column in codes:
        counts = np.bincount(column, weights)
        rank = (np.cumsum(counts) - (counts - 1) / 2)[column]
        ranks.append(rank - np.average(rank, weights=weights))
    products = [np.sum(weights * ranks[i] * ranks[j]) for i, j in ((0, 1), (0, 0), (1, 1))]
    return float(divide(products[0], np.sqrt(products[1] * products[2])))
