"""The predictions that a store holds, as the table that statistics are made of."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pandas as pd

from edaemo.benchmark._keys import fingerprint
from edaemo.benchmark._store import ResultStore

# What one comparison of pipelines is about.
CASE = ("study", "people", "target", "threshold", "protocol")
# What differs from fold to fold of one and the same run.
_OF_FOLD = ("repeat", "fold", "seed", "rows")
_NEEDED = ("subject", "label", "predicted")


def load_predictions(
    store: ResultStore | str | Path, *, keys: Iterable[str] | None = None
) -> pd.DataFrame:
    """Read the out-of-fold predictions of a store, for summaries, tests and comparisons.

    Parameters
    ----------
    store : ResultStore or path
    keys : iterable of str or None, default=None
        Of the folds meant, as in :meth:`ResultStore.folds`; None for all. :func:`newest_keys`
        chooses where the same was evaluated with several settings or versions.

    Returns
    -------
    DataFrame
        One row for each trial tested, in each repeat: ``study``, ``people``, ``target``,
        ``threshold``, ``protocol``, ``pipeline``, ``repeat``, ``fold``, ``row`` (the trial's place
        in the study), ``subject``, ``stimulus``, ``trial``, ``label``, ``predicted`` (0 or 1),
        ``probability`` (of 1; NaN where the pipeline gives none), ``n_training`` (trials that the
        fold trained on).

    Warns
    -----
    UserWarning
        If a pipeline's folds failed or are not all there: it is left out as a whole, since the
        trials that are left are no fair sample.

    Raises
    ------
    StoreError
        If the store cannot be read.
    ValueError
        If the store has no such folds, or a trial was tested twice in one repeat, by folds of other
        settings or versions.
    """
    with nullcontext(store) if isinstance(store, ResultStore) else ResultStore(store) as opened:
        keys = None if keys is None else list(keys)
        folds, trials = opened.folds(keys), opened.predictions(keys)
    if folds.empty:
        raise ValueError(f"{opened.path} has no such folds: run `edaemo compare` first.")
    about = folds[["key", *CASE, "pipeline", "repeat", "fold"]].assign(
        n_training=[(audit or {}).get("n_training") for audit in folds["audit"]]
    )
    table = about.merge(trials, on="key").drop(columns="key")
    _refuse_several(table, opened.path)
    left_out = dict(_find_unfinished(folds, trials))
    for pipeline, why in left_out.items():
        warnings.warn(f"{', '.join(filter(None, pipeline))} is left out: {why}", stacklevel=2)
    complete = [who not in left_out for who in _identify(table)]
    table = table[complete].reset_index(drop=True)
    if table.empty:
        raise ValueError(f"{opened.path}: no pipeline has all its folds; run the same call again.")
    return table.assign(
        label=table["label"].astype(np.int64),
        predicted=table["predicted"].astype(np.int64),
        probability=[np.nan if p is None else float(p[1]) for p in table["probability"]],
    )


def newest_keys(store: ResultStore | str | Path) -> list[str]:
    """Give the keys of the newest run of each pipeline: same settings, same versions.

    Parameters
    ----------
    store : ResultStore or path

    Returns
    -------
    list of str
        For ``load_predictions(store, keys=...)``. Folds belong to one run if all that their keys
        are made of is alike but the repeat and its seed, the fold and its rows. Of runs that differ
        in nothing but the number of folds both stay, and `load_predictions` refuses them.
    """
    with nullcontext(store) if isinstance(store, ResultStore) else ResultStore(store) as opened:
        folds = opened.folds()
    run = [_fingerprint_run(settings) for settings in folds["settings"]]
    folds = folds.assign(run=run, who=list(_identify(folds)))
    latest = folds.groupby(["who", "run"])["created"].max().reset_index()
    latest = latest.sort_values("created", kind="stable").drop_duplicates("who", keep="last")
    return folds.merge(latest[["who", "run"]])["key"].tolist()


def split_cases(predictions: pd.DataFrame) -> Iterator[tuple[dict, dict[str, pd.DataFrame]]]:
    """Give each case of a table of predictions, and its trials by pipeline.

    Raises
    ------
    ValueError
        If a column is missing.
    """
    missing = [name for name in (*_NEEDED, "pipeline") if name not in predictions]
    if missing:
        raise ValueError(
            f"The table of predictions has no column {missing[0]!r}: it needs {list(_NEEDED)} and "
            "'pipeline', as load_predictions gives them."
        )
    names = [name for name in CASE if name in predictions]
    if not names:
        yield {}, dict(list(predictions.groupby("pipeline", sort=False)))
        return
    for values, trials in predictions.groupby(names, sort=False, dropna=False):
        case = dict(zip(names, values, strict=True))
        yield case, dict(list(trials.groupby("pipeline", sort=False)))


def fold_codes(trials: pd.DataFrame) -> np.ndarray | None:
    """Give the folds of all repeats numbers; None where the table does not tell them."""
    if "fold" not in trials:
        return None
    names = [name for name in ("repeat", "fold") if name in trials]
    return trials.groupby(names, dropna=False).ngroup().to_numpy()


def _identify(table: pd.DataFrame) -> Iterator[tuple]:
    columns = table[[*CASE, "pipeline"]].astype(object)
    return columns.where(columns.notna(), None).itertuples(index=False, name=None)


def _fingerprint_run(settings: dict | None) -> str:
    told = dict(settings or {})
    if told.get("seed") is not None and told.get("repeat") is not None:
        told["first_seed"] = told["seed"] - told["repeat"]
    return fingerprint({name: told[name] for name in told if name not in _OF_FOLD})


def _refuse_several(table: pd.DataFrame, path: Path) -> None:
    identity = [*CASE, "pipeline", "repeat", "row"]
    twice = table[table.duplicated(identity)]
    if len(twice):
        first = next(_identify(twice))
        raise ValueError(
            f"{path} holds {', '.join(filter(None, first))} more than once, made with other "
            "settings, versions or numbers of folds. Say which folds are meant: "
            "load_predictions(store, keys=newest_keys(store)), or keys out of ResultStore.folds()."
        )


def _find_unfinished(folds: pd.DataFrame, trials: pd.DataFrame) -> Iterator[tuple[tuple, str]]:
    """Say which pipelines lack folds, and why."""
    n_rows = trials.groupby("key").size()
    for who, own in folds.groupby(pd.Series(list(_identify(folds)), index=folds.index)):
        failed = own[own["status"] == "failed"]
        if len(failed):
            yield who, f"{len(failed)} of {len(own)} folds failed, {failed['error'].iloc[0]}"
            continue
        sizes = [
            sum(audit[name] for name in ("n_training", "n_test", "n_left_out"))
            for audit in own["audit"]
            if audit is not None
        ]
        n_tested = n_rows.reindex(own["key"]).sum()
        n_expected = max(sizes, default=0) * own["repeat"].nunique()
        if n_tested < n_expected:
            yield who, f"{n_tested:.0f} of {n_expected} trials were tested; run the same call again"
