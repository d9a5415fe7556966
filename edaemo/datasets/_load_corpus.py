"""Load a corpus by its specification: find, open, read, check and assemble it."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.utils._param_validation import validate_parameter_constraints

from edaemo._validation import suggest
from edaemo.datasets._assemble import LEFT_OUT, assemble, join_left_out, make_table
from edaemo.datasets._corpus import (
    ENVIRONMENT,
    CorpusFiles,
    DatasetError,
    Problems,
    check_signals,
    holds,
    list_places,
    list_some,
    open_archives,
    open_corpus,
)
from edaemo.datasets._download import download_corpus
from edaemo.datasets._registry import find_corpus
from edaemo.datasets._specification import (
    MICROSIEMENS,
    OHM,
    CorpusContent,
    CorpusSource,
    CorpusSpec,
)
from edaemo.datasets._study import Study
from edaemo.datasets._window import (
    Window,
    check_window,
    context_of,
    cut_labels,
    shift_times,
    window_samples,
)

_PACKAGE = __name__.partition(".")[0]


def load_corpus(
    corpus: CorpusSpec | str, path: str | os.PathLike[str] | None = None, **settings: Any
) -> Study:
    """Load a corpus by its specification, or by the name of one that is registered.

    All files are checked. One error lists every problem.

    Parameters
    ----------
    corpus : CorpusSpec or str
        The specification, or its name: see :data:`CORPORA` and :func:`register_corpus`.
    path : path-like or None
        The folder of the corpus, or a zip archive of it. None searches for the folder or archive of
        the specification in the folder of the environment variable ``EDAEMO_DATA``, then in the
        ``data`` folder of the repository, then in the cache of the user.
    **settings : object
        Options of the corpus, such as ``signals`` and ``units``, which its loader documents, and
        the settings of all corpora:

        ``window`` : tuple (start, stop), 'end' or None. Part of each trial to keep, cut before
        every other step (:func:`cut_window`). Only for corpora with EDA. The corpus defines the
        default. A negative start keeps samples before the trial, for the parameter ``context`` of
        decompositions, features and tables of responses: see ``docs/datasets.md``. They are NaN
        before the beginning of the recording. It is an error for corpora whose files have no such
        samples.

        ``allow_partial`` : bool, default=False. Read the available part of the corpus and list what
        is missing in the report. All other checks remain.

        ``cache`` : bool or path-like, default=True. Whether to cache the data that were read, in
        the cache of the user (True) or in this folder; see ``docs/datasets.md``. Needs
        ``pip install edaemo[parquet]``. Only for corpora that support it.

        ``download`` : bool, default=False. Download the corpus into the cache of the user, if no
        searched place holds it. Every file is checked. Nothing is downloaded without it. Needs
        ``pip install edaemo[download]``. Only for the corpora that ``docs/datasets.md`` lists.

    Returns
    -------
    Study
        ``trials`` : DataFrame, one row per trial: ``subject`` and ``stimulus`` (str), ``trial``
        (int), a column of arrays for each signal (``eda``: 1-D float64, NaN where masked),
        ``duration`` (seconds of the whole trial, before the window is cut) and more.
        ``ratings`` : DataFrame with the same index.
        ``targets`` : dict, name → Series with the same index.
        ``music`` : DataFrame with one row for each stimulus, or None.
        ``sampling_rate`` : of the signals, in Hz. ``rating_range`` : tuple (lowest, highest).
        ``context`` : seconds before the trial with which each cell begins.
        ``units`` : dict, signal → unit. ``channels`` : dict, signal → names of its channels, if the
        specification has them.
        ``development`` : tuple of the people whose data may be used to choose defaults
        (:func:`select_people`).
        ``artificial`` : True if the data were generated, without any person.
        ``report`` : dict of what was read, masked and left out, with reasons; ``left_out`` and
        ``masked`` are DataFrames of trials.
        ``name``, ``licence``, ``citation``, ``DESCR`` : str.

    Raises
    ------
    DatasetError
        If the corpus is not registered, not found or incomplete, or one of its files is invalid.
    ValueError
        If the value of a setting is invalid, or the window is longer than every trial.
    TypeError
        If `corpus` is neither a specification nor a name, or the corpus has no such setting.

    Warns
    -----
    UserWarning
        If trials are shorter than the window, an optional file is missing, or the cache is not
        writable.
    """
    spec = find_corpus(corpus) if isinstance(corpus, str) else corpus
    if not isinstance(spec, CorpusSpec):
        raise TypeError(f"corpus must be a CorpusSpec or the name of one, got {spec!r:.80}.")
    chosen = _check_settings(spec, path, settings)
    place = _find_place(spec, path, download=chosen.get("download", False))
    problems = Problems(spec.proper_name, place, spec.how_to_get)
    with _open(spec, place, problems) as files:
        source = CorpusSource(
            place,
            files.files,
            problems,
            spec,
            chosen["allow_partial"],
            chosen.get("cache", False),
            context=context_of(chosen.get("window")),
        )
        content = spec.read(source, **{name: chosen[name] for name in spec.options})
    problems.raise_all()
    for message in content.warnings:
        warnings.warn(message, UserWarning, stacklevel=_level_outside())
    return _make_study(spec, source, content, chosen)


def _level_outside() -> int:
    """Return the stack level, relative to the caller, of the code that called the package."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals["__name__"].startswith(f"{_PACKAGE}."):
        frame, level = frame.f_back, level + 1
    return level


