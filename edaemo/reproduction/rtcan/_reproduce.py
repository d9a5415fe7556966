"""The tables and the figure of the RTCAN-1D paper, on any study that has what they need."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import spearmanr
from sklearn.utils import Bunch

from edaemo.datasets import select_people
from edaemo.evaluation import EvaluationError
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
    eda_models,
    evaluate_models,
    fix_test,
    name_of,
    references,
    say,
    score_point,
    score_rows,
    shrink,
)
from edaemo.statistics import divide, draw_people, interval_over_people

TEST_FIXED, SHRINKING = "test people fixed", "shrinking set"
SIGNALS = ("eda", "eda+music")
# Of RTCAN, by name: the network, what its rows are about, and what is published of it.
_Variants = dict[str, tuple[Network, dict, Scores]]
DEFAULT = ReproductionSettings()
REPEATED = ReproductionSettings(n_repeats=3)


class Reproduction(NamedTuple):
    """A table or the figure of the paper, made anew.

    Attributes
    ----------
    name : str
        "table1" to "table5" or "figure4".
    table : DataFrame
        One row for each number: what it is about, ``measured``, ``published`` (NaN where the paper
        has no such number), ``published_of`` (whose: a dataset of the paper) and ``note``. Scores
        and shares are in percent. Tables 3 to 5 and figure 4: ``low``, ``high``, the 95 % bootstrap
        interval over people; rows with ``reference`` are not in the paper: what needs no EDA, and
        in tables 4 and 5 a support vector machine; ``measured`` is NaN where a row was not run, and
        ``note`` says why.
    remarks : tuple of str
        Protocols, and what has to be said of the numbers.
    """

    name: str
    table: pd.DataFrame
    remarks: tuple[str, ...]


def reproduce_table1(studies: Bunch | Sequence[Bunch], *, people: str = "all") -> Reproduction:
    """Count high and low trials after relabelling by each person's own threshold.

    Parameters
    ----------
    studies : Bunch or sequence of Bunch
        As loaders return them, with ratings of valence and arousal.
    people : {"evaluation", "development", "all"}, default="all"

    Returns
    -------
    Reproduction
        Also ``dataset``, ``target``, ``class``, ``n``, ``published_n``.

    Raises
    ------
    EvaluationError
        If a study has no ratings of valence or arousal.
    ValueError
        If there is no threshold by subject, as for PMEmo's 2019 release.
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
        "High is above the person's own threshold (2-means in the plane of valence and arousal), "
        "from all of the person's ratings. Nothing is trained: there is no protocol."
    )
    return Reproduction("table1", pd.DataFrame(rows), (remark,))


def reproduce_table2(
    studies: Bunch | Sequence[Bunch], *, people: str = "all", random_state: int = 0
) -> Reproduction:
    """Correlate the ratings of valence and arousal over all trials (Spearman).

    Parameters
    ----------
    studies, people
        As in :func:`reproduce_table1`.
    random_state : int, default=0
        Seed of the 2000 draws of people.

    Returns
    -------
    Reproduction
        Also ``dataset``, ``n_trials``, ``n_people``, ``p``, ``published_p``; ``low``, ``high``, the
        95 % interval over people. ``p`` takes trials as independent, as the paper does.

    Raises
    ------
    EvaluationError
        If a study has no ratings of valence or arousal, or they are not the people's own.
    """
    rows = []
    for study in _several(studies, people, "table2"):
        if (why := study.ratings.attrs.get("relabelling")) is not None:
            raise EvaluationError(f"table2 is about people's own ratings: {why}")
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
        "p takes all trials as independent, as the paper does, which trials of one person are not; "
        "the interval (95 %) draws people. Nothing is trained: there is no protocol."
    )
    return Reproduction("table2", pd.DataFrame(rows), (remark,))


