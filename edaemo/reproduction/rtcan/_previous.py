"""Reproduce table 6 of the RTCAN-1D paper: earlier models, under the same evaluation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from edaemo._sklearn import AnyBunch
from edaemo.reproduction.rtcan._published import (
    ILLEGIBLE,
    NOT_IN_TABLE_6,
    PROTOCOL,
    REMARK_6,
    REMARK_MODELS_6,
    TABLE_6,
    TABLE_6_RTCAN,
    TITLES,
    Previous,
)
from edaemo.reproduction.rtcan._reproduce import (
    DEFAULT,
    Reproduction,
    check_study,
    published_dataset,
)
from edaemo.reproduction.rtcan._runs import (
    Network,
    ReproductionSettings,
    describe_runs,
    eda_models,
    evaluate_models,
    name_of,
    references,
    score_rows,
)

# The model whose source uses the same threshold for all people: the middle of the scale.
FIXED_THRESHOLD = "machot-eda"


def reproduce_table6(study: AnyBunch, settings: ReproductionSettings = DEFAULT) -> Reproduction:
    """Compare RTCAN with models of earlier work, all with the same people held out.

    Parameters
    ----------
    study : Bunch
        With EDA and ratings of valence and arousal. Without music, the rows with music are left
        out.
    settings : ReproductionSettings
        Settings of the evaluation. `recipe` is that of RTCAN.

    Returns
    -------
    Reproduction
        Additional columns: ``method``, ``dataset``, ``n_people``, ``signal`` and ``split`` of the
        published row (missing if the model is not in the paper's table), ``protocol``, ``target``,
        ``score``. The 3-layer CNN has two rows: with each person's threshold as all others, and
        with the middle of the rating scale as threshold for all people, as its source (5 on a scale
        of 1 to 9).

    Raises
    ------
    EvaluationError, ValueError, StoreError
        As :func:`evaluate`, and if the study has no ratings of valence or arousal.
    """
    check_study(study, "table6", settings.people)
    models = _list_models(study)
    table = evaluate_models(study, models.values(), settings.protocols, settings)
    middle = _find_middle(study)
    fixed = None
    if middle is not None:
        fixed = evaluate_models(
            study, [FIXED_THRESHOLD], settings.protocols, settings, threshold=middle
        )
    rows: list[dict[str, Any]] = []
    for protocol in settings.protocols:
        for previous, model in models.items():
            rows += _score(table, protocol, previous, name_of(model))
            if fixed is not None and previous.pipeline == FIXED_THRESHOLD:
                named = previous._replace(method=f"{previous.method}, threshold {middle:g}")
                rows += _score(fixed, protocol, named, FIXED_THRESHOLD)
        rows += references(table, protocol, {"protocol": protocol})
        if fixed is not None:
            majority = references(fixed, protocol, {"protocol": protocol}, ["majority"])
            rows += [row | {"method": f"majority, threshold {middle:g}"} for row in majority]
    remarks = [*describe_runs(table, settings), REMARK_6, REMARK_MODELS_6, PROTOCOL]
    if study.name not in TITLES:
        remarks.append(
            f"The published numbers are from other people and recordings than {study.name}. They "
            "are shown for comparison only; equal numbers are not expected."
        )
    if middle is None:
        remarks.append(f"{study.name} has no rating_range, so the fixed threshold is left out.")
    return Reproduction("table6", pd.DataFrame(rows), tuple(remarks))


def _list_models(study: Bunch) -> dict[Previous, str | Network]:
    """Return the models that the study has the data for, by row of the table."""
    has_music = study.get("music") is not None
    rtcag = eda_models(study)["RTCAG", "EDA"]
    models: dict[Previous, str | Network] = {row: row.pipeline for row in TABLE_6}
    models[TABLE_6_RTCAN["EDA"][published_dataset(study)]] = rtcag
    models[TABLE_6_RTCAN["EDA + Music"]["pmemo"]] = Network(music=True)
    models |= {Previous(method, name): name for method, name in NOT_IN_TABLE_6.items()}
    return {row: model for row, model in models.items() if has_music or "music" not in row.pipeline}


def _find_middle(study: Bunch) -> float | None:
    """Return the middle of the rating scale, or None if the study does not define the scale."""
    limits = study.get("rating_range")
    return None if limits is None else float(np.mean(limits))


def _score(
    table: pd.DataFrame, protocol: str, previous: Previous, pipeline: str
) -> list[dict[str, Any]]:
    about = {
        "protocol": protocol,
        "method": previous.method,
        "dataset": TITLES.get(previous.dataset or ""),
        "n_people": previous.n_people,
        "signal": previous.signal,
        "split": previous.split,
    }
    rows = score_rows(table, protocol, pipeline, about, previous.scores)
    for row in rows:
        row["published_of"] = None if pd.isna(row["published"]) else about["dataset"]
        if previous.dataset is not None and previous.scores is None:
            row["note"] += f"; published numbers: {ILLEGIBLE}"
    return rows
