"""The evaluation: every pipeline on the same folds, every finished fold stored."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from copy import copy
from functools import cache, partial
from itertools import compress, islice
from numbers import Integral
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator, clone
from sklearn.utils import Bunch, get_tags
from tqdm import tqdm

from edaemo._validation import IDENTITY, name_trial
from edaemo.datasets import select_people
from edaemo.evaluation._audit import audit, leaks
from edaemo.evaluation._fold import (
    cuda_devices,
    find_validation,
    may_use_gpu,
    run_fold,
)
from edaemo.evaluation._keys import canonical, fingerprint, made_with
from edaemo.evaluation._registry import (
    INPUTS,
    STUDIES,
    Entry,
    EvaluationError,
    as_entry,
    find,
    pipelines_for,
)
from edaemo.evaluation._store import FoldRecord, ResultStore
from edaemo.evaluation._worker import begin_worker
from edaemo.model_selection import PROTOCOLS, Protocol, make_protocol
from edaemo.preprocessing import SubjectThresholdRelabeler
from edaemo.statistics import NUMBERS, make_table

TRIALS_PER_TASK = 64
CONNECT_SECONDS = 10
RELABELLED = ("valence", "arousal")
PEOPLE = ("reported", "development", "all")
NEEDED = ("name", "trials", "ratings", "targets", "sampling_rate")
# A name, an object, or several of them.
Several = str | object | Sequence | None


def evaluate(
    pipelines: Several = None,
    studies: Several = "hku956",
    targets: Several = None,
    protocols: Several = "subject",
    *,
    thresholds: Several = "subject",
    people: str = "reported",
    n_splits: int = 5,
    n_repeats: int = 1,
    max_epochs: int = 10,
    n_jobs: int = 2,
    scheduler: str | None = None,
    random_state: int = 0,
    store: str | Path = "results/results.sqlite",
    progress: bool | None = None,
    on_fold: Callable[[FoldRecord], None] | None = None,
) -> pd.DataFrame:
    """Evaluate emotion recognition under named protocols, beside what needs no EDA at all.

    Each trial is decomposed, and its features are computed, once (samples that are NaN have no
    weight in the first and are interpolated for the second); all that is fitted is fitted on
    the training trials of each fold. Before anything is computed the folds are audited, and a
    leak that the protocol's name does not announce is refused. Every finished fold is stored at
    once, and the same call goes on from what is stored.

    Parameters
    ----------
    pipelines : str, classifier, mapping of name to classifier, or sequence of these, default=None
        Names out of ``PIPELINES`` (see :func:`register_pipeline`); a classifier of your own takes
        the trials table with the raw EDA, and goes by its class's name where none is given. None
        for all that the study has the data for. The reference rows always take part. With
        ``thresholds="none"`` regressors, and names out of ``REGRESSORS``.
    studies : str, Bunch, or sequence of these, default="hku956"
        Names out of ``STUDIES`` (see :func:`register_study`), or what a loader returned.
    targets : str, sequence of str or None, default=None
        Out of the ``targets`` of every study; None for all. Valence and arousal become low and high
        by `thresholds`; another rating is high above the middle of its range; classes stay what
        they are, the last in alphabetical order being the positive one.
    protocols : str, splitter, or sequence of these, default="subject"
        Names that :func:`edaemo.model_selection.make_protocol` knows, or its splitters.
    thresholds : "subject", float, "none", or sequence of these, default="subject"
        Valence and arousal are high above each person's own threshold, from all of that person's
        ratings (:class:`edaemo.SubjectThresholdRelabeler`), or above a number. "none": they, and
        every other rating, stay the numbers that they are, for regressors.
    people : {"reported", "development", "all"}, default="reported"
        Whose trials are used: all but the development people of the study, they alone, or both.
    n_splits : int, default=5
        Folds of the protocols that are named.
    n_repeats : int, default=1
        How often everything is repeated; repeat r splits and trains with seed ``random_state + r``.
    max_epochs : int, default=10
        Epochs of the networks that are named; your own objects keep theirs.
    n_jobs : int, default=2
        Processes; each works on one fold of one pipeline, in one thread.
    scheduler : str or None, default=None
        Address of a Dask scheduler (``tcp://…``) whose workers do the work in place of processes
        on this machine; needs ``pip install edaemo[distributed]``.
    random_state : int, default=0
        Seed of splits, pipelines (parameters ``random_state`` that are None) and bootstrap.
    store : path, default="results/results.sqlite"
        The file that finished folds are kept in; several runs may share it.
    progress : bool or None, default=None
        Whether a bar is shown; None: where standard error is a terminal.
    on_fold : callable or None, default=None
        Called with the record of each fold that has been stored.

    Returns
    -------
    DataFrame
        One row for each study, target, threshold, protocol and pipeline; see
        ``docs/evaluation.md`` for the columns. Ratings are scored by their concordance
        correlation, Pearson's correlation and RMSE. Where folds failed, ``n_failed`` counts them,
        ``error`` holds the first of their errors, and the scores are missing.

    Raises
    ------
    EvaluationError
        If a name is unknown, the study lacks what was asked for, a leak was not announced, a fold
        would train on one class, a classifier meets ratings or a regressor classes, or no
        scheduler answers.
    StoreError
        If the store cannot be read or written; what it holds stays.
    ValueError
        If the protocol cannot split the study; see :mod:`edaemo.model_selection`.
    """
    if people not in PEOPLE:
        raise EvaluationError(f"people={people!r}: one of {list(PEOPLE)}.")
    if n_repeats < 1:
        raise EvaluationError(f"n_repeats={n_repeats}: at least 1.")
    chosen = [_load(study, people) for study in _several(studies)]
    entries = {
        threshold == NUMBERS: _choose_pipelines(pipelines, chosen, threshold)
        for threshold in _several(thresholds)
    }
    cases = [
        _Case(study, data, target, threshold, protocol, _make_labels(study, target, threshold))
        for study, data in zip(chosen, map(_fingerprint_data, chosen), strict=True)
        for target in _choose_targets(study, targets)
        for threshold in _choose_thresholds(target, _several(thresholds))
        for protocol in _several(protocols)
    ]
    settings = _Settings(people, n_splits, n_repeats, max_epochs, random_state)
    jobs = [job for case in cases for job in _plan(case, entries[case.is_rated], settings)]
    quiet = not (sys.stderr.isatty() if progress is None else progress)
    with ResultStore(store) as kept:
        _run(jobs, kept, n_jobs, scheduler, quiet, on_fold)
        tables = [
            _summarise(case, [job for job in jobs if job.case is case], kept, settings)
            for case in cases
        ]
    return pd.concat(tables, ignore_index=True)


class _Settings(NamedTuple):
    """What holds for all studies, pipelines and protocols of a call."""

    people: str
    n_splits: int
    n_repeats: int
    max_epochs: int
    random_state: int


class _Case(NamedTuple):
    """One table to be: a study and its fingerprint, a target and how it is labelled, a protocol.

    `labels`, shape (n_trials,), are 0 and 1, or ratings as floats.
    """

    study: Bunch
    data: str
    target: str
    threshold: str | float | None
    protocol: object
    labels: np.ndarray

    @property
    def is_rated(self) -> bool:
        """Say whether the target stays a rating."""
        return self.threshold == NUMBERS


class _Job(NamedTuple):
    """One fold of one pipeline.

    `told` is what its key is made of, `work` what `run_fold` takes beside X, `audited` its row of
    the audit; `case` and `entry` say for which X.
    """

    case: _Case
    entry: Entry
    protocol: Protocol
    told: dict
    work: dict
    audited: dict


def _several(asked: Several) -> list:
    return list(asked) if isinstance(asked, (list, tuple)) else [asked]


def _load(study: str | Bunch, people: str) -> Bunch:
    if isinstance(study, str):
        study = STUDIES[find(study, STUDIES, "study")]()
    if not isinstance(study, Bunch):
        raise EvaluationError(
            f"A study must be a name out of {list(STUDIES)} or a Bunch as loaders return it, got "
            f"{study!r:.80}."
        )
    missing = [key for key in NEEDED if key not in study]
    missing += [
        f"trials[{key!r}]" for key in ("subject", "trial", "eda") if key not in study.trials
    ]
    if missing:
        raise EvaluationError(f"The study {study.get('name', '')!r} has no {missing[0]}.")
    return select_people(study, people)


def _fingerprint_data(study: Bunch) -> str:
    return fingerprint({name: study.get(name) for name in ("trials", "music", "sampling_rate")})


def _choose_targets(study: Bunch, targets: Several) -> list[str]:
    if targets is None:
        return list(study.targets)
    return [find(target, study.targets, f"target of {study.name}") for target in _several(targets)]


def _choose_thresholds(target: str, thresholds: list) -> list:
    """Give what applies to a target: only valence and arousal are labelled by a threshold."""
    if target in RELABELLED:
        return thresholds
    labelled = [None] if any(one != NUMBERS for one in thresholds) else []
    return labelled + [one for one in thresholds if one == NUMBERS]


def _choose_pipelines(
    pipelines: Several, studies: list[Bunch], threshold: str | float
) -> dict[str, Entry]:
    """Return the entries by name, the reference rows first."""
    known = pipelines_for(threshold)
    asked: dict[str, Entry] = {}
    for one in [None] if pipelines is None else _several(pipelines):
        if one is None:
            asked |= known
        elif isinstance(one, str):
            asked[one] = known[_find_pipeline(one, threshold)]
        else:
            named = one if isinstance(one, Mapping) else {type(one).__name__: one}
            for name, estimator in named.items():
                if name in asked or name in known:
                    raise EvaluationError(
                        f"There is a pipeline {name!r} already: give yours another name, as "
                        "{name: pipeline}."
                    )
                asked[name] = as_entry(estimator)
    for study in studies:
        for name, entry in asked.items():
            if pipelines is not None and entry.needs_music and study.get("music") is None:
                raise EvaluationError(f"{name} needs music, and {study.name} has none.")
    return {name: entry for name, entry in known.items() if entry.reference} | asked


def _find_pipeline(name: str, threshold: str | float) -> str:
    """Return the name if it is known for such a target; else say what is."""
    known = pipelines_for(threshold)
    if name not in known and name in pipelines_for(None if threshold == NUMBERS else NUMBERS):
        raise _wrong_kind(name, threshold)
    return find(name, known, "pipeline")


def _wrong_kind(name: str, threshold: str | float | None) -> EvaluationError:
    """Say that a pipeline predicts what the target is not."""
    if threshold == NUMBERS:
        regressors = [name for name, one in pipelines_for(NUMBERS).items() if not one.reference]
        return EvaluationError(
            f"{name} is a classifier, and with thresholds={NUMBERS!r} ratings stay numbers: ask "
            f"for regressors, such as {', '.join(regressors)}."
        )
    return EvaluationError(
        f"{name} is a regressor, and the targets are classes: ask for classifiers, or give "
        f"thresholds={NUMBERS!r}, which leaves ratings the numbers that they are."
    )


def _make_labels(study: Bunch, target: str, threshold: str | float | None) -> np.ndarray:
    """Give each trial's class, 0 or 1, or its rating, shape (n_trials,); see `evaluate`."""
    values = study.targets[target]
    if threshold == NUMBERS:
        return _read_ratings(study, target)
    if target in RELABELLED:
        relabeler = SubjectThresholdRelabeler(target=target, threshold=threshold)
        labels = relabeler.fit_relabel(study.ratings, subject=study.trials["subject"])
    elif pd.api.types.is_numeric_dtype(values):
        labels = (values > np.mean(study.rating_range)).to_numpy()
    else:
        labels = (values == max(values)).to_numpy()
    if labels.all() or not labels.any():
        raise EvaluationError(f"{study.name}: target {target!r} leaves one class only.")
    return labels.astype(np.int64)


def _read_ratings(study: Bunch, target: str) -> np.ndarray:
    values = study.targets[target]
    where = f"{study.name}: target {target!r}"
    kinds = pd.api.types
    if not kinds.is_numeric_dtype(values) or kinds.is_bool_dtype(values):
        raise EvaluationError(
            f"{where} holds classes ({', '.join(map(str, pd.unique(values)[:3]))}), and "
            f"thresholds={NUMBERS!r} takes ratings that are numbers: name another target, or leave "
            "thresholds out."
        )
    ratings = values.to_numpy(dtype=np.float64, na_value=np.nan)
    missing = np.flatnonzero(~np.isfinite(ratings))
    if len(missing):
        raise EvaluationError(
            f"{where}: the rating of {name_trial(study.trials, int(missing[0]))} is missing: leave "
            "such trials out."
        )
    if np.ptp(ratings) == 0:
        raise EvaluationError(
            f"{where}: all ratings are {ratings[0]:g}, so there is nothing to learn."
        )
    return ratings


def _plan(case: _Case, entries: dict[str, Entry], settings: _Settings) -> Iterator[_Job]:
    """Lay out every fold of every pipeline that the study has the data for, audited."""
    study = case.study
    common = {
        "study": study.name,
        "people": settings.people,
        "target": case.target,
        "threshold": case.threshold,
        "data": case.data,
        "labels": fingerprint(case.labels),
        "made_with": made_with(),
    }
    for repeat in range(settings.n_repeats):
        seed = settings.random_state + repeat
        protocol = _make_protocol(case.protocol, settings.n_splits, seed, repeat)
        audited = _audit(case, protocol)
        folds = cache(partial(_split, case, protocol))
        for name, entry in entries.items():
            if not _takes_part(entry, name, study, protocol):
                continue
            estimator = _make_estimator(entry, study, protocol, settings.max_epochs, seed)
            _check_kind(estimator, name, case)
            about = {
                **common,
                "pipeline": name,
                "parameters": canonical(estimator),
                "takes": entry.takes,
                "input": _describe_input(entry, study),
                "protocol": protocol.name,
                "n_splits": getattr(protocol, "n_splits", None),
                "repeat": repeat,
                "seed": seed,
            }
            for fold, rows in enumerate(folds(_count_inner(estimator, protocol))):
                told = {**about, "fold": fold, "rows": {k: fingerprint(v) for k, v in rows.items()}}
                work = {
                    "key": fingerprint(told),
                    "estimator": estimator,
                    "labels": case.labels,
                    "made_with": common["made_with"],
                    **rows,
                }
                yield _Job(case, entry, protocol, told, work, audited[fold])


def _describe_input(entry: Entry, study: Bunch) -> object:
    """Write down what computes the pipeline's input; None where it takes the table itself."""
    return canonical(INPUTS[entry.takes](study.sampling_rate)) if entry.takes in INPUTS else None


def _check_kind(estimator: BaseEstimator, name: str, case: _Case) -> None:
    """Refuse a classifier of ratings, or a regressor of classes, that says what it is."""
    if not hasattr(estimator, "__sklearn_tags__"):
        return
    wrong = "classifier" if case.is_rated else "regressor"
    if get_tags(estimator).estimator_type == wrong:
        raise _wrong_kind(name, case.threshold)


def _make_protocol(protocol: str | Protocol, n_splits: int, seed: int, repeat: int) -> Protocol:
    if isinstance(protocol, str):
        return make_protocol(protocol, n_splits, seed)
    if not isinstance(protocol, Protocol):
        raise EvaluationError(
            f"A protocol must be a name out of {list(PROTOCOLS)} or one of the splitters of "
            f"edaemo.model_selection, got {protocol!r:.80}."
        )
    protocol = copy(protocol)
    if hasattr(protocol, "random_state"):
        protocol.random_state += repeat
    return protocol


def _audit(case: _Case, protocol: Protocol) -> list[dict]:
    """Audit the folds; refuse leaks that the name does not announce, and training on one class."""
    where = f"{case.study.name}, {case.target}, protocol {protocol.name}"
    table = audit(protocol, case.study.trials, case.labels)
    found = leaks(table, protocol.announced)
    if found:
        raise EvaluationError(f"{where}: the split leaks what its name does not say: {found}.")
    alone = table.loc[table["n_classes_training"] < 2, "fold"]
    if len(alone) and not case.is_rated:
        raise EvaluationError(
            f"{where}: in {len(alone)} of {len(table)} folds, first in fold {alone.iloc[0]}, the "
            "training trials are all of one class, so nothing can be learned: use fewer folds, or "
            "leave those people or stimuli out."
        )
    return table.assign(n_folds=len(table)).to_dict("records")


def _split(case: _Case, protocol: Protocol, n_inner: int | None) -> list[dict[str, np.ndarray]]:
    """Give the rows of each fold; without `n_inner` none are set aside for validation."""
    trials, labels = case.study.trials, case.labels
    if n_inner is None:
        return [
            {"training": training, "validation": test[:0], "test": test}
            for training, test in protocol.split(trials, labels)
        ]
    return [
        dict(zip(("training", "validation", "test"), rows, strict=True))
        for rows in protocol.split_with_validation(trials, labels, n_inner=n_inner)
    ]


def _count_inner(estimator: BaseEstimator, protocol: Protocol) -> int | None:
    """Say which part of the training units the estimator takes for validation, one of how many."""
    name = find_validation(estimator)
    if name is None:
        return None
    fraction = estimator.get_params()[f"{name}_fraction"]
    if protocol.has_validation:
        return 2  # the number has no effect
    return None if fraction is None else max(2, round(1 / fraction))


def _takes_part(entry: Entry, name: str, study: Bunch, protocol: Protocol) -> bool:
    """Say whether the study has what a pipeline reads, and a reference row something to say."""
    if entry.needs_music and study.get("music") is None:
        return False
    if name in ("subject-prior", "subject-mean"):
        return "subject" in protocol.announced
    if name in ("stimulus-prior", "stimulus-mean"):
        return "stimulus" in study.trials
    return entry.needs is None or (
        entry.needs in study.trials and len(study.trials[entry.needs].unique()) > 1
    )


def _make_estimator(
    entry: Entry, study: Bunch, protocol: Protocol, max_epochs: int, seed: int
) -> BaseEstimator:
    """Make a pipeline, seeded, its searches held to the unit of the protocol."""
    estimator = clone(entry.make(study))
    for name, value in sorted(estimator.get_params(deep=True).items()):
        last = name.rpartition("__")[2]
        if last == "random_state" and value is None:
            estimator.set_params(**{name: seed})
        elif last == "max_epochs" and entry.sets_epochs:
            estimator.set_params(**{name: max_epochs})
        elif last == "cv" and (value is None or isinstance(value, Integral)):
            estimator.set_params(**{name: protocol.inner(5 if value is None else value)})
        elif last == "cv" and not getattr(value, "announced", {"all"}) <= protocol.announced:
            raise EvaluationError(
                f"{name}={value!r} may hold out less than the protocol {protocol.name!r} does: "
                f"give {name} as a number of folds, or as {protocol.inner(5)!r}."
            )
    return estimator


def _run(
    jobs: list[_Job],
    kept: ResultStore,
    n_jobs: int,
    scheduler: str | None,
    quiet: bool,
    on_fold: Callable[[FoldRecord], None] | None,
) -> None:
    """Compute and store the folds that are not in the store."""
    by_key = {job.work["key"]: job for job in jobs}
    done = kept.done(by_key)
    # Long ones first, so that no process is left alone with one at the end.
    todo = [job for key, job in by_key.items() if key not in done]
    todo.sort(key=lambda job: job.entry.takes != "signals")
    with (
        _cluster(scheduler) as client,
        tqdm(total=len(by_key), initial=len(done), unit="fold", disable=quiet) as bar,
        closing(_compute(todo, _prepare(todo, n_jobs, client), n_jobs, client)) as results,
    ):
        scores: dict[tuple, list[float]] = {}
        noted: dict[str, list[str]] = {}
        for result in results:
            job = by_key[result.pop("key")]
            record = _record(job, result)
            kept.add(record)
            if on_fold is not None:
                on_fold(record)
            for note in result["warnings"]:
                noted.setdefault(job.told["pipeline"], []).append(note)
            if result["status"] == "done":
                told = tuple(job.told[k] for k in ("study", "target", "protocol", "pipeline"))
                score = "concordance_correlation" if job.case.is_rated else "balanced_accuracy"
                scores.setdefault(told, []).append(result["scores"][score] or 0.0)
                best = max(scores, key=lambda told: np.mean(scores[told]))
                said = f"best so far {np.mean(scores[best]):.2f}: {', '.join(best)}"
                bar.set_postfix_str(said, refresh=False)
            bar.update()
    for name, notes in noted.items():
        warnings.warn(f"{name} warned {len(notes)} times, first: {notes[0]}", stacklevel=3)


def _compute(todo: list[_Job], inputs: dict, n_jobs: int, client: object | None) -> Iterator[dict]:
    """Give what `run_fold` gives for each, as they finish."""

    def start(jobs: list[_Job], n_jobs: int) -> Iterator[dict]:
        tasks = (delayed(run_fold)(inputs[_input_of(job)], job.work) for job in jobs)
        parallel = Parallel(
            n_jobs=n_jobs,
            backend="loky",
            # One by one: joblib would hand out quick folds together, and slow ones that follow.
            batch_size=1,
            return_as="generator_unordered",
            initializer=begin_worker,
            initargs=(os.getpid(),),
        )
        try:
            yield from parallel(tasks)
        except BrokenProcessPool as error:
            raise EvaluationError(
                "A process that worked on a fold was killed, perhaps for want of memory (then use "
                "fewer processes). Finished folds are kept: the same call goes on from there."
            ) from error

    if client is not None:
        yield from _compute_on_cluster(todo, inputs, client)
        return
    # One process for each CUDA device: more would only wait for one another.
    on_gpu = [may_use_gpu(job.work["estimator"]) for job in todo]
    n_devices = len(cuda_devices()) if any(on_gpu) else 0
    if n_devices:
        yield from start(list(compress(todo, on_gpu)), n_devices)
        todo = [job for job, gpu in zip(todo, on_gpu, strict=True) if not gpu]
    yield from start(todo, n_jobs)


def _compute_on_cluster(todo: list[_Job], inputs: dict, client: object) -> Iterator[dict]:
    """Let Dask's workers do it: what is lost with a worker is done again by another."""
    from distributed import as_completed

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sending large graph")  # once for all folds
        # As results of tasks: unlike scattered data these can be had again if a worker dies.
        held = {which: client.submit(_as_it_is, X, pure=False) for which, X in inputs.items()}
    waiting, running = iter(todo), {}
    finished = as_completed(loop=client.loop, with_results=True, raise_errors=False)

    def top_up() -> None:
        n_wanted = 2 * sum(client.nthreads().values()) + 1
        for job in islice(waiting, max(0, n_wanted - len(running))):
            future = client.submit(run_fold, held[_input_of(job)], job.work, pure=False)
            running[future] = job
            finished.add(future)

    with _scheduler_gone_is_said():
        top_up()
        for future, result in finished:
            job = running.pop(future)
            if future.status == "error":
                # It took its workers along, or they cannot read it; `run_fold` catches all else.
                error = f"{type(result[1]).__name__}: {result[1]}"
                failed = {"status": "failed", "error": error, "warnings": []}
                yield {"key": job.work["key"], **failed}
            else:
                yield future.result() if future.cancelled() else result
            top_up()


@contextmanager
def _scheduler_gone_is_said() -> Iterator[None]:
    try:
        yield
    except (OSError, CancelledError) as error:
        raise EvaluationError(
            "The Dask scheduler is gone. Finished folds are kept: the same call goes on from there."
        ) from error


def _as_it_is(X: pd.DataFrame) -> pd.DataFrame:
    return X


def _input_of(job: _Job) -> tuple[int, str]:
    return id(job.case.study), job.entry.takes


def _prepare(todo: list[_Job], n_jobs: int, client: object | None) -> dict:
    """Compute what one trial alone determines, once for all folds and pipelines."""
    wanted = {_input_of(job): job.case.study for job in todo}
    return {
        (study_id, takes): _prepare_one(study, takes, n_jobs, client)
        for (study_id, takes), study in wanted.items()
    }


def _prepare_one(study: Bunch, takes: str, n_jobs: int, client: object | None) -> pd.DataFrame:
    if takes == "trials":
        return study.trials
    if takes == "identity":
        return study.trials.drop(columns="eda")
    step = INPUTS[takes](study.sampling_rate)
    if "n_jobs" in step.get_params():
        step.set_params(n_jobs=n_jobs if client is None else 1)
    if client is None:
        return step.fit_transform(study.trials)
    parts = np.array_split(np.arange(len(study.trials)), -(-len(study.trials) // TRIALS_PER_TASK))
    with _scheduler_gone_is_said():
        done = [
            client.submit(step.fit_transform, study.trials.iloc[rows], pure=False) for rows in parts
        ]
        return pd.concat(client.gather(done))


@contextmanager
def _cluster(scheduler: str | None) -> Iterator[object | None]:
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


def _record(job: _Job, result: dict) -> FoldRecord:
    """Make the row of the store."""
    trials, told, rows = job.case.study.trials, job.told, job.work["test"]
    predictions = None
    if result["status"] == "done":
        names = [name for name in IDENTITY if name in trials]
        predictions = {
            "row": rows,
            **dict.fromkeys(IDENTITY, [None] * len(rows)),
            **{name: trials[name].iloc[rows].tolist() for name in names},
            "label": job.case.labels[rows],
            "predicted": result["predicted"],
            "probability": result["probability"],
        }
    measured = ("error", "scores", "fit_seconds", "predict_seconds", "device")
    return FoldRecord(
        **{
            name: told[name]
            for name in ("study", "people", "target", "pipeline", "protocol", "repeat", "fold")
        },
        key=job.work["key"],
        threshold=None if told["threshold"] is None else str(told["threshold"]),
        settings=told,
        versions=told["made_with"],
        seed=told["seed"],
        classes=[] if job.case.is_rated else [0, 1],
        training_subjects=_people(trials, job.work["training"]),
        test_subjects=_people(trials, rows),
        audit={
            **job.audited,
            "warning": job.protocol.warning,
            "announced": sorted(job.protocol.announced),
            "share": None if job.protocol.share is None else job.protocol.share._asdict(),
            "validation_subjects": _people(trials, job.work["validation"]),
            "warnings": result["warnings"],
            "losses": result.get("losses"),
        },
        predictions=predictions,
        **{name: result[name] for name in measured if name in result},
    )


def _people(trials: pd.DataFrame, rows: np.ndarray) -> list:
    return trials["subject"].iloc[rows].unique().tolist()


def _summarise(
    case: _Case, jobs: list[_Job], kept: ResultStore, settings: _Settings
) -> pd.DataFrame:
    """Make the table of one case from what the store holds."""
    keys = [job.work["key"] for job in jobs]
    study, labels, audited = case.study, case.labels, pd.DataFrame([job.audited for job in jobs])
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
        **(
            {"rating_mean": labels.mean(), "rating_sd": labels.std(ddof=1)}
            if case.is_rated
            else {"majority_rate": max(np.mean(labels), 1 - np.mean(labels))}
        ),
        "n_people": study.trials["subject"].nunique(),
        "n_trials": len(labels),
        "n_training": audited["n_training"].mean(),
        "left_out": audited["n_left_out"].mean(),
        "stimuli_seen": _count_seen(stimulus, jobs),
        "n_stimuli": 0 if stimulus is None else stimulus.nunique(),
        "stimuli": "stimuli" if study.get("music") is None else "songs",
        "n_folds": len({job.told["fold"] for job in jobs}),
        "n_repeats": settings.n_repeats,
        "max_epochs": settings.max_epochs,
        "random_state": settings.random_state,
    }
    pipelines = {
        job.told["pipeline"]: {
            "pipeline": job.told["pipeline"],
            "reference": job.entry.reference,
            "transductive": job.entry.transductive,
            "knows_stimulus": job.entry.is_told(job.work["estimator"]),
        }
        for job in jobs
    }
    folds = kept.folds(keys)
    predictions = kept.predictions(keys).merge(folds[["key", "pipeline"]], on="key")
    return make_table(about, list(pipelines.values()), predictions, folds)


def _count_seen(stimulus: pd.Series | None, jobs: list[_Job]) -> int:
    """Count the stimuli that are on both sides of some fold."""
    if stimulus is None:
        return 0
    values = stimulus.to_numpy()
    folds = {job.told["rows"]["test"]: job.work for job in jobs}.values()
    seen = [set(values[rows["training"]]) & set(values[rows["test"]]) for rows in folds]
    return len(set().union(*seen))
