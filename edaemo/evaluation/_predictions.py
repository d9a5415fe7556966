"""Read the predictions of a store as the table from which statistics are computed."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from edaemo.evaluation._store import ResultStore, series
from edaemo.model_selection import covers_of, share_of
from edaemo.statistics import CASE, Binary, Regression, SequenceRegression

# The settings that differ between the folds of one run.
_OF_FOLD = ("repeat", "fold", "seed", "rows")
# The repeats of one run have different seeds in their parameters.
_SEED = re.compile(r'"random_state": \d+')


def load_predictions(
    store: ResultStore | str | Path, *, keys: Iterable[str] | None = None
) -> pd.DataFrame:
    """Read the out-of-fold predictions of a store, for summaries, tests and comparisons.

    Parameters
    ----------
    store : ResultStore or path
        The store, or its path.
    keys : iterable of str or None, default=None
        Keys of the folds to read, as in :meth:`ResultStore.folds`; None for all. Use
        :func:`newest_keys` if a pipeline was evaluated with several settings or versions.

    Returns
    -------
    DataFrame
        One row for each test trial in each repeat: ``study``, ``people``, ``target``,
        ``threshold``, ``protocol``, ``task``, ``quality`` and ``min_stability`` (rules by which
        trials were excluded, or None), ``pipeline``, ``repeat``, ``fold``, ``row`` (row number of
        the trial in the study), ``subject``, ``stimulus``, ``trial``, ``label``,
        ``predicted`` (depending on the task 0 or 1, names of classes, floats, or 1-D float arrays),
        ``probability`` (of class 1; for more than two classes an array with one value for each
        class in sorted order; NaN if the pipeline has no probabilities), ``decision`` (the decision
        value, in the same form; NaN without them), ``n_training`` (number of training
        trials of the fold), ``covers`` (what intervals and tests cover under the protocol:
        ``subject``, ``stimulus`` or ``subject+stimulus``).

    Raises
    ------
    StoreError
        If the store cannot be read.
    ValueError
        If the store has no such folds, or if a trial was tested twice in one repeat because the
        folds differ in settings or versions.

    Warns
    -----
    UserWarning
        If folds of a pipeline failed or are missing. The whole pipeline is then left out, since
        the remaining trials are a biased sample.
    """
    with nullcontext(store) if isinstance(store, ResultStore) else ResultStore(store) as opened:
        folds = opened.folds(None if keys is None else list(keys))
        if folds.empty:
            raise ValueError(f"{opened.path} has no such folds: run `edaemo compare` first.")
        return read_complete(opened, folds)


def read_complete(store: ResultStore, folds: pd.DataFrame) -> pd.DataFrame:
    """Read the predictions of all pipelines whose folds are complete; warn about the others.

    Parameters
    ----------
    store : ResultStore
        The store.
    folds : DataFrame
        Rows of the store.

    Returns
    -------
    DataFrame
        Table of predictions, as from :func:`load_predictions`.

    Raises
    ------
    ValueError
        If no pipeline is complete, or a trial was tested twice in one repeat.
    """
    who = list(_identify(folds))
    which, trials = read_trials(store, folds)
    _refuse_several(trials["row"], folds, who, which, store.path)
    left_out = dict(_find_unfinished(folds, who, np.bincount(which, minlength=len(folds))))
    for pipeline, why in left_out.items():
        warnings.warn(f"{_format_pipeline(pipeline)} is left out: {why}", stacklevel=3)
    complete = np.array([pipeline not in left_out for pipeline in who])[which]
    if not complete.any():
        raise ValueError(f"{store.path}: no pipeline has all its folds; repeat the evaluation.")
    names = [*CASE, "pipeline", "repeat", "fold"]
    about = folds[names].take(which[complete]).reset_index(drop=True)
    table = pd.concat([about, trials[complete].reset_index(drop=True)], axis=1)
    n_training = pd.Series([(audit or {}).get("n_training") for audit in folds["audit"]])
    covers = join_covers(folds).take(which[complete]).to_numpy()
    return table.assign(n_training=n_training.take(which[complete]).to_numpy(), covers=covers)


def join_covers(folds: pd.DataFrame) -> pd.Series:
    """Return what intervals and tests of each fold cover, such as "subject+stimulus"."""
    return pd.Series(list(map("+".join, map(covers_of, folds["audit"], folds["protocol"]))))


def read_trials(store: ResultStore, folds: pd.DataFrame) -> tuple[np.ndarray, pd.DataFrame]:
    """Read all test trials of folds; return the position of each trial's fold, and the trials."""
    place = {key: i for i, key in enumerate(folds["key"])}
    which: list[np.ndarray] = [np.empty(0, np.int64)]
    names = ("row", "subject", "stimulus", "trial", "label", "predicted")
    table: dict[str, list[Any]] = {name: [] for name in names}
    tasks = dict(zip(folds["key"], folds["task"], strict=True))
    probability: list[object] = []
    decision: list[object] = []
    for key, fold in store.read_trials(list(place)):
        which.append(np.full(len(fold["row"]), place[key]))
        for name in names:
            values = fold[name]
            if tasks[key] == SequenceRegression.name and name in ("label", "predicted"):
                values = [np.array(of_trial, dtype=np.float64) for of_trial in values]
            table[name] += values
        # Folds without probabilities have None for each trial.
        probability += [
            np.nan if p is None else p[1] if len(p) == 2 else np.array(p)
            for p in fold["probability"]
        ]
        decision += [
            np.array(value) if isinstance(value, list) else np.nan if value is None else value
            for value in fold["decision"]
        ]
    trials = pd.DataFrame({name: series(values) for name, values in table.items()})
    if set(tasks.values()) <= {Binary.name, Regression.name}:
        number = np.int64 if set(tasks.values()) <= {Binary.name} else np.float64
        trials = trials.astype({"label": number, "predicted": number})
        kind: type = float
    else:
        kind = object
    optional = {"probability": probability, "decision": decision}
    columns = {name: pd.Series(values, dtype=kind) for name, values in optional.items()}
    return np.concatenate(which), trials.assign(**columns)


