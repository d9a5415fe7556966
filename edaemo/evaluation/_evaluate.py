"""Evaluate every pipeline on the same folds, and store every finished fold."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, KeysView, Mapping, Sequence
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from copy import copy
from functools import cache, partial
from itertools import compress, islice
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from joblib import delayed
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils import Bunch, get_tags
from sklearn.utils.metadata_routing import get_routing_for_object

from edaemo._processes import results_as_finished, worker_processes
from edaemo._progress import progress_bar
from edaemo._torch import NEEDS_TORCH, has_torch
from edaemo._validation import IDENTITY, is_trials_table, signal_columns
from edaemo.datasets import Study, select_people
from edaemo.evaluation._audit import audit, leaks
from edaemo.evaluation._cases import count_calibration, is_transductive
from edaemo.evaluation._exclusion import Exclusion, describe_counts, make_exclusion
from edaemo.evaluation._family import describe_added, identify_comparison, read_versions
from edaemo.evaluation._fold import (
    count_warnings,
    cuda_devices,
    find_validation,
    may_use_gpu,
    noted_warnings,
    run_fold,
    takes_groups,
)
from edaemo.evaluation._keys import canonical, fingerprint, made_with
from edaemo.evaluation._predictions import join_covers, read_trials
from edaemo.evaluation._registry import (
    GROUPS,
    INPUTS,
    OUR_INPUTS,
    PIPELINES_OF,
    PLAIN,
    STUDIES,
    EvaluationError,
    PipelineSpec,
    as_entry,
    find,
    is_second_look,
)
from edaemo.evaluation._store import FoldRecord, Member, ResultStore
from edaemo.evaluation._targets import (
    MISSING,
    RELABELLED,
    Target,
    check_labels,
    is_series,
    make_target,
)
from edaemo.evaluation._worker import begin_worker
from edaemo.model_selection import PROTOCOLS, Protocol, make_protocol
from edaemo.preprocessing import find_copies
from edaemo.statistics import NUMBERS, Task, make_table, make_task, score_people, score_trials

if TYPE_CHECKING:
    from distributed import Client

TRIALS_PER_TASK = 64
CONNECT_SECONDS = 10
PEOPLE = ("evaluation", "development", "all")
_IDS_OF_SPLITS = ("subject", "stimulus", "viewing_group")
NEEDED = ("name", "trials", "ratings", "targets")
# What identifies an input: a study, what is made of it, and a target of series.
_Input = tuple[int, str, str]
# A name, an object, or several of them.
Several = str | object | Sequence[Any] | None


def evaluate(
    pipelines: Several = None,
    studies: Several = "hku956",
    targets: Several = None,
    protocols: Several = "subject",
    *,
    thresholds: Several = "subject",
    missing_ratings: str = "drop",
    min_stability: float = 0.0,
    quality: Several = None,
    people: str = "evaluation",
    n_splits: int = 5,
    n_repeats: int = 1,
    max_epochs: int = 10,
    n_jobs: int = 2,
    scheduler: str | None = None,
    random_state: int = 0,
    family: Several = None,
    margin: float | None = None,
    store: str | Path = "results/results.sqlite",
    progress: bool | None = None,
    on_fold: Callable[[FoldRecord], None] | None = None,
) -> pd.DataFrame:
    """Evaluate emotion recognition under named protocols, against baselines that use no EDA.

    Each trial is decomposed once, and its features are computed once. NaN samples have no weight
    in the decomposition; they are interpolated for the features. Everything that is fitted is
    fitted on the training trials of each fold. The folds are audited before anything is computed.
    The call is refused if the audit finds a leak that the protocol's name does not announce. Every
    finished fold is stored at once. An interrupted call resumes if you repeat it.

    Parameters
    ----------
    pipelines : str, classifier, mapping of name to classifier, or sequence of these, default=None
        Names from ``PIPELINES`` (see :func:`register_pipeline`), or your own classifiers. Your own
        classifier receives the trials table with the raw EDA. Its name is the name of its class
        unless you pass a mapping. None for all pipelines that the study has the data for, except
        those that are evaluated on request; the name of a group, such as "table6", for those of the
        group. Without torch, the pipelines with a network are left out of both with a warning. The
        reference rows are always evaluated. With ``thresholds="none"``, pass regressors or names
        from ``REGRESSORS``. For targets that are series, pass sequence regressors or names from
        ``SEQUENCE_REGRESSORS``.
    studies : str, Bunch, or sequence of these, default="hku956"
        Names from ``STUDIES`` (see :func:`register_study`), or Bunches that a loader returned.
    targets : str, sequence of str or None, default=None
        Names from the ``targets`` of every study; None for all. The values of a target determine
        the task. An array for each trial is a series; NaN steps are masked. `thresholds` split
        valence and arousal into low and high. Any other rating is high above the middle of its
        range. Text, booleans and categories are classes; of two classes, the last in alphabetical
        order is the positive class.
    protocols : str, splitter, or sequence of these, default="subject"
        Names that :func:`edaemo.model_selection.make_protocol` accepts, or splitters of
        :mod:`edaemo.model_selection`.
    thresholds : "subject", float, "none", or sequence of these, default="subject"
        "subject": valence and arousal are high above a threshold for each subject, which is
        computed from all ratings of that subject (:class:`edaemo.SubjectThresholdRelabeler`). A
        float: they are high above this number. "none": all ratings stay numbers, for regressors.
    missing_ratings : {"drop", "raise"}, default="drop"
        "drop": a trial without a label is left out of that target only, and counted in column
        ``n_missing``. "raise": such a trial is an error.
    min_stability : float, default=0.0
        From 0 to 1. Trials whose label by the subject's own threshold is less stable than this are
        left out of that target, and counted in column ``n_unstable``. The stability is the share of
        bootstrap draws of the subject's ratings in which the trial keeps its label
        (:meth:`edaemo.SubjectThresholdRelabeler.stability`). It depends on the ratings alone.
        Declare the value before you see any score.
    quality : None, "flagged", str, mapping of str to float, or sequence of these, default=None
        Rule for excluding trials from training and test, by the values of
        :func:`edaemo.preprocessing.signal_quality` with its default thresholds. A mapping holds the
        largest permitted values, such as ``{"flat": 0, "lost_contact_share": 0.5,
        "missing_share": 0.2}``. A str holds the same, as in ``"flat=0,lost_contact_share=0.5"``.
        "flagged": all defects have the limit 0. None: no trial is excluded. Thresholds of subjects
        use all ratings in any case. Excluded trials are counted in the columns ``n_excluded`` and
        ``excluded``. ``[None, "flagged"]`` evaluates with and without the rule. Choose the rule
        before you see any score.
    people : {"evaluation", "development", "all"}, default="evaluation"
        Whose trials are used: all people except the development people of the study, only the
        development people, or both. The protocol "new-people" needs "evaluation": it tests these
        people and trains on the development people.
    n_splits : int, default=5
        Number of folds of the protocols that are given by name.
    n_repeats : int, default=1
        Number of repeats. Repeat r splits and trains with seed ``random_state + r``.
    max_epochs : int, default=10
        Epochs of the networks that are given by name. Estimators that you pass keep their own
        setting.
    n_jobs : int, default=2
        Number of processes. Each process works on one fold of one pipeline, in one thread.
    scheduler : str or None, default=None
        Address of a Dask scheduler (``tcp://…``). Its workers then replace the processes on this
        machine. Needs ``pip install edaemo[distributed]``.
    random_state : int, default=0
        Seed of the splits, of the pipelines (parameters ``random_state`` that are None) and of the
        bootstrap.
    family : str, mapping of name to classifier, or sequence of these, default=None
        Pipelines whose tests are adjusted together. The family is stored before the first fold
        runs. It always includes `pipelines`, and all pipelines that were declared or evaluated
        before on the same folds in this store, so that a p value does not depend on which rows you
        display. Declare all pipelines that you plan to evaluate in later calls.
    margin : float or None, default=None
        Margin of the equivalence test: a mean over people that is closer to chance counts as equal
        to chance. None: 0.05 for the balanced accuracy, 0.1 for the concordance correlation.
    store : path, default="results/results.sqlite"
        File in which finished folds are stored. Several runs may share it.
    progress : bool or None, default=None
        Whether to show the progress: a bar, or a line every 30 s if standard error is a file or
        a pipe. None: only in a terminal or a notebook.
    on_fold : callable or None, default=None
        Called with the record of each fold after the fold is stored.

    Returns
    -------
    DataFrame
        One row for each study, target, threshold, protocol and pipeline; see
        ``docs/evaluation.md`` for the columns. The scores depend on the task. For numbers and
        series they are the concordance correlation, Pearson's correlation and RMSE. If folds
        failed, ``n_failed`` counts them, ``error`` holds the first error, and the scores are
        missing.

    Raises
    ------
    EvaluationError
        If a name or `quality` is invalid, the study lacks required data, a label cannot be used, or
        `quality` excludes all trials; if a fold leaks
        something that is not in the protocol's ``may_share``, a fold would train on one class, a
        classifier is given ratings or a regressor classes, a pipeline needs torch and torch is not
        installed, or no scheduler answers.
    StoreError
        If the store cannot be read or written. Its contents are not changed.
    ValueError
        If the protocol cannot split the study; see :mod:`edaemo.model_selection`.

    Warns
    -----
    UserWarning
        If `pipelines` is None or a group, and torch or skorch is not installed. The warning names
        the pipelines that are left out.

    See Also
    --------
    audit : What the folds of any splitter share.
    register_pipeline : Evaluate your own pipeline by name.
    register_study : Evaluate your own study by name.
    edaemo.statistics.format_table : The result as a table of text.
    edaemo.report.write_report : The store as one page.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from edaemo.benchmark import evaluate
    >>> from edaemo.datasets import make_music_listening
    >>> study = make_music_listening(
    ...     8, 12, 8, sampling_rate=4, duration=20, eda_informativeness=1, random_state=1
    ... )
    >>> with TemporaryDirectory() as folder:
    ...     store = f"{folder}/results.sqlite"
    ...     scores = evaluate(
    ...         "svm-eda", study, "arousal", thresholds=4.9, people="all", n_splits=2, store=store
    ...     )
    >>> scores["pipeline"].to_list()
    ['majority', 'trial-order', 'stimulus-prior', 'svm-eda']
    >>> int(scores["n_people"].iloc[-1])
    8
    """
    if people not in PEOPLE:
        raise EvaluationError(f"people={people!r} must be one of {list(PEOPLE)}.")
    if missing_ratings not in MISSING:
        raise EvaluationError(
            f"missing_ratings={missing_ratings!r} must be one of {list(MISSING)}."
        )
    _check_integers(
        n_repeats=(n_repeats, 1), max_epochs=(max_epochs, 1), random_state=(random_state, 0)
    )
    if not isinstance(min_stability, Real) or not 0 <= min_stability <= 1:
        raise EvaluationError(f"min_stability={min_stability!r} must be from 0 to 1.")
    if margin is not None and not (isinstance(margin, Real) and 0 < margin < np.inf):
        raise EvaluationError(f"margin={margin!r} must be a number above 0.")
    cases = [
        _Case(study, data, name, threshold, protocol, *labelled, exclusion)
        for study, data, excluding, fitting in _load_all(studies, people, protocols, quality)
        for name in _choose_targets(study, targets)
        for threshold in _choose_thresholds(study, name, _several(thresholds))
        for labelled in [_label(study, name, threshold, missing_ratings, min_stability)]
        for protocol in fitting
        for exclusion in excluding
    ]
    left_out = dict.fromkeys(name for case in cases for name in _left_out(pipelines, case))
    if left_out:
        warnings.warn(
            f"Pipelines with a network are left out, because they need {NEEDS_TORCH}. They are "
            f"{', '.join(left_out)}.",
            stacklevel=2,
        )
    settings = _Settings(people, n_splits, n_repeats, max_epochs, random_state, min_stability)
    found: dict[tuple[int, bytes], pd.DataFrame | None] = {}
    jobs = [
        job
        for case in cases
        for job in _plan(
            case, _choose_pipelines(pipelines, case), settings, _find_copies(case, found)
        )
    ]
    by_case = [(case, [job for job in jobs if job.case is case]) for case in cases]
    planned = [{} if family is None else _choose_pipelines(family, case) for case in cases]
    with ResultStore(store) as kept:
        for (_, of_case), entries in zip(by_case, planned, strict=True):
            _declare(of_case, entries, kept)
        _run(jobs, kept, n_jobs, scheduler, progress, on_fold)
        tables = [_summarise(case, of_case, kept, settings, margin) for case, of_case in by_case]
    return pd.concat(tables, ignore_index=True)


class _Settings(NamedTuple):
    """The settings that apply to all studies, pipelines and protocols of a call."""

    people: str
    n_splits: int
    n_repeats: int
    max_epochs: int
    random_state: int
    min_stability: float = 0.0


class _Case(NamedTuple):
    """One table of results: a study, its fingerprint, a target, its labels and a protocol."""

    study: Bunch
    data: str
    target: str
    threshold: str | float | None
    protocol: object
    labelled: Target
    label_warnings: Sequence[str] = ()
    exclusion: Exclusion | None = None

    @property
    def task(self) -> Task:
        """The task of the target."""
        return self.labelled.task

    @property
    def labels(self) -> np.ndarray:
        """The labels of all trials, including trials without a label."""
        return self.labelled.labels

    @property
    def rows(self) -> np.ndarray:
        """The trials that have a label and are not excluded."""
        labelled = self.labelled.rows
        return labelled if self.exclusion is None else self.exclusion.keep(labelled)

    @property
    def trials(self) -> pd.DataFrame:
        """The trials of `rows`."""
        rows, trials = self.rows, self.study.trials
        return trials if len(rows) == len(trials) else trials.iloc[rows]

    @property
    def classes(self) -> np.ndarray | None:
        """The classes that stratify the folds; None for series."""
        return self.task.stratify(self.labels[self.rows])

    @property
    def counts(self) -> dict[str, Any]:
        """Numbers of trials without a label, with an unstable one, and of excluded trials."""
        labelled, exclusion = self.labelled.rows, self.exclusion
        return {
            "n_missing": len(self.labels) - len(labelled) - self.labelled.n_unstable,
            "n_unstable": self.labelled.n_unstable,
            "n_excluded": len(labelled) - len(self.rows),
            "excluded": {} if exclusion is None else exclusion.count_defects(labelled),
        }


def _label(
    study: Bunch,
    target: str,
    threshold: str | float | None,
    missing_ratings: str,
    min_stability: float,
) -> tuple[Target, list[str]]:
    """Return the labels of a target, and the warnings about them."""
    with noted_warnings() as noted:
        labelled = make_target(study, target, threshold, missing_ratings, min_stability)
    return labelled, list(noted)


class _Job(NamedTuple):
    """One fold of one pipeline.

    `settings` holds all that the key is computed from. `work` is the second argument of `run_fold`.
    `audited` is the row of the audit. `case` and `entry` determine X.
    """

    case: _Case
    entry: PipelineSpec
    protocol: Protocol
    settings: dict[str, Any]
    work: dict[str, Any]
    audited: dict[str, Any]


def _several(values: Several) -> list[Any]:
    several = (list, tuple, np.ndarray, pd.Index, pd.Series, KeysView)
    return list(values) if isinstance(values, several) else [values]


def _check_integers(**given: tuple[object, int]) -> None:
    """Raise if a parameter, given with its smallest value, is not an integer or is smaller."""
    for name, (value, least) in given.items():
        if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
            raise EvaluationError(f"{name}={value!r} must be an integer of at least {least}.")


def _load(study: str | Bunch) -> Bunch:
    if isinstance(study, str):
        study = STUDIES[find(study, STUDIES, "study")]()
    if not isinstance(study, Bunch):
        raise EvaluationError(
            f"A study must be a name from {list(STUDIES)} or a Bunch that a loader returned, got "
            f"{study!r:.80}."
        )
    for key in ("trials", "ratings", "targets", "music"):
        if hasattr(study.get(key), "to_pandas"):
            raise EvaluationError(
                f"The {key} of the study {study.get('name', '')!r} are a "
                f"{type(study[key]).__module__.split('.')[0]} frame: call .to_pandas()."
            )
    missing = [key for key in NEEDED if key not in study]
    missing += [f"trials[{key!r}]" for key in ("subject", "trial") if key not in study.trials]
    if missing:
        raise EvaluationError(f"The study {study.get('name', '')!r} has no {missing[0]}.")
    check_labels(study)
    return study


def _load_all(
    studies: Several, people: str, protocols: Several, quality: Several
) -> Iterator[tuple[Bunch, str, list[Exclusion | None], list[Any]]]:
    """Yield each study, its fingerprint, its exclusions, and the protocols for it.

    A study is yielded twice if some of the protocols train on the development people.
    """
    protocols_of: dict[bool, list[Any]] = {}
    for protocol in _several(protocols):
        kind = PROTOCOLS.get(protocol) if isinstance(protocol, str) else protocol
        trains = getattr(kind, "trains_on_development", False)
        protocols_of.setdefault(trains, []).append(protocol)
    if True in protocols_of and people != "evaluation":
        name = protocols_of[True][0]
        raise EvaluationError(
            f"The protocol {getattr(name, 'name', name)} trains on the development people and "
            f"tests the evaluation people: set people='evaluation', got {people!r}."
        )
    for study in _several(studies):
        loaded = _load(study)
        for trains, fitting in protocols_of.items():
            used = _mark_development(loaded) if trains else select_people(loaded, people)
            excluding = [make_exclusion(used, rule) for rule in _several(quality)]
            yield used, _fingerprint_data(used), excluding, fitting


def _mark_development(study: Bunch) -> Study:
    """Return a study with the column ``development``, for protocols that train on these people."""
    trials = study.trials
    developed = trials["subject"].isin(study.get("development", ()))
    return Study(**{**study, "trials": trials.assign(development=developed)})


def _fingerprint_data(study: Bunch) -> str:
    names = ["trials", "music", "sampling_rate"]
    if study.get("context"):  # keys of studies without context do not depend on it
        names.append("context")
    return fingerprint({name: study.get(name) for name in names})


def _choose_targets(study: Bunch, targets: Several) -> list[str]:
    if targets is None:
        return list(study.targets)
    return [find(target, study.targets, f"target of {study.name}") for target in _several(targets)]


def _choose_thresholds(study: Bunch, target: str, thresholds: list[Any]) -> list:
    """Return the thresholds for a target: only valence and arousal use numbers or "subject"."""
    if is_series(study, target):
        return [None]
    if target in RELABELLED:
        return thresholds
    labelled = [None] if any(threshold != NUMBERS for threshold in thresholds) else []
    return labelled + [threshold for threshold in thresholds if threshold == NUMBERS]


def _choose_pipelines(pipelines: Several, case: _Case) -> dict[str, PipelineSpec]:
    """Return the entries by name, the reference rows first."""
    known = PIPELINES_OF[case.task.name]
    chosen: dict[str, PipelineSpec] = {}
    for pipeline in _several(pipelines):
        if _names_several(pipeline):
            selected = _select(pipeline, case)
            chosen |= {k: e for k, e in selected.items() if not _describe_missing_torch(e)}
        elif isinstance(pipeline, str):
            chosen[pipeline] = known[_find_pipeline(pipeline, case.task)]
        else:
            is_named = isinstance(pipeline, Mapping)
            named = pipeline if is_named else {type(pipeline).__name__: pipeline}
            for name, estimator in named.items():
                if name in chosen or name in known:
                    raise EvaluationError(
                        f"There is a pipeline {name!r} already: pass yours under another name, "
                        "as {name: pipeline}."
                    )
                chosen[name] = as_entry(estimator)
    companions = dict.fromkeys(name for entry in chosen.values() for name in entry.companions)
    chosen |= {name: known[name] for name in companions if name not in chosen}
    if pipelines is not None:
        for name, entry in chosen.items():
            missing = _describe_missing(entry, case.study) or _describe_missing_torch(entry)
            if missing and not entry.reference:
                raise EvaluationError(f"{name} {missing}")
    return {name: entry for name, entry in known.items() if entry.reference} | chosen


def _names_several(pipeline: object) -> bool:
    """Return whether a value of `pipelines` selects several: None, or the name of a group."""
    return pipeline is None or (isinstance(pipeline, str) and pipeline in GROUPS)


def _select(pipeline: str | None, case: _Case) -> dict[str, PipelineSpec]:
    """Return the pipelines that None or a group selects and that the study has the data for."""
    known = PIPELINES_OF[case.task.name]
    if pipeline is None:
        entries = {name: entry for name, entry in known.items() if not entry.on_request}
    else:
        entries = {name: known[name] for name in GROUPS[pipeline] if name in known}
    missing = {name: _describe_missing(entry, case.study) for name, entry in entries.items()}
    if pipeline is not None and all(missing.values()):
        reasons = [f"{name} {why}" for name, why in missing.items()]
        raise EvaluationError(
            f"The group {pipeline!r} has no pipeline for {case.study.name}, target "
            f"{case.target!r} ({'; '.join(reasons) or case.task.asks}). Name other pipelines."
        )
    return {name: entry for name, entry in entries.items() if not missing[name]}


def _left_out(pipelines: Several, case: _Case) -> list[str]:
    """Return the pipelines that None or a group would select if torch were installed."""
    wanted = [pipeline for pipeline in _several(pipelines) if _names_several(pipeline)]
    selected = [_select(pipeline, case) for pipeline in wanted]
    return [
        name
        for entries in selected
        for name, entry in entries.items()
        if _describe_missing_torch(entry)
    ]


def _describe_missing_torch(entry: PipelineSpec) -> str:
    """Return what a pipeline needs if it trains a network and torch is not installed, else ""."""
    return f"needs {NEEDS_TORCH}." if entry.has_network and not has_torch() else ""


def _describe_missing(entry: PipelineSpec, study: Bunch) -> str:
    """Describe what a pipeline needs and the study lacks; return "" if the study has it all."""
    if entry.needs_music and study.get("music") is None:
        return f"needs music, and {study.name} has no music."
    for column in entry.needs:
        if column not in study.trials:
            columns = ", ".join(signal_columns(study.trials)) or "no signals"
            return f"needs column {column}: the study has {columns} ({study.name})."
    for field in entry.fields:
        if study.get(field) is None:
            return f"needs the field {field}, which {study.name} does not have."
    if entry.input in OUR_INPUTS and study.get("sampling_rate") is None:
        return f"needs the sampling rate of the EDA: {study.name} has no sampling_rate."
    return ""


def _find_pipeline(name: str, task: Task) -> str:
    """Return the name if it is registered for the task; else raise with the names that are."""
    known = PIPELINES_OF[task.name]
    others = [other for other, pipelines in PIPELINES_OF.items() if name in pipelines]
    if name not in known and others:
        raise _wrong_kind(name, make_task(others[0]).predictor, task)
    return find(name, [*known, *GROUPS], "pipeline")


def _wrong_kind(name: str, kind: str, task: Task) -> EvaluationError:
    """Return the error for a pipeline that does not fit the target's task."""
    fitting = [name for name, entry in PIPELINES_OF[task.name].items() if not entry.reference]
    examples = f", such as {', '.join(fitting)}" if fitting and not task.has_classes else ""
    return EvaluationError(f"{name} is a {kind}, but {task.asks}{examples}.")


def _plan(
    case: _Case,
    entries: dict[str, PipelineSpec],
    settings: _Settings,
    copies: pd.DataFrame | None,
) -> Iterator[_Job]:
    """Audit the folds; yield every fold of every pipeline that the study has the data for."""
    study = case.study
    common = {
        "study": study.name,
        "people": settings.people,
        "target": case.target,
        "threshold": case.threshold,
        "data": case.data,
        "labels": fingerprint(case.labels),
        "made_with": made_with(),
        **_describe_stability(case, settings),
    }
    if case.exclusion is not None:
        common |= {"quality": case.exclusion.rule, "quality_limits": case.exclusion.limits}
    for repeat in range(settings.n_repeats):
        seed = settings.random_state + repeat
        protocol = _make_protocol(case.protocol, settings.n_splits, seed, repeat)
        audited = _audit(case, protocol, copies)
        folds = cache(partial(_split, case, protocol))
        for name, entry in entries.items():
            if not _takes_part(entry, study, protocol):
                continue
            estimator = _make_estimator(entry, study, protocol, settings.max_epochs, seed)
            _check_kind(estimator, name, case)
            metadata = _find_metadata(estimator, protocol, study.trials)
            about = {
                **common,
                "pipeline": name,
                "parameters": canonical(estimator),
                "takes": entry.input,
                **_describe_input(entry, study),
                "protocol": protocol.name,
                "n_splits": getattr(protocol, "n_splits", None),
                "repeat": repeat,
                "seed": seed,
            }
            for fold, rows in enumerate(folds(_count_inner(estimator, protocol))):
                digests = {name: fingerprint(values) for name, values in rows.items()}
                made_of = {**about, "fold": fold, "rows": digests}
                work = {
                    "key": fingerprint(_with_first_names(made_of)),
                    "estimator": estimator,
                    "task": case.task,
                    "labels": case.labels,
                    "made_with": common["made_with"],
                    "metadata": metadata,
                    **rows,
                }
                yield _Job(case, entry, protocol, made_of, work, audited[fold])


def _describe_stability(case: _Case, settings: _Settings) -> dict[str, float]:
    """Return the setting `min_stability` if it applies; older stores do not have it."""
    applies = settings.min_stability > 0 and case.threshold == "subject"
    return {"min_stability": settings.min_stability} if applies else {}


# The current names, and the names in the first stores. Keys are computed from the first names, so
# that a fold has the same key in stores of all versions.
_FIRST_NAMES = {
    "people": {"evaluation": "reported"},
    "pipeline": {"trial-order": "time", "step-mean": "time"},
    "takes": {"no-signals": "identity"},
}


def _with_first_names(settings: dict[str, Any]) -> dict:
    """Return the settings of a fold with the names that its key is computed from."""
    first = {key: names.get(settings[key], settings[key]) for key, names in _FIRST_NAMES.items()}
    return {**settings, **first}


def _describe_input(entry: PipelineSpec, study: Bunch) -> dict[str, object]:
    """Describe the transformer of the pipeline's input if a user registered it."""
    if entry.input in (*PLAIN, *OUR_INPUTS):
        return {}
    return {"input": canonical(INPUTS[entry.input](study.sampling_rate))}


def _check_kind(estimator: BaseEstimator, name: str, case: _Case) -> None:
    """Raise if the tags of an estimator name a type that does not fit the target."""
    if not hasattr(estimator, "__sklearn_tags__"):
        return
    kind = get_tags(estimator).estimator_type
    if kind in ("classifier", "regressor") and kind != case.task.estimator_type:
        raise _wrong_kind(name, kind, case.task)


def _make_protocol(protocol: object, n_splits: int, seed: int, repeat: int) -> Protocol:
    if isinstance(protocol, str):
        return make_protocol(protocol, n_splits, seed)
    if not isinstance(protocol, Protocol):
        raise EvaluationError(
            f"A protocol must be a name from {list(PROTOCOLS)} or a splitter of "
            f"edaemo.model_selection, got {protocol!r:.80}."
        )
    protocol = copy(protocol)
    if hasattr(protocol, "random_state"):
        protocol.random_state += repeat
    return protocol


def _find_copies(
    case: _Case, found: dict[tuple[int, bytes], pd.DataFrame | None]
) -> pd.DataFrame | None:
    """Return the copies among the trials of a case; each set of trials is searched once."""
    if not len(case.rows):
        raise EvaluationError(
            f"{case.study.name}, {case.target}: the quality rule excludes all trials. Raise its "
            "limits."
        )
    which = id(case.study), case.rows.tobytes()
    if which not in found:
        found[which] = find_copies(case.trials) if is_trials_table(case.trials) else None
    return found[which]


def _audit(case: _Case, protocol: Protocol, copies: pd.DataFrame | None) -> list[dict[str, Any]]:
    """Audit the folds; raise for leaks that the name does not announce and for a single class."""
    where = f"{case.study.name}, {case.target}, protocol {protocol.name}"
    table = audit(protocol, case.trials, case.classes, music=case.study.get("music"), copies=copies)
    # Recordings of a simulator can be copies by their formula, so near-copies end no evaluation.
    leaking = leaks(table.assign(near_copies_shared=0), protocol.may_share)
    if not leaking and table["near_copies_shared"].sum() > 0:
        warnings.warn(
            f"{where}: {table.attrs['verdict']} The scores may be too high. "
            "edaemo.preprocessing.find_copies lists the pairs of recordings.",
            stacklevel=5,
        )
    if leaking:
        raise EvaluationError(f"{where}: its name does not announce these leaks: {leaking}.")
    one_class = table.loc[table["n_classes_training"] < 2, "fold"]
    if len(one_class) and case.task.has_classes:
        raise EvaluationError(
            f"{where}: in {len(one_class)} of {len(table)} folds, first in fold "
            f"{one_class.iloc[0]}, the training trials are all of one class. Use fewer folds, or "
            "remove these people or stimuli."
        )
    about = {name: table.attrs[name] for name in ("verdict", "nuisances", "order")}
    if "version" in case.trials:
        people = case.trials[["subject", "version"]].drop_duplicates()
        if people["subject"].is_unique:  # no person followed two versions
            about["versions"] = people.to_numpy().tolist()
    records = table.assign(n_folds=len(table)).to_dict("records")
    return [{**record, **case.counts, **about} for record in records]


def _split(case: _Case, protocol: Protocol, n_inner: int | None) -> list[dict[str, np.ndarray]]:
    """Return the rows of each fold; without `n_inner` no rows are held out for validation."""
    used, names = case.rows, ("training", "validation", "test")
    folds: Iterable[tuple[np.ndarray, ...]]
    if n_inner is None:
        folds = [
            (training, test[:0], test)
            for training, test in protocol.split(case.trials, case.classes)
        ]
    else:
        folds = protocol.split_with_validation(case.trials, case.classes, n_inner=n_inner)
    return [dict(zip(names, (used[rows] for rows in fold), strict=True)) for fold in folds]


def _count_inner(estimator: BaseEstimator, protocol: Protocol) -> int | None:
    """Return into how many parts the training units are split; one part is for validation."""
    name = find_validation(estimator)
    if name is None:
        return None
    fraction = estimator.get_params()[f"{name}_fraction"]
    if protocol.has_validation:
        return 2  # the protocol ignores the number
    return None if fraction is None else max(2, round(1 / fraction))


def _takes_part(entry: PipelineSpec, study: Bunch, protocol: Protocol) -> bool:
    """Return whether the study has the data for a pipeline, and a reference row can differ."""
    if _describe_missing(entry, study):
        return False
    if entry.knows_subject:
        return "subject" in protocol.may_share
    # A reference row is useless if its column has the same value in all trials.
    return (not entry.reference or entry.knows_stimulus) or all(
        len(study.trials[column].unique()) > 1 for column in entry.needs
    )


def _make_estimator(
    entry: PipelineSpec, study: Bunch, protocol: Protocol, max_epochs: int, seed: int
) -> BaseEstimator:
    """Make a pipeline, seed it, and give its searches folds over the protocol's units."""
    estimator = clone(entry.make(study))
    for name, value in sorted(estimator.get_params(deep=True).items()):
        last = name.rpartition("__")[2]
        if last == "random_state" and value is None:
            estimator.set_params(**{name: seed})
        elif last == "max_epochs" and entry.has_network:
            estimator.set_params(**{name: max_epochs})
        elif last == "cv" and (value is None or isinstance(value, Integral)):
            estimator.set_params(**{name: protocol.inner(5 if value is None else int(value))})
        elif last == "cv" and takes_groups(value):
            if protocol.find_groups(study.trials[:1]) is None:
                raise _wrong_splitter(
                    name,
                    value,
                    protocol,
                    f"the protocol {protocol.name!r} does not hold out whole groups of one kind",
                )
        elif last == "cv" and not getattr(value, "may_share", {"all"}) <= protocol.may_share:
            raise EvaluationError(
                f"{name}={value!r} may hold out less than the protocol {protocol.name!r} does: "
                f"set {name} to a number of folds, or to {protocol.inner(5)!r}."
            )
    return estimator


def _wrong_splitter(name: str, cv: object, protocol: Protocol, reason: str) -> EvaluationError:
    return EvaluationError(
        f"{name}={cv!r} needs groups, but {reason}: set {name} to a number of folds, or to "
        f"{protocol.inner(5)!r}."
    )


def _find_metadata(
    estimator: BaseEstimator, protocol: Protocol, trials: pd.DataFrame
) -> dict[str, np.ndarray]:
    """Return the ids of each trial that splitters in the estimator need, by name.

    Steps before a search, such as a StandardScaler, may remove the ids from the table.
    """
    splitters = {
        name: value
        for name, value in estimator.get_params(deep=True).items()
        if name.rpartition("__")[2] == "cv" and (isinstance(value, Protocol) or takes_groups(value))
    }
    if not splitters:
        return {}
    _check_samplers(estimator)
    ids = {name: trials[name].to_numpy() for name in _IDS_OF_SPLITS if name in trials}
    by_groups = {name: value for name, value in splitters.items() if takes_groups(value)}
    if by_groups:
        ids["groups"] = protocol.find_groups(trials)
    consumed = [name for name in ids if _passes_on(estimator, name)]
    for name, value in by_groups.items():
        if "groups" not in consumed:
            raise _wrong_splitter(name, value, protocol, "its estimator does not pass them on")
    return {name: ids[name] for name in consumed}


def _passes_on(estimator: BaseEstimator, name: str) -> bool:
    """Return whether `fit` takes this metadata and passes it to a part that requests it."""
    with config_context(enable_metadata_routing=True):
        try:
            routing = get_routing_for_object(estimator)
            if not hasattr(routing, "validate_metadata"):  # an estimator without others inside
                return bool(routing.consumes("fit", [name]))
            # `consumes` ignores the transformers of a pipeline that split trials, such as RFECV.
            routing.validate_metadata(method="fit", params={name: ()})
        except (TypeError, NotImplementedError):
            # scikit-learn's answers for metadata that no part requests, and for meta-estimators
            # that cannot pass on any.
            return False
    return True


def _check_samplers(estimator: BaseEstimator) -> None:
    """Raise if a search follows a sampler, whose rows no longer are those of the ids."""
    for part in [estimator, *estimator.get_params(deep=True).values()]:
        steps = getattr(part, "steps", [])
        samplers = [place for place, (_, step) in enumerate(steps) if hasattr(step, "fit_resample")]
        for name, step in steps[samplers[0] + 1 :] if samplers else []:
            searches = step.get_params(deep=True) if hasattr(step, "get_params") else {}
            if any(parameter.rpartition("__")[2] == "cv" for parameter in searches):
                sampler = steps[samplers[0]][0]
                raise EvaluationError(
                    f"The step {name!r} splits its trials, but the sampler {sampler!r} before it "
                    "changes them, so copies of a trial would be on both sides. Put the sampler "
                    "and the model into one pipeline, and this pipeline into the search."
                )


def _run(
    jobs: list[_Job],
    kept: ResultStore,
    n_jobs: int,
    scheduler: str | None,
    progress: bool | None,
    on_fold: Callable[[FoldRecord], None] | None,
) -> None:
    """Compute and store the folds that are not in the store."""
    by_key = {job.work["key"]: job for job in jobs}
    done = kept.done(by_key)
    # Long folds first, so that no single long fold runs alone at the end.
    todo = [job for key, job in by_key.items() if key not in done]
    todo.sort(key=lambda job: not job.entry.input.endswith("signals") or job.entry.input in PLAIN)
    input_warnings: dict[_Input, list[str]] = {}
    with (
        _cluster(scheduler) as client,
        progress_bar(len(by_key), initial=len(done), unit="fold", shown=progress) as bar,
        closing(
            _compute(todo, _prepare(todo, n_jobs, client, input_warnings), n_jobs, client)
        ) as results,
    ):
        scores: dict[tuple[Any, ...], list[float]] = {}
        noted: dict[str, list[str]] = {}
        for result in results:
            job = by_key[result.pop("key")]
            record = _record(job, result, input_warnings[_input_of(job)])
            kept.add(record)
            if on_fold is not None:
                on_fold(record)
            for note in result["warnings"]:
                noted.setdefault(job.settings["pipeline"], []).append(note)
            if result["status"] == "done":
                names = tuple(job.settings[k] for k in ("study", "target", "protocol", "pipeline"))
                score = result["scores"][job.case.task.tested]
                scores.setdefault(names, []).append(score or 0.0)
                best = max(scores, key=lambda names: np.mean(scores[names]))
                message = f"best so far {np.mean(scores[best]):.2f}: {', '.join(best)}"
                bar.set_postfix_str(message, refresh=False)
            bar.update()
    for name, notes in noted.items():
        warnings.warn(f"{name} warned {len(notes)} times, first: {notes[0]}", stacklevel=3)


def _compute(
    todo: list[_Job], inputs: dict[_Input, Any], n_jobs: int, client: Client | None
) -> Generator[dict[str, Any], None, None]:
    """Yield the result of `run_fold` for each job, in the order in which they finish."""

    def start(jobs: list[_Job], n_jobs: int) -> Iterator[dict[str, Any]]:
        tasks = (delayed(run_fold)(inputs[_input_of(job)], job.work) for job in jobs)
        pool = worker_processes(
            n_jobs,
            begin=begin_worker,
            backend="loky",
            # 1, since joblib would batch quick folds, and then slow folds with them.
            batch_size=1,
            return_as="generator_unordered",
        )
        try:
            with pool as parallel:
                yield from results_as_finished(parallel, tasks)
        except BrokenProcessPool as error:
            raise EvaluationError(
                "A process that worked on a fold was killed. If memory ran out, use fewer "
                "processes. Finished folds are stored: repeat the same call to resume."
            ) from error

    if client is not None:
        yield from _compute_on_cluster(todo, inputs, client)
        return
    # One process for each CUDA device, since further processes would only wait for a device.
    on_gpu = [may_use_gpu(job.work["estimator"]) for job in todo]
    n_devices = len(cuda_devices()) if any(on_gpu) else 0
    if n_devices:
        yield from start(list(compress(todo, on_gpu)), n_devices)
        todo = [job for job, gpu in zip(todo, on_gpu, strict=True) if not gpu]
    yield from start(todo, n_jobs)


def _compute_on_cluster(
    todo: list[_Job], inputs: dict[_Input, Any], client: Client
) -> Iterator[dict]:
    """Yield results that Dask's workers compute; another worker repeats what a worker lost."""
    from distributed import Future, as_completed

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sending large graph")  # once for all folds
        # As results of tasks: unlike scattered data, Dask recomputes them if a worker dies.
        held = {which: client.submit(_return_same, X, pure=False) for which, X in inputs.items()}
    waiting, running = iter(todo), dict[Future, _Job]()
    finished = as_completed(loop=client.loop, with_results=True, raise_errors=False)

    def top_up() -> None:
        n_wanted = 2 * sum(client.nthreads().values()) + 1
        for job in islice(waiting, max(0, n_wanted - len(running))):
            future = client.submit(run_fold, held[_input_of(job)], job.work, pure=False)
            running[future] = job
            finished.add(future)

    with _report_lost_scheduler():
        top_up()
        for future, result in finished:
            job = running.pop(future)
            if future.status == "error":
                # The fold killed its workers, or they cannot read it; `run_fold` catches the rest.
                error = f"{type(result[1]).__name__}: {result[1]}"
                failed = {"status": "failed", "error": error, "warnings": []}
                yield {"key": job.work["key"], **failed}
            else:
                yield future.result() if future.cancelled() else result
            top_up()


@contextmanager
def _report_lost_scheduler() -> Iterator[None]:
    try:
        yield
    except (OSError, CancelledError) as error:
        raise EvaluationError(
            "The connection to the Dask scheduler was lost. Finished folds are stored: repeat the "
            "same call to resume."
        ) from error


def _return_same(X: pd.DataFrame) -> pd.DataFrame:
    return X


def _input_of(job: _Job) -> _Input:
    """Return what identifies a job's input; for series, the trials tables hold lengths."""
    name, task = job.entry.input, job.case.task
    target = job.case.target if name in PLAIN and task.has_lengths else ""
    return id(job.case.study), name, target


def _prepare(
    todo: list[_Job], n_jobs: int, client: Client | None, input_warnings: dict[_Input, list[str]]
) -> dict[_Input, Any]:
    """Compute every input once for all folds and pipelines; each trial is computed alone.

    The warnings about each input are added to `input_warnings`.
    """
    inputs: dict[_Input, Any] = {}
    for which, case in {_input_of(job): job.case for job in todo}.items():
        with noted_warnings() as noted:
            inputs[which] = _prepare_input(case, which[1], n_jobs, client)
        input_warnings[which] = list(noted)
    return inputs


def _prepare_input(case: _Case, name: str, n_jobs: int, client: Client | None) -> pd.DataFrame:
    study = case.study
    if name == "trials":
        return case.task.tell_lengths(study.trials, case.labels)
    if name == "no-signals":
        identity = study.trials.drop(columns=signal_columns(study.trials))
        return case.task.tell_lengths(identity, case.labels)
    step: Any = INPUTS[name](study.sampling_rate)
    if study.get("context") and "context" in step.get_params():
        step.set_params(context=study.context)
    if "n_jobs" in step.get_params():
        step.set_params(n_jobs=n_jobs if client is None else 1)
    if client is None:
        # The index of features holds the ids, regardless of the user's configuration.
        with config_context(transform_output="default"):
            return step.fit_transform(study.trials)
    parts = np.array_split(np.arange(len(study.trials)), -(-len(study.trials) // TRIALS_PER_TASK))
    with _report_lost_scheduler():
        done = [
            client.submit(_transform_part, step, study.trials.iloc[rows], pure=False)
            for rows in parts
        ]
        tables, noted = zip(*client.gather(done), strict=True)
    for text in dict.fromkeys(text for texts in noted for text in texts):
        warnings.warn(text, stacklevel=1)
    return pd.concat(tables)


def _transform_part(step: TransformerMixin, X: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return the transformed trials, and the warnings about them, from another process."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        return step.fit_transform(X), list(count_warnings(caught))


@contextmanager
def _cluster(scheduler: str | None) -> Iterator[Client | None]:
    """Connect to a Dask scheduler, if there is to be one."""
    if scheduler is None:
        yield None
        return
    try:
        from distributed import Client
    except ImportError:
        raise EvaluationError("scheduler= needs Dask: pip install edaemo[distributed].") from None
    try:
        client = Client(scheduler, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise EvaluationError(
            f"No Dask scheduler answers at {scheduler} within {CONNECT_SECONDS} s ({error}): start "
            "one with `dask scheduler`, and workers with `dask worker ADDRESS`."
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        except TimeoutError as error:
            raise EvaluationError(
                f"The Dask scheduler at {scheduler} has no workers, after {CONNECT_SECONDS} s: "
                f"start some with `dask worker {scheduler}`."
            ) from error
        yield client


def _record(job: _Job, result: dict[str, Any], input_warnings: list[str]) -> FoldRecord:
    """Return the record of a finished fold for the store."""
    trials, settings, rows = job.case.study.trials, job.settings, job.work["test"]
    predictions = None
    if result["status"] == "done":
        names = [name for name in IDENTITY if name in trials]
        predictions = {
            "row": rows,
            **dict.fromkeys(IDENTITY, [None] * len(rows)),
            **{name: trials[name].iloc[rows].tolist() for name in names},
            "label": job.case.task.decode(job.case.labels[rows]),
            "predicted": job.case.task.decode(result["predicted"]),
            "probability": result["probability"],
            "decision": result.get("decision"),
        }
    measured = ("error", "scores", "fit_seconds", "predict_seconds", "device")
    return FoldRecord(
        **{
            name: settings[name]
            for name in ("study", "people", "target", "pipeline", "protocol", "repeat", "fold")
        },
        key=job.work["key"],
        threshold=None if settings["threshold"] is None else str(settings["threshold"]),
        settings=settings,
        versions=settings["made_with"],
        seed=settings["seed"],
        task=job.case.task.name,
        artificial=bool(job.case.study.get("artificial", False)),
        classes=job.case.task.classes,
        training_subjects=_people(trials, job.work["training"]),
        test_subjects=_people(trials, rows),
        audit={
            **job.audited,
            "warning": job.protocol.warning,
            "may_share": sorted(job.protocol.may_share),
            "covers": list(job.protocol.covers),
            "share": None if job.protocol.share is None else job.protocol.share._asdict(),
            "validation_subjects": _people(trials, job.work["validation"]),
            "second_look": is_second_look(job.case.study, settings, job.entry),
            "warnings": result["warnings"],
            "warning_counts": result.get("warning_counts", []),
            "label_warnings": job.case.label_warnings,
            "input_warnings": input_warnings,
            "losses": result.get("losses"),
        },
        predictions=predictions,
        **{name: result[name] for name in measured if name in result},
    )


def _people(trials: pd.DataFrame, rows: np.ndarray) -> list[Any]:
    return trials["subject"].iloc[rows].unique().tolist()


def _summarise(
    case: _Case,
    jobs: list[_Job],
    kept: ResultStore,
    settings: _Settings,
    margin: float | None,
) -> pd.DataFrame:
    """Return the table of one case, computed from the stored folds."""
    keys = [job.work["key"] for job in jobs]
    study, audited = case.study, pd.DataFrame([job.audited for job in jobs])
    tested = np.unique(np.concatenate([job.work["test"] for job in jobs]))
    trials, labels = study.trials.iloc[tested], case.labels[tested]
    stimulus = study.trials.get("stimulus")
    protocol = jobs[0].protocol
    about = {
        "study": study.name,
        "artificial": bool(study.get("artificial", False)),
        "people": settings.people,
        "target": case.target,
        "threshold": case.threshold,
        "protocol": protocol.name,
        "warning": protocol.warning,
        "audit": " ".join(audited["verdict"].unique()),
        "order": " ".join(audited["order"].unique()),
        "covers": "+".join(protocol.covers),
        **case.task.describe_labels(labels),
        "n_people": trials["subject"].nunique(),
        "n_trials": len(labels),
        "quality": None if case.exclusion is None else case.exclusion.rule,
        "min_stability": _describe_stability(case, settings).get("min_stability"),
        **{**case.counts, "excluded": describe_counts(case.counts["excluded"])},
        "n_training": audited["n_training"].mean(),
        "left_out": audited["n_left_out"].mean(),
        "stimuli_seen": _count_seen(stimulus, jobs),
        "n_stimuli": 0 if stimulus is None else trials["stimulus"].nunique(),
        "stimuli": "stimuli" if study.get("music") is None else "songs",
        "n_folds": len({job.settings["fold"] for job in jobs}),
        "n_repeats": settings.n_repeats,
        "max_epochs": settings.max_epochs,
        "random_state": settings.random_state,
    }
    pipelines = {
        job.settings["pipeline"]: {
            "pipeline": job.settings["pipeline"],
            "reference": job.entry.reference,
            "uses": _find_uses(job.entry, job.work["estimator"], study),
            "transductive": job.entry.transductive or is_transductive(job.settings),
            "calibration_trials": count_calibration(job.settings),
            "knows_stimulus": job.entry.receives_stimulus(job.work["estimator"]),
            "second_look": is_second_look(case.study, job.settings, job.entry),
        }
        for job in jobs
    }
    family = kept.family(identify_comparison([job.settings for job in jobs]))
    others = {name: member for name, member in family.items() if name not in pipelines}
    folds = kept.folds([*keys, *(key for member in others.values() for key in member.keys)])
    trials_of = dict(list(_read_done(kept, folds).groupby("pipeline")))
    scores = {
        name: score_trials(case.task, trials_of[name], settings.random_state)
        for name in pipelines
        if name in trials_of
    }
    stored = folds[folds["status"] == "done"].groupby("pipeline").size()
    finished = [name for name, member in others.items() if 0 < len(member.keys) == stored.get(name)]
    return make_table(
        case.task,
        {**about, "family_added": describe_added(family)},
        list(pipelines.values()),
        scores,
        folds,
        family={name: member.uses for name, member in family.items()},
        others={name: score_people(case.task, trials_of[name]) for name in finished},
        margin=margin,
        versions=read_versions([jobs[0].audited]),
    )


def _read_done(kept: ResultStore, folds: pd.DataFrame) -> pd.DataFrame:
    """Return all test trials, with the columns of their folds that scores need."""
    place, trials = read_trials(kept, folds)
    about = folds[["pipeline", "repeat", "fold"]].assign(covers=join_covers(folds).to_numpy())
    about = about.take(place).reset_index(drop=True)
    return pd.concat([about, trials], axis=1)


def _declare(jobs: list[_Job], planned: dict[str, PipelineSpec], kept: ResultStore) -> None:
    """Store the family of a comparison: the pipelines of this call, and those that are planned."""
    members: dict[str, Member] = {}
    case = jobs[0].case
    for name, entry in planned.items():
        if not entry.reference and not _describe_missing(entry, case.study):
            members[name] = Member(_find_uses(entry, entry.make(case.study), case.study))
    keys: dict[str, list[str]] = {}
    for job in jobs:
        keys.setdefault(job.settings["pipeline"], []).append(job.work["key"])
    for job in jobs:
        name = job.settings["pipeline"]
        if not job.entry.reference:
            uses = _find_uses(job.entry, job.work["estimator"], case.study)
            members[name] = Member(uses, tuple(keys[name]))
    kept.declare(identify_comparison([job.settings for job in jobs]), members)


def _find_uses(entry: PipelineSpec, estimator: BaseEstimator, study: Bunch) -> tuple[str, ...]:
    return entry.uses(signal_columns(study.trials), entry.receives_stimulus(estimator))


def _count_seen(stimulus: pd.Series | None, jobs: list[_Job]) -> int:
    """Count the stimuli that are in both training and test of at least one fold."""
    if stimulus is None:
        return 0
    values = stimulus.to_numpy()
    folds = {job.settings["rows"]["test"]: job.work for job in jobs}.values()
    seen = [set(values[rows["training"]]) & set(values[rows["test"]]) for rows in folds]
    return len(set().union(*seen))