def _check_settings(spec: CorpusSpec, path: object, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings with their defaults."""
    known = spec.settings
    for name in settings:
        if name not in known:
            raise TypeError(f"{spec.loader}: unknown setting {name!r}; {suggest(name, known)}")
    chosen = {name: option.default for name, option in known.items()} | dict(settings)
    validate_parameter_constraints(
        {
            "path": [str, os.PathLike, None],
            **{
                # window_samples checks the window below.
                name: "no_validation" if name == "window" else option.constraints
                for name, option in known.items()
            },
        },
        {"path": path, **chosen},
        spec.loader,
    )
    if "window" in chosen:
        _check_window(spec, chosen["window"])
    if "signals" in chosen and spec.channels:
        chosen["signals"] = check_signals(chosen["signals"], spec.channels)
    return chosen


def _check_window(spec: CorpusSpec, window: Window) -> None:
    """Raise a ValueError if the window is invalid, or starts before the samples of the corpus."""
    check_window(window)
    context = context_of(window)
    if context > spec.context:
        there = f"at most {spec.context:g} s" if spec.context else "no samples"
        raise ValueError(
            f"{spec.loader}: window={window!r} starts {context:g} s before the trial, "
            f"but the files of {spec.proper_name} hold {there} before each trial. Use a start of "
            f"at least {-spec.context or 0:g}."
        )
    window_samples(window, spec.sampling_rate or 1.0, context=context)


def _find_place(spec: CorpusSpec, path: str | os.PathLike[str] | None, *, download: bool) -> Path:
    """Return the folder or zip archive of a corpus: `path`, or the first place that holds it."""
    if path is not None:
        if download:
            raise ValueError(
                f"{spec.loader}: download=True stores the corpus in the cache of the user, so it "
                "cannot be used with path=. Leave one of them out."
            )
        place = Path(path).expanduser()
        if not holds(place, spec.marker):
            raise DatasetError(
                f"path={str(path)!r} does not hold {spec.folder}: no folder or zip archive there "
                f"contains {spec.like!r}.{list_some(place)} {spec.how_to_get}"
            )
        return place
    tried = "\n  path=: not given"
    for what, folder, places in list_places(spec.folder):
        for place in places:
            if holds(place, spec.marker):
                return place
        tried += f"\n  {what}: {'not set' if folder is None else ', '.join(map(str, places))}"
    if download and spec.download is not None:
        return download_corpus(spec.download, spec.proper_name, spec.folder, spec.how_to_get)
    or_download = "" if spec.download is None else " Or pass download=True."
    raise DatasetError(
        f"{spec.folder} was not found. Places searched for {spec.like!r}, in this order:{tried}"
        f"\n{spec.how_to_get} Then pass path=, or set {ENVIRONMENT} to the folder that contains "
        f"{spec.folder} or {spec.folder}.zip.{or_download}"
    )


@contextmanager
def _open(spec: CorpusSpec, place: Path, problems: Problems) -> Iterator[CorpusFiles]:
    if isinstance(spec.marker, str):
        with open_corpus(place, spec.marker, problems) as files:
            yield files
    else:
        with open_archives(place, problems) as files:
            yield files


def _make_study(
    spec: CorpusSpec, source: CorpusSource, content: CorpusContent, chosen: Mapping[str, Any]
) -> Study:
    """Assemble the content of a corpus to the Bunch that loaders return."""
    trials, (ratings, others), counted = _tabulate(spec, content, chosen)
    if content.left_out:
        left_out = pd.DataFrame([*content.left_out], columns=LEFT_OUT)
        counted["left_out"] = join_left_out(left_out, counted["left_out"])
        counted["trials"] += len(left_out)
    if content.own_thresholds:
        ratings.attrs["relabelling"] = content.own_thresholds
    signals = chosen.get("signals", tuple(spec.units))
    units = {name: spec.units[name] for name in signals if name in spec.units}
    if _is_converted(spec, chosen):
        units["eda"] = MICROSIEMENS
    report: dict[str, Any] = {"source": str(source.place)}
    if spec.reader is not None:
        report["cache"] = source.kept
    report |= {name: chosen[name] for name in ("window", "units") if name in chosen}
    report |= {"people": len(set(content.trials["subject"])), **source.people}
    if spec.stimuli:
        report[spec.stimuli] = trials["stimulus"].nunique()
    fields = {
        "music": content.music,
        "sampling_rate": spec.sampling_rate,
        "rating_range": spec.rating_range,
        "units": units,
        "context": context_of(chosen.get("window")),
        "development": _find_development(spec, trials, counted["left_out"]),
    }
    if spec.channels:
        fields["channels"] = {name: spec.channels[name] for name in signals}
    more = dict(content.more)
    if "window" in chosen and "label_rate" in more:
        others, more["first_label"] = cut_labels(
            others, more["label_rate"], more["first_label"], chosen["window"]
        )
        if more.get("music_steps") is not None:
            more["music_steps"] = shift_times(more["music_steps"], chosen["window"])
    return Study(
        name=spec.name,
        artificial=spec.artificial,
        trials=trials,
        ratings=ratings,
        targets={name: (others if name in others else ratings)[name] for name in spec.targets},
        licence=spec.licence,
        citation=spec.citation,
        report={**report, **counted, **content.report, "notes": [*content.notes]},
        DESCR=spec.DESCR,
        **{**fields, **more},
    )


def _is_converted(spec: CorpusSpec, chosen: Mapping[str, Any]) -> bool:
    """Return whether the EDA is recorded in Ohm and requested in microsiemens."""
    return spec.units.get("eda") == OHM and chosen.get("units", MICROSIEMENS) == MICROSIEMENS


def _tabulate(
    spec: CorpusSpec, content: CorpusContent, chosen: Mapping[str, Any]
) -> tuple[pd.DataFrame, list[pd.DataFrame], dict[str, Any]]:
    """Return the trials, the tables of ratings and further targets, and the counts."""
    follows = [content.ratings, content.targets]
    if spec.has_eda:
        rate = content.more.get("sampling_rate", spec.sampling_rate)
        rates = {name: rate for name in spec.units if name in content.trials}
        return assemble(
            content.trials,
            follows,
            rates=rates,
            window=chosen["window"],
            from_ohm=_is_converted(spec, chosen),
            masked=spec.masked,
        )
    n_trials = len(content.trials["subject"])
    trials, *tables = (make_table(columns, n_trials) for columns in (content.trials, *follows))
    left_out = trials.iloc[:0].assign(reason="")[LEFT_OUT]
    return trials, tables, {"trials": n_trials, "trials_kept": n_trials, "left_out": left_out}


def _find_development(
    spec: CorpusSpec, trials: pd.DataFrame, left_out: pd.DataFrame
) -> tuple[str, ...]:
    """Return the development people; if a callable defines them, those in the corpus."""
    if not callable(spec.development):
        return spec.development
    people = sorted({*trials["subject"], *left_out["subject"]})
    return tuple(person for person in people if spec.development(person))