def reproduce_table3(study: Bunch, settings: ReproductionSettings = DEFAULT) -> Reproduction:
    """Compare RTCAN, the CNN and the SVM on EDA, on music and on both, with fewer people too.

    Parameters
    ----------
    study : Bunch
        With ratings of valence and arousal; without music, the rows of music are left out.
    settings : ReproductionSettings

    Returns
    -------
    Reproduction
        Also ``method``, ``dataset``, ``percent`` (of the people, drawn nested; training and test
        people are drawn out of these, as in the paper), ``n_people``, ``signal``, ``protocol``,
        ``target``, ``score``. On DEAP and AMIGOS RTCAN has no attention in its residual units, as
        in the paper.

    Raises
    ------
    EvaluationError, ValueError, StoreError
        As :func:`evaluate`, and if the study has no ratings of valence or arousal.
    """
    points = shrink(_check(study, "table3", settings.people), settings)
    alone = eda_models(study)
    both: dict[tuple[str, str], str | Network] = {}
    if study.get("music") is not None:
        both = {("SVM", "Music"): "svm-music", ("RTCAN-1D", "EDA + Music"): Network(music=True)}
    tables = [
        evaluate_models(study, [*alone.values(), *both.values()], settings.protocols, settings)
    ]
    fewer = [point.protocol for point in points if point.why_not is None and point.percent < 100]
    if fewer:
        tables.append(evaluate_models(study, alone.values(), fewer, settings))
    table, rows = pd.concat(tables), []
    for ((method, signal), model), point in product({**alone, **both}.items(), points):
        if point.percent == 100 or (method, signal) in alone:
            about = {"method": method, **_about_people(study, point), "signal": signal}
            printed = TABLE_3.get((method, signal, _printed_on(study), point.percent))
            rows += score_point(table, point, name_of(model), about, printed)
    for point in points:
        if point.percent == 100:
            rows += references(table, point.name, _about_people(study, point))
    remarks = [*say(table, settings), REMARK_3]
    if not both:
        remarks.append(f"{study.name} has no music: the rows of music are left out.")
    return _finish("table3", study, rows, remarks, printed_on=_printed_on(study))


def reproduce_table4(
    study: Bunch,
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
    signal : {"eda", "eda+music"}, default="eda+music"
        What the networks get; in the paper, both.

    Returns
    -------
    Reproduction
        Also ``method`` (such as "d=1, c=[64,64,64,64]"), ``depth``, ``channels``, ``protocol``,
        ``target``, ``score``.

    Raises
    ------
    EvaluationError, ValueError, StoreError
        As :func:`evaluate`, and if the study has no valence or arousal, or no music where the
        networks get it.
    """
    _check(study, "table4", settings.people)
    music = _takes_music(study, signal, "table4")
    variants: _Variants = {}
    for (depth, channels), printed in TABLE_4.items():
        width = f"[{','.join(map(str, channels))}]"
        about = {"depth": depth, "channels": width}
        variants[f"d={depth}, c={width}"] = Network(music, depth, channels), about, printed
    rows, remarks = _compare_variants(study, variants, settings)
    return _finish("table4", study, rows, remarks, printed_on="pmemo")


def reproduce_table5(
    study: Bunch,
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
    signal : {"eda", "eda+music"} or None, default=None
        What the networks get. None: music too where the study has any, as in the paper.

    Returns
    -------
    Reproduction
        Also ``method`` ("Basic", "Ra" to "Rf"), ``protocol``, ``target``, ``score``.

    Raises
    ------
    EvaluationError, ValueError, StoreError
        As :func:`reproduce_table4`.
    """
    _check(study, "table5", settings.people)
    if signal is None:
        signal = "eda" if study.get("music") is None else "eda+music"
    music = _takes_music(study, signal, "table5")
    printed_on = _printed_on(study)
    variants: _Variants = {
        name: (Network(music, modules=modules), {}, TABLE_5[printed_on, name])
        for name, modules in MODULES.items()
    }
    rows, remarks = _compare_variants(study, variants, settings)
    return _finish("table5", study, rows, [*remarks, REMARK_5], printed_on=printed_on)


def reproduce_figure4(study: Bunch, settings: ReproductionSettings = REPEATED) -> Reproduction:
    """Learn from the EDA of 10, 40, 70 and 100 % of the people, in nested draws.

    Parameters
    ----------
    study : Bunch
        With ratings of valence and arousal.
    settings : ReproductionSettings
        Its only protocol must be "subject"; three repeats by default.

    Returns
    -------
    Reproduction
        Also ``way``: "test people fixed", all people are tested, by models of a share of the other
        folds' people; "shrinking set", training and test people are drawn out of a share of all, as
        in the paper. At 100 % they are the same. ``method``, ``percent``; ``n_people`` (of either
        side), ``n_training_people`` (mean over folds), ``n_test_people``, of the first repeat;
        ``target``, ``score``.

    Raises
    ------
    EvaluationError, ValueError, StoreError
        As :func:`evaluate`, and if the study has no ratings of valence or arousal.
    """
    if tuple(settings.protocols) != ("subject",):
        raise EvaluationError(
            f"figure4 holds out whole people: protocols=('subject',), got {settings.protocols!r}."
        )
    selected = _check(study, "figure4", settings.people)
    ways = {TEST_FIXED: fix_test(selected, settings), SHRINKING: shrink(selected, settings)}
    possible = {
        point.name: point.protocol
        for points in ways.values()
        for point in points
        if point.why_not is None
    }
    models = eda_models(study)
    table = evaluate_models(study, models.values(), possible.values(), settings)
    rows: list[dict] = []
    for way, points in ways.items():
        for ((method, signal), model), point in product(models.items(), points):
            printed = TABLE_3.get((method, signal, _printed_on(study), point.percent))
            if way == TEST_FIXED and point.percent < 100:
                printed = None
            about = {"way": way, "method": method, **_about_people(study, point)}
            rows += score_point(table, point, name_of(model), about, printed)
        for point in points:
            if point.why_not is None:
                about = {"way": way, **_about_people(study, point)}
                rows += references(table, point.name, about, ["majority"])
    remarks = [*say(table, settings), REMARK_FIGURE_4, REMARK_3]
    return _finish("figure4", study, rows, remarks, printed_on=_printed_on(study))


def _about_people(study: Bunch, point: Point) -> dict:
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
) -> tuple[list[dict], list[str]]:
    """Evaluate variants of RTCAN under each protocol; give the rows and what to say of them."""
    networks = [network for network, _, _ in variants.values()]
    signal, machine = (
        ("EDA and music", "svm-eda-music") if networks[0].music else ("EDA", "svm-eda")
    )
    table = evaluate_models(study, [*networks, machine], settings.protocols, settings)
    rows: list[dict] = []
    for protocol in settings.protocols:
        for name, (network, about, published) in variants.items():
            told = {"protocol": protocol, "method": name, **about}
            rows += score_rows(table, protocol, network.name, told, published)
        rows += references(table, protocol, {"protocol": protocol})
        rows += references(table, protocol, {"protocol": protocol}, [machine])
    return rows, [*say(table, settings), f"All networks, and {machine}, are on {signal}."]