def newest_keys(store: ResultStore | str | Path) -> list[str]:
    """Return the keys of the newest run of each pipeline: same settings, same versions.

    Parameters
    ----------
    store : ResultStore or path
        The store, or its path.

    Returns
    -------
    list of str
        For ``load_predictions(store, keys=...)``. Folds belong to the same run if their keys were
        computed from the same settings, except for the repeat, its seeds, the fold and its rows.
        Stores of edaemo before 2026-11-21 do not contain the requested number of folds. If two
        runs in such a store differ only in this number, the keys of both runs are returned, and
        `load_predictions` raises an error.
    """
    with nullcontext(store) if isinstance(store, ResultStore) else ResultStore(store) as opened:
        return choose_newest(opened.folds())


def choose_newest(folds: pd.DataFrame) -> list[str]:
    """Return the keys as :func:`newest_keys` does, from the table of a store's folds.

    Parameters
    ----------
    folds : DataFrame
        Rows of a store.

    Returns
    -------
    list of str
        The keys.
    """
    run = [_fingerprint_run(settings) for settings in folds["settings"]]
    folds = folds.assign(run=run, who=list(_identify(folds)))
    latest = folds.groupby(["who", "run"])["created"].max().reset_index()
    latest = latest.sort_values("created", kind="stable").drop_duplicates("who", keep="last")
    return folds.merge(latest[["who", "run"]])["key"].tolist()


def _format_pipeline(pipeline: tuple[Any, ...]) -> str:
    """Return the name of a case and its pipeline for messages."""
    *case, name = pipeline
    shown = {column: value for column, value in zip(CASE, case, strict=True) if value is not None}
    shown.pop("task", None)
    for rule in {"quality", "min_stability"} & set(shown):
        shown[rule] = f"{rule}={shown[rule]}"
    return ", ".join(map(str, (*shown.values(), name)))


def _identify(table: pd.DataFrame) -> Iterator[tuple[Any, ...]]:
    columns = table[[*CASE, "pipeline"]].astype(object)
    return columns.where(columns.notna(), None).itertuples(index=False, name=None)


def _fingerprint_run(settings: dict[str, Any] | None) -> str:
    kept = dict(settings or {})
    if kept.get("seed") is not None and kept.get("repeat") is not None:
        kept["first_seed"] = kept["seed"] - kept["repeat"]
    kept = {name: kept[name] for name in kept if name not in _OF_FOLD}
    return _SEED.sub("", json.dumps(kept, sort_keys=True, default=repr))


def _refuse_several(
    rows: pd.Series, folds: pd.DataFrame, who: list[tuple[Any, ...]], which: np.ndarray, path: Path
) -> None:
    pipeline = pd.factorize(pd.Series(who, dtype=object))[0][which]
    repeat = pd.factorize(folds["repeat"])[0][which]
    tested = pd.DataFrame({"pipeline": pipeline, "repeat": repeat, "row": rows})
    twice = which[tested.duplicated().to_numpy()]
    if len(twice):
        first = _format_pipeline(who[twice[0]])
        raise ValueError(
            f"{path} holds {first} more than once, with different settings, versions or numbers of "
            "folds. Choose folds with load_predictions(store, keys=newest_keys(store)), or pass "
            "keys from ResultStore.folds()."
        )


def _find_unfinished(
    folds: pd.DataFrame, who: list[tuple[Any, ...]], n_tested: np.ndarray
) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Yield the pipelines whose folds failed or are missing, and the reason."""
    advice = "repeat the evaluation"
    folds = folds.assign(n_tested=n_tested)
    for pipeline, run in folds.groupby(pd.Series(who, index=folds.index)):
        failed = run[run["status"] == "failed"]
        if len(failed):
            yield pipeline, f"{len(failed)} of {len(run)} folds failed, {failed['error'].iloc[0]}"
            continue
        audits = run["audit"].map(lambda audit: audit or {})
        n_folds = audits.map(lambda audit: audit.get("n_folds")).groupby(run["repeat"]).max()
        if n_folds.notna().all():
            if len(run) < n_folds.sum():
                yield pipeline, f"{len(run)} of {n_folds.sum():.0f} folds were evaluated; {advice}"
            continue
        # Older stores do not contain the number of folds. People left out by a share have no rows.
        sizes = ["n_training", "n_test", "n_left_out"]
        share = share_of(audits.iloc[0], run["protocol"].iloc[0])
        if share is not None and share.of == "of the people":
            sizes.remove("n_left_out")
        totals = audits.map(lambda audit, sizes=sizes: sum(audit.get(name, 0) for name in sizes))
        n_expected = totals.groupby(run["repeat"]).max().sum()  # each repeat draws other people
        if run["n_tested"].sum() < n_expected:
            n = run["n_tested"].sum()
            yield pipeline, f"{n} of {n_expected} trials were tested; {advice}"
