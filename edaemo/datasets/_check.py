"""Check the content of a data folder before any computation."""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from edaemo._ids import name_some
from edaemo.datasets._load_corpus import load_corpus
from edaemo.datasets._registry import OwnRecordings
from edaemo.datasets._specification import CorpusSpec
from edaemo.datasets._study import Study


class Findings(NamedTuple):
    """The findings of `check_folder`.

    Attributes
    ----------
    found : list of (str, str)
        Quantity and value; empty if nothing could be read.
    left_out : list of (str, str, str)
        For trials that are left out by default: reason, number and first names.
    notes : list of str
        Warnings and notes of the loader.
    wrong : str
        Error message of the loader; empty without an error.
    """

    found: list[tuple[str, str]]
    left_out: list[tuple[str, str, str]]
    notes: list[str]
    wrong: str


def check_folder(
    known: CorpusSpec | OwnRecordings,
    path: str | os.PathLike[str],
    settings: Mapping[str, Any] | None = None,
) -> Findings:
    """Read a corpus or your own recordings; return counts and problems.

    If the corpus is incomplete, the available part is counted, if it can be read.

    Parameters
    ----------
    known : CorpusSpec or OwnRecordings
        The corpus or type of recordings; see :func:`recognise`.
    path : path
        Folder, archive or table to check.
    settings : dict or None, default=None
        Arguments of the loader, such as ``{"sampling_rate": 4}`` for `read_trials`; None: its
        defaults.

    Returns
    -------
    Findings
        Counts, trials left out, and problems.
    """
    load: Callable[..., Study]
    if isinstance(known, CorpusSpec):
        load, takes = partial(load_corpus, known), set(known.settings)
    else:
        load, takes = known.read, set(inspect.signature(known.read).parameters)
    given = dict(settings or {})
    full_length = {"window": None} if "window" in takes - set(given) else {}
    whole, cut, wrong = None, None, ""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for part in (False, True) if "allow_partial" in takes else (False,):
            if part:
                given["allow_partial"] = True
            try:
                whole = load(path, **given, **full_length)
                break
            except ValueError as error:  # keep the error of the whole; it includes that of the part
                wrong = wrong or str(error)
        if whole is None:
            return Findings([], [], [], wrong)
        try:
            cut = load(path, **given) if full_length else whole
        except ValueError as error:  # no trial is as long as the window
            wrong = "\n".join(filter(None, [wrong, str(error)]))
    notes = [*(str(warning.message) for warning in caught), *whole.report.get("notes", ())]
    left_out = _list_left_out(whole if cut is None else cut)
    return Findings(_count(whole), left_out, list(dict.fromkeys(notes)), wrong)


def _count(study: Bunch) -> list[tuple[str, str]]:
    """Return the counts of a study of whole trials."""
    trials, report = study.trials, study.report
    people = trials["subject"].unique()
    signals = [name for name in trials if isinstance(trials[name].iloc[0], np.ndarray)]
    rates = study.get("sampling_rates", {})
    signal_rates = [f"{name} {rates.get(name, study.sampling_rate):g} Hz" for name in signals]
    found = [
        ("people", f"{len(people)}: {name_some(people)}"),
        ("stimuli", str(trials["stimulus"].nunique())),
        ("trials", str(report["trials"])),
        ("sampling rates", ", ".join(signal_rates)),
        ("seconds of a trial", _spread(trials["duration"])),
    ]
    if "people_without_recording" in report:
        absent = ", ".join(report["people_without_recording"]) or "none"
        found.insert(1, ("people without recording", absent))
    if "eda" in trials:
        found += _judge(study)
    for name, values in study.ratings.items():
        lacking = f", {values.isna().sum()} missing" if values.isna().any() else ""
        found.append((f"rating {name}", _spread(values) + lacking))
    for name, values in study.targets.items():
        if name not in study.ratings and np.ndim(values.iloc[0]) == 0:  # not a series
            found.append((f"target {name}", _spread(values)))
    if study.music is not None:
        found.append(("music", f"{len(study.music)} stimuli, {study.music.shape[1]} features"))
    return found


def _judge(study: Bunch) -> list[tuple[str, str]]:
    """Return how much of the EDA is missing, flat or saturated."""
    from edaemo.preprocessing import signal_quality

    unit = study.get("units", {}).get("eda", "microsiemens")
    quality = signal_quality(study)
    samples = quality["n_samples"].to_numpy()
    judged = {"missing samples": quality["missing_share"].to_numpy() * samples}
    judged["saturated samples"] = quality["saturated_share"].to_numpy() * samples
    found = [
        (what, f"{round(n.sum())} of {samples.sum()}, in {np.count_nonzero(n)} trials")
        for what, n in judged.items()
    ]
    flat = _trials(study.trials[quality["flat"].to_numpy()])
    if unit == "microsiemens":
        return [*found[:1], ("flat trials", flat), *found[1:]]
    return [*found[:1], ("flat, saturated", f"not judged: the unit is {unit}, not microsiemens")]


def _trials(trials: pd.DataFrame) -> str:
    named = name_some(f"{row.subject} trial {row.trial}" for row in trials.itertuples())
    return f"{len(trials)}: {named}" if len(trials) else "0"


def _spread(values: pd.Series) -> str:
    if not pd.api.types.is_numeric_dtype(values):
        return ", ".join(f"{value} ({n})" for value, n in values.value_counts().items())
    return f"{values.min():g} to {values.max():g}"


def _list_left_out(study: Bunch) -> list[tuple[str, str, str]]:
    """Return reason, number and names of the trials left out."""
    left_out = study.report.get("left_out", pd.DataFrame(columns=["reason"]))
    return [
        (
            str(reason),
            str(len(rows)),
            name_some(f"{row.subject} {row.stimulus}" for row in rows.itertuples()),
        )
        for reason, rows in left_out.groupby("reason")
    ]