def _finish(
    name: str, study: Bunch, rows: list[dict], remarks: Iterable[str], *, printed_on: str
) -> Reproduction:
    remarks = [*remarks, PROTOCOL]
    if study.name != printed_on:
        remarks.append(
            f"The published numbers are those of {TITLES[printed_on]}, other people and other "
            "recordings: they stand beside for comparison, and are not what should come out."
        )
    table = pd.DataFrame(rows)
    is_published = table["published"].notna()
    table["published_of"] = [TITLES[printed_on] if there else None for there in is_published]
    return Reproduction(name, table, tuple(remarks))


def _several(studies: Bunch | Sequence[Bunch], people: str, name: str) -> list[Bunch]:
    studies = [studies] if isinstance(studies, Bunch) else list(studies)
    return [_check(study, name, people) for study in studies]


def _check(study: Bunch, name: str, people: str) -> Bunch:
    """Return the study cut to the people asked for; refuse one that lacks valence or arousal."""
    missing = [target for target in TARGETS if target not in study.ratings]
    if missing:
        has = ", ".join(map(str, study.targets))
        raise EvaluationError(
            f"{name} is about valence and arousal, and {study.name} has no ratings of "
            f"{' and '.join(missing)} (it has {has}): take another study."
        )
    return select_people(study, people)


def _takes_music(study: Bunch, signal: str, name: str) -> bool:
    """Say whether the networks get music; refuse if they should and there is none."""
    if signal not in SIGNALS:
        raise EvaluationError(f"signal={signal!r}: one of {list(SIGNALS)}.")
    if signal == "eda+music" and study.get("music") is None:
        raise EvaluationError(
            f"{name} is on EDA and music, and {study.name} has no music: give signal='eda' "
            "(--signal eda), or take another study."
        )
    return signal == "eda+music"


def _title(study: Bunch) -> str:
    return TITLES.get(study.name, study.name)


def _printed_on(study: Bunch) -> str:
    """Return the dataset whose published numbers stand beside those of a study."""
    return study.name if study.name in TITLES else "pmemo"


def _note(study: Bunch, remarks: dict[str, str]) -> str:
    if study.name in TITLES:
        return remarks.get(study.name, "")
    return "ARTIFICIAL, not in the paper" if study.get("artificial") else "not in the paper"


def _spearman_interval(
    ratings: np.ndarray, subject: np.ndarray, random_state: int
) -> tuple[float, float]:
    """Give the 95 % interval over people of the correlation of two columns of ratings."""
    codes = [np.unique(column, return_inverse=True)[1] for column in ratings.T]
    drawn = draw_people(subject.max() + 1, random_state)
    draws = np.array([_weighted_spearman(codes, weights[subject]) for weights in drawn])
    return interval_over_people(draws, subject.max() + 1)


def _weighted_spearman(codes: Sequence[np.ndarray], weights: np.ndarray) -> float:
    """Correlate the average ranks of two columns of codes, each row as often as it weighs."""
    ranks = []
    for column in codes:
        counts = np.bincount(column, weights)
        rank = (np.cumsum(counts) - (counts - 1) / 2)[column]
        ranks.append(rank - np.average(rank, weights=weights))
    products = [np.sum(weights * ranks[i] * ranks[j]) for i, j in ((0, 1), (0, 0), (1, 1))]
    return float(divide(products[0], np.sqrt(products[1] * products[2])))
