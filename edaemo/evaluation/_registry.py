"""Register the pipelines, inputs and studies that `evaluate` accepts by name."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.tree import DecisionTreeRegressor

from edaemo._sklearn import AnyBunch, AnyEstimator, AnyTransformer
from edaemo._torch import NETWORKS, OWN_NETWORKS, Inputs
from edaemo._validation import suggest
from edaemo.datasets import (
    CORPORA,
    Study,
    load_corpus,
    make_continuous_listening,
    make_music_listening,
    repeat_ratings,
)
from edaemo.estimators import (
    LEAST_LEAF,
    SeriesMeanRegressor,
    StimulusMeanRegressor,
    StimulusPriorClassifier,
    SubjectMeanRegressor,
    SubjectPriorClassifier,
    make_boosting_baseline,
    make_duration_baseline,
    make_level_baseline,
    make_logistic_baseline,
    make_minirocket,
    make_mlp_baseline,
    make_recommended,
    make_ridge_baseline,
    make_step_pipeline,
    make_svm_baseline,
    make_svr_baseline,
    make_trial_order_baseline,
    make_trial_order_reversed,
    tree_on,
)
from edaemo.features import EDAFeatureExtractor
from edaemo.preprocessing import CvxEDATransformer, SubjectStandardizer

N_TIMES = 128
# Inputs that are the trials table itself, and transformers that compute an input from the raw EDA
# once for all pipelines; see `register_input`.
PLAIN = ("no-signals", "trials")
INPUTS: dict[str, Callable[[float], AnyTransformer]] = {
    "features": lambda rate: EDAFeatureExtractor(sampling_rate=rate, missing="interpolate"),
    "compact": lambda rate: EDAFeatureExtractor(
        sampling_rate=rate, preset="compact", missing="interpolate"
    ),
    "signals": lambda rate: CvxEDATransformer(sampling_rate=rate, n_times=N_TIMES, missing="mask"),
    # In µS, for a scale by person.
    "unscaled-signals": lambda rate: CvxEDATransformer(
        sampling_rate=rate, n_times=N_TIMES, missing="mask", scale=None
    ),
    # The decomposition of the RTCAN-1D paper.
    "published-signals": lambda rate: CvxEDATransformer(
        sampling_rate=rate, n_times=N_TIMES, missing="mask", weights="published"
    ),
}
# Keys of stored folds contain only the names of these inputs, since they contain edaemo's code.
OUR_INPUTS = tuple(INPUTS)


class EvaluationError(ValueError):
    """The request cannot be evaluated; the message contains the reason."""


Value = TypeVar("Value")


class _Registry(MutableMapping[str, Value]):
    """Entries that are registered here, then entries derived from another registry.

    Parameters
    ----------
    entries : dict
        Entries that are registered here; additions and deletions change this dict.
    derive : callable
        Returns the entries that follow from the current state of the other registry.
    """

    def __init__(
        self, entries: dict[str, Value], derive: Callable[[], Mapping[str, Value]]
    ) -> None:
        self._entries, self._derive = entries, derive

    def __getitem__(self, name: str) -> Value:
        return self._entries[name] if name in self._entries else self._derive()[name]

    def __setitem__(self, name: str, value: Value) -> None:
        self._entries[name] = value

    def __delitem__(self, name: str) -> None:
        del self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._entries, *self._derive()]))

    def __len__(self) -> int:
        return len(dict.fromkeys(self))


class PipelineSpec(NamedTuple):
    """A registered pipeline; see `register_pipeline`.

    Parameters
    ----------
    make : callable
        Takes a study and returns the pipeline.
    input : str, default="trials"
        What the pipeline takes as X.
    needs_music : bool, default=False
        Whether a study without music cannot be used.
    knows_stimulus : bool or None, default=False
        Whether it receives the stimulus of a trial; None: if a parameter ``music`` is set.
    transductive : bool, default=False
        Whether a prediction uses other test trials in a way that its steps do not show.
    reference : bool, default=False
        Whether it uses no signal. It is in every table if the columns that it reads differ between
        trials.
    needs : tuple of str, default=()
        Columns of the trials that it reads.
    knows_subject : bool, default=False
        Whether it is only useful if the subject is also in training.
    has_network : bool, default=False
        Whether the pipeline trains a network. It then needs torch, and `evaluate` sets its number
        of epochs.
    fields : tuple of str, default=()
        Fields of the study that `make` requires.
    companions : tuple of str, default=()
        Pipelines that are always evaluated with it.
    on_request : bool, default=False
        Whether the pipeline is evaluated only if its name or its group is requested.
    """

    make: Callable[[Any], AnyEstimator]
    input: str = "trials"
    needs_music: bool = False
    knows_stimulus: bool | None = False
    transductive: bool = False
    reference: bool = False
    needs: tuple[str, ...] = ()
    knows_subject: bool = False
    has_network: bool = False
    fields: tuple[str, ...] = ()
    companions: tuple[str, ...] = ()
    on_request: bool = False

    def uses(self, signals: Iterable[str], has_stimulus: bool) -> tuple[str, ...]:
        """Return the signals that the pipeline uses, and "music" if it receives the stimulus.

        Parameters
        ----------
        signals : iterable of str
            Signals of the study. A pipeline that takes the trials table and does not declare the
            columns that it reads may use all of them.
        has_stimulus : bool
            Whether the pipeline receives the stimulus of a trial.

        Returns
        -------
        tuple of str
            In alphabetical order; empty for a reference row.
        """
        if self.reference:
            return ()
        used = set(self.needs) if self.input != "no-signals" else set()
        if self.input not in PLAIN:
            used |= set(EDA)
        elif self.input == "trials" and not self.needs:
            used |= set(signals)
        return tuple(sorted(used | ({"music"} if has_stimulus else set())))

    def receives_stimulus(self, estimator: AnyEstimator) -> bool:
        """Return whether the estimator receives the stimulus of a trial.

        Parameters
        ----------
        estimator : estimator
            The pipeline that `make` returned.

        Returns
        -------
        bool
            True if it does.
        """
        if self.knows_stimulus is not None:
            return self.knows_stimulus
        return any(
            value is not None
            for name, value in estimator.get_params(deep=True).items()
            if name.rpartition("__")[2] == "music"
        )


EDA = ("eda",)
# Models on the EDA features.
_CLASSIFIERS: dict[str, Callable[..., AnyEstimator]] = {
    "svm": make_svm_baseline,
    "logistic": make_logistic_baseline,
    "boosting": make_boosting_baseline,
}
_REGRESSORS: dict[str, Callable[..., AnyEstimator]] = {
    "svr": make_svr_baseline,
    "ridge": make_ridge_baseline,
}
# Features unchanged, and standardised over all trials of each person. Under the protocol
# subject-calibrated, the first trials of a test person, which are not tested, set the scale.
_BY_PERSON: dict[str, object] = {"": "passthrough", "-person": SubjectStandardizer()}


def _on_features(make: Callable[..., AnyEstimator], eda: object) -> PipelineSpec:
    return PipelineSpec(
        lambda study: make(eda=eda),
        "features",
        needs=EDA,
    )


def _on_compact(make: Callable[[], AnyEstimator], *companions: str) -> PipelineSpec:
    return PipelineSpec(lambda study: make(), "compact", needs=EDA, companions=companions)


def _on_music(make: Callable[..., AnyEstimator], eda: str = "drop") -> PipelineSpec:
    return PipelineSpec(
        lambda study: make(eda=eda, music=study.music),
        "no-signals" if eda == "drop" else "features",
        needs=() if eda == "drop" else EDA,
        needs_music=True,
        knows_stimulus=True,
    )


def _by_stimulus(estimator: AnyEstimator) -> PipelineSpec:
    """Return the entry of a reference row that reads only the stimulus."""
    return PipelineSpec(
        lambda study: estimator,
        "no-signals",
        needs=("stimulus",),
        knows_stimulus=True,
        reference=True,
    )


def _make_rtcan_by_person(study: object) -> AnyEstimator:
    from edaemo.estimators import make_rtcan

    return make_rtcan(eda=SubjectStandardizer())


_OF_CLASSES = {
    "majority": PipelineSpec(
        lambda study: DummyClassifier(strategy="most_frequent"), "no-signals", reference=True
    ),
    "trial-order": PipelineSpec(
        lambda study: make_trial_order_baseline(), "no-signals", reference=True, needs=("trial",)
    ),
    # In a study with several orders, the people in training may have the other one.
    "trial-order-reversed": PipelineSpec(
        lambda study: make_trial_order_reversed(),
        "no-signals",
        reference=True,
        needs=("trial", "version"),
    ),
    "duration": PipelineSpec(
        lambda study: make_duration_baseline(), "no-signals", reference=True, needs=("duration",)
    ),
    "subject-prior": PipelineSpec(
        lambda study: SubjectPriorClassifier(), "no-signals", reference=True, knows_subject=True
    ),
    "stimulus-prior": _by_stimulus(StimulusPriorClassifier()),
    "recommended": _on_compact(make_recommended, "level-person"),
    "level-person": _on_compact(make_level_baseline),
    "svm-music": _on_music(make_svm_baseline),
    **{
        f"{name}-eda{suffix}": _on_features(make, eda)
        for name, make in _CLASSIFIERS.items()
        for suffix, eda in _BY_PERSON.items()
    },
    "svm-eda-music": _on_music(make_svm_baseline, "passthrough"),
    # Channels on the scale of the person, so that the network sees the level.
    "rtcan-eda-person": PipelineSpec(
        _make_rtcan_by_person,
        "unscaled-signals",
        needs=EDA,
        has_network=True,
        on_request=True,
    ),
    "svm-rbf-eda": PipelineSpec(
        lambda study: make_svm_baseline(eda="passthrough", kernel="rbf", C=1.0),
        "features",
        needs=EDA,
        on_request=True,
    ),
    "mlp-eda": PipelineSpec(
        lambda study: make_mlp_baseline(eda="passthrough"), "features", needs=EDA, on_request=True
    ),
    "minirocket-eda": PipelineSpec(
        lambda study: make_minirocket(), "signals", needs=EDA, on_request=True
    ),
}


def _average_by(column: str, step: str) -> PipelineSpec:
    tree = DecisionTreeRegressor(min_samples_leaf=LEAST_LEAF)
    return PipelineSpec(
        lambda study: tree_on(column, step, tree), "no-signals", reference=True, needs=(column,)
    )


# Pipelines that predict numerical ratings, under thresholds="none".
_OF_NUMBERS = {
    "mean": PipelineSpec(lambda study: DummyRegressor(), "no-signals", reference=True),
    "trial-order": _average_by("trial", "place"),
    "duration": _average_by("duration", "duration"),
    "subject-mean": PipelineSpec(
        lambda study: SubjectMeanRegressor(), "no-signals", reference=True, knows_subject=True
    ),
    "stimulus-mean": _by_stimulus(StimulusMeanRegressor()),
    "svr-music": _on_music(make_svr_baseline),
    **{
        f"{name}-eda{suffix}": _on_features(make, eda)
        for name, make in _REGRESSORS.items()
        for suffix, eda in _BY_PERSON.items()
    },
    "svr-eda-music": _on_music(make_svr_baseline, "passthrough"),
}


# Windows, in seconds, in which the features of a step are computed, in addition to the step itself.
STEP_WINDOWS = (8.0,)


def _on_steps(model: str, eda: bool, music: bool) -> PipelineSpec:
    """Return the entry of a model on the features of each step."""

    def make(study: Any) -> AnyEstimator:
        return make_step_model(study, model, eda=eda, music=music)

    only_music = music and not eda
    return PipelineSpec(
        make,
        "no-signals" if only_music else "trials",
        needs=EDA if eda and not music else (),
        needs_music=only_music,
        knows_stimulus=None if eda and music else music,
        has_network=model == "muse",
        fields=("label_rate", "music_steps") if only_music else ("label_rate",),
    )


def make_step_model(
    study: AnyBunch, model: str, *, eda: bool = True, music: bool = True
) -> AnyEstimator:
    """Make a pipeline on the features of each step of a study with ``label_rate``.

    Parameters
    ----------
    study : Bunch
        The study. The signals are its EDA. Without EDA they are all its signals, as features of
        each step, and the segment of each step.
    model : {"ridge", "muse"}
        As for :func:`edaemo.estimators.make_step_pipeline`.
    eda, music : bool, default=True
        Whether to use the signals, and the music over time if the study has it.

    Returns
    -------
    Pipeline
        The pipeline.
    """
    signals: tuple[str, ...] = EDA
    about: dict[str, Any] = {"windows": (1 / study.label_rate, *STEP_WINDOWS)}
    if eda and "eda" not in study.trials:
        signals = tuple(study.get("units") or ())
        signals += tuple(name for name in ("segment",) if name in study.trials)
        about = {"statistics": ("mean",), "scale_trials": False}
    return make_step_pipeline(
        model,
        study.label_rate,
        signals=signals if eda else (),
        sampling_rate=study.get("sampling_rate"),
        music=study.get("music_steps") if music else None,
        first_label=study.get("first_label", 0.0),
        delay=study.get("label_delay", 0.0),
        **about,
    )


# Pipelines that predict a series for each trial.
_OF_SERIES = {
    "mean": PipelineSpec(lambda study: SeriesMeanRegressor(), "no-signals", reference=True),
    "step-mean": PipelineSpec(
        lambda study: SeriesMeanRegressor(by="step"), "no-signals", reference=True
    ),
    "stimulus-mean": _by_stimulus(SeriesMeanRegressor(by="stimulus")),
    **{
        f"{model}{suffix}": _on_steps(model, eda, music)
        for model in ("ridge", "muse")
        for suffix, eda, music in (
            ("-eda", True, False),
            ("-music", False, True),
            ("", True, True),
        )
    },
}


def _around_network(name: str, network: Inputs, task: str) -> dict[str, PipelineSpec]:
    """Return the pipelines for a registered network, which depend on its declaration."""
    if task not in network.tasks:
        return {}

    def entry(eda: object = "passthrough", music: bool = False, **about: Any) -> PipelineSpec:
        def make(study: Any) -> AnyEstimator:
            from edaemo.estimators import make_network_pipeline

            return make_network_pipeline(
                name, task=task, eda=eda, music=study.music if music else None
            )

        about = {"needs": EDA, "needs_music": music, "knows_stimulus": music, **about}
        return PipelineSpec(make, has_network=True, on_request=network.on_request, **about)

    names = (*network.signals, *network.features)
    if task == "sequence-regression":
        return {name: entry(needs=names)} if names else {}
    if not names:
        return {
            f"{name}-eda{suffix}": entry(eda, input="features")
            for suffix, eda in _BY_PERSON.items()
        }
    columns = tuple(block for block in names if block != "music")
    rows = "signals" if "eda" in columns else "trials"
    rows = "features" if "eda" in network.features else rows
    title = f"{name}-eda" if columns == EDA else name
    entries = {}
    if "music" not in network.required:
        entries[title] = entry(input=rows, needs=columns)
    if "music" in names:
        entries[f"{title}-music"] = entry(input=rows, needs=columns, music=True)
    return entries


def _around_networks(task: str) -> dict[str, PipelineSpec]:
    """Return the pipelines of a task for all registered networks."""
    entries: dict[str, PipelineSpec] = {}
    for name, network in _network_inputs().items():
        entries |= _around_network(name, network, task)
    return entries


def _network_inputs() -> dict[str, Inputs]:
    """Return the inputs of all networks; import torch only if a user has registered a network."""
    others = {name: network for name, network in NETWORKS.items() if name not in OWN_NETWORKS}
    if not others:
        return OWN_NETWORKS
    from edaemo.networks import inputs_of_pipeline

    return OWN_NETWORKS | {name: inputs_of_pipeline(others[name]) for name in others}


# By the name of the task.
PIPELINES_OF: dict[str, MutableMapping[str, PipelineSpec]] = {
    task: _Registry(entries, partial(_around_networks, task))
    for task, entries in [
        ("binary", _OF_CLASSES),
        ("multiclass", _OF_CLASSES),
        ("regression", _OF_NUMBERS),
        ("sequence-regression", _OF_SERIES),
    ]
}
# Names for several pipelines. Those that a study has no data for are left out.
GROUPS: dict[str, tuple[str, ...]] = {
    # The models of Table 6 of the RTCAN-1D paper, those that AIMSTF builds on, and two that are
    # usual for time series.
    "table6": (
        "svm-eda",
        "svm-rbf-eda",
        "mlp-eda",
        "alexnet2d-eda",
        "dcnn-eda",
        "machot-eda",
        "ressin-eda",
        "ressin-eda-music",
        "rtcan-eda",
        "rtcan-eda-music",
        "deepvanet-eda",
        "tsception-eda",
        "minirocket-eda",
        "inceptiontime-eda",
    ),
}
# Pipelines for two classes by name.
PIPELINES = PIPELINES_OF["binary"]
# Pipelines that predict a number for each trial, by name.
REGRESSORS = PIPELINES_OF["regression"]
# Pipelines that predict a series for each trial, by name.
SEQUENCE_REGRESSORS = PIPELINES_OF["sequence-regression"]


def _make_generated(path: object = None) -> AnyBunch:
    """Make the artificial study with the name ``generated``."""
    if path is not None:
        raise EvaluationError(f"The study 'generated' has no files: remove the path {path!r}.")
    return make_music_listening(60, 120, 20, duration=25.0)


PMEMO_SIZE = "generated-pmemo-size"


def _make_pmemo_size(path: object = None) -> AnyBunch:
    """Make the artificial study of PMEmo's size: 457 people, 794 songs, 7,962 trials of 25 s."""
    if path is not None:
        raise EvaluationError(f"The study {PMEMO_SIZE!r} has no files: remove the path.")
    study = make_music_listening(duration=25.0)
    return Study(**{**study, "name": PMEMO_SIZE})


def _load_corpora() -> dict[str, Callable[..., AnyBunch]]:
    """Return the loader of each registered corpus, by name."""
    return {name: partial(load_corpus, name) for name in CORPORA}


CONTINUOUS = "generated-continuous"


def _make_continuous(path: object = None) -> AnyBunch:
    """Make the artificial study with continuous ratings."""
    if path is not None:
        raise EvaluationError(f"The study {CONTINUOUS!r} has no files: remove the path {path!r}.")
    return make_continuous_listening()


# Functions that load a study, by the name of the study.
STUDIES: MutableMapping[str, Callable[..., AnyBunch]] = _Registry(
    {
        "generated": _make_generated,
        PMEMO_SIZE: _make_pmemo_size,
        CONTINUOUS: _make_continuous,
    },
    _load_corpora,
)


def load_continuous(name: str, path: object = None) -> Study:
    """Load a study for targets that are series.

    Parameters
    ----------
    name : str
        Name of a study. "generated" is the artificial study with continuous ratings.
    path : path-like or None, default=None
        Where its files are, as for its loader.

    Returns
    -------
    Study
        The study with those of its targets that are series. Without series, the ratings of its
        trials are repeated over time; see :func:`edaemo.datasets.repeat_ratings`.

    Raises
    ------
    ValueError
        If the study has neither series nor EDA with ratings.
    """
    name = CONTINUOUS if name == "generated" else find(name, STUDIES, "study")
    has_dynamic = "dynamic" in getattr(CORPORA.get(name), "options", ())
    options: dict[str, Any] = {"dynamic": True, "window": None} if has_dynamic else {}
    study = STUDIES[name](path, **options)
    series = {target: values for target, values in study.targets.items() if holds_series(values)}
    return Study(**{**study, "targets": series}) if series else repeat_ratings(study)


def holds_series(values: pd.Series) -> bool:
    """Return whether labels hold a series for at least one trial."""
    if values.dtype != object:
        return False
    return any(isinstance(cell, np.ndarray | list | tuple | pd.Series) for cell in values)


def register_pipeline(
    name: str,
    make: AnyEstimator | Callable[[Any], AnyEstimator],
    *,
    input: str = "trials",
    needs: Sequence[str] | None = None,
    needs_music: bool = False,
    knows_stimulus: bool | None = None,
    transductive: bool = False,
    task: str = "classification",
) -> None:
    """Register a pipeline, so that `evaluate` accepts its name.

    Parameters
    ----------
    name : str
        New name.
    make : classifier, regressor or callable
        The pipeline, or a callable that takes the study's Bunch and returns the pipeline.
        `evaluate` seeds parameters named ``random_state`` that are None. It does not change other
        parameters.
    input : {"trials", "features", "signals", "no-signals"} or str, default="trials"
        What X is. "trials": the trials table with its raw signals. "features": a DataFrame with the
        128 EDA features of each trial. "signals": a trials table with the decomposed channels;
        "published-signals": the same, by the published weights of cvxEDA.
        "no-signals": the trials table without signals. "features", "signals", and inputs that you
        register with :func:`register_input`, are computed once for all pipelines.
    needs : sequence of str or None, default=None
        Columns of the trials table that the pipeline requires, such as ("eda", "eeg"). If a study
        lacks a column, the pipeline is left out, or an error is raised if you named the pipeline.
        None: no column if `input` is "trials" or "no-signals", otherwise the EDA. These columns,
        `input` and `knows_stimulus` also decide with which rows a table compares the pipeline. With
        `input` "trials" and no columns, the pipeline counts as using all signals of the study.
    needs_music : bool, default=False
        Whether the pipeline is left out of studies without music.
    knows_stimulus : bool or None, default=None
        Whether the pipeline receives the stimulus of a trial, as music or as a name. Whether music
        helps is then tested. None: True if any of its parameters ``music`` is set.
    transductive : bool, default=False
        Whether each prediction uses all unlabelled trials of the test person. Such rows are marked.
        `SubjectStandardizer` and ``CvxEDATransformer(scale="subject")`` are found without it.
    task : {"classification", "regression", "sequence-regression"}, default="classification"
        What the pipeline predicts: a class for each trial, the rating itself
        (``thresholds="none"``), or a series for each trial. For a series, ``fit`` receives an
        object array of 1-D arrays, in which masked steps are NaN. ``predict`` returns such an
        array; each series has the length of its label.

    Raises
    ------
    EvaluationError
        If the name is already registered, or `input` is unknown.

    Examples
    --------
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> register_pipeline("knn-eda", KNeighborsClassifier(), input="features")
    >>> del PIPELINES["knn-eda"]
    """
    kinds = {
        "classification": PIPELINES,
        "regression": REGRESSORS,
        "sequence-regression": SEQUENCE_REGRESSORS,
    }
    known = kinds[find(task, kinds, "task")]
    if name in known or name in GROUPS:
        raise EvaluationError(f"There is a pipeline {name!r} already: choose another name.")
    known[name] = as_entry(
        make,
        input=input,
        needs=needs,
        needs_music=needs_music,
        knows_stimulus=knows_stimulus,
        transductive=transductive,
    )


def register_input(name: str, make: Callable[[float], AnyTransformer]) -> None:
    """Register an input that a transformer computes from the raw EDA once for all pipelines.

    Parameters
    ----------
    name : str
        New name, for ``input=`` of :func:`register_pipeline`.
    make : callable
        Takes the sampling rate in Hz and returns a transformer of trials tables. The transformer
        must not learn from the trials, because it receives all trials before they are split into
        folds. `evaluate` sets its parameter ``n_jobs``, if it has one.

    Raises
    ------
    EvaluationError
        If the name is already registered.

    Examples
    --------
    >>> from edaemo.preprocessing import EDADecomposer
    >>> register_input("median", lambda rate: EDADecomposer(rate, method="median"))
    >>> del INPUTS["median"]
    """
    if name in (*PLAIN, *INPUTS):
        raise EvaluationError(f"There is an input {name!r} already: choose another name.")
    INPUTS[name] = make


def as_entry(
    make: object,
    *,
    input: str = "trials",
    needs: Sequence[str] | None = None,
    knows_stimulus: bool | None = None,
    **flags: bool,
) -> PipelineSpec:
    """Return the entry of a pipeline or of a function that makes one; see `register_pipeline`."""
    if input not in (*PLAIN, *INPUTS):
        raise EvaluationError(f"input={input!r} must be one of {sorted([*PLAIN, *INPUTS])}.")
    if isinstance(needs, str):
        raise EvaluationError(
            f"needs={needs!r} must be a sequence of columns, such as ({needs!r},)."
        )
    if needs is None:
        needs = () if input in PLAIN else EDA
    about: dict[str, Any] = {"needs": tuple(needs), "knows_stimulus": knows_stimulus, **flags}
    if isinstance(make, BaseEstimator):
        estimator = make
        return PipelineSpec(lambda study: estimator, input, **about)
    if isinstance(make, type) or not callable(make):
        raise EvaluationError(
            "A pipeline must be a scikit-learn classifier or regressor, or a function that takes a "
            f"study and returns one, got {make!r:.80}."
        )
    return PipelineSpec(make, input, **about)


def register_study(name: str, load: Callable[..., AnyBunch]) -> None:
    """Register a study, so that `evaluate` and ``edaemo compare`` accept its name.

    Register a corpus that has files with :func:`edaemo.datasets.register_corpus` instead; its name
    is then accepted here too.

    Parameters
    ----------
    name : str
        New name.
    load : callable
        Takes ``path`` (None, or the value of ``--path``) and returns a Bunch with ``name``,
        ``trials``, ``ratings`` and ``targets``, and optionally ``sampling_rate`` (Hz, of the EDA),
        ``rating_range``, ``music``, ``development`` and ``artificial``.
        :func:`edaemo.datasets.load_hku956` describes each key.

    Raises
    ------
    EvaluationError
        If the name is already registered.

    See Also
    --------
    register_pipeline : The same for a pipeline.
    edaemo.datasets.read_trials : Read your own recordings.
    edaemo.datasets.register_corpus : Register a corpus with its own file format.

    Examples
    --------
    >>> from edaemo.benchmark import STUDIES, register_study
    >>> from edaemo.datasets import read_trials
    >>> register_study("mine", lambda path=None: read_trials(path or "study/trials.csv"))
    >>> "mine" in STUDIES
    True
    >>> del STUDIES["mine"]
    """
    if name in STUDIES:
        raise EvaluationError(f"There is a study {name!r} already: choose another name.")
    STUDIES[name] = load


def is_second_look(study: AnyBunch, settings: Mapping[str, Any], entry: PipelineSpec) -> bool:
    """Return whether the people of a study were scored before with a pipeline that was fixed first.

    Parameters
    ----------
    study : Bunch
        Its field ``scored_once`` holds (target, protocol, pipeline) of what was fixed before these
        people were scored; None if every pipeline may have a verdict.
    settings : mapping
        ``people``, ``target``, ``protocol`` and ``pipeline`` of a fold.
    entry : PipelineSpec
        The pipeline.

    Returns
    -------
    bool
        True for any other evaluation of people who are not development people, except reference
        rows. Its result must not be taken for a confirmation.
    """
    fixed = study.get("scored_once")
    if fixed is None or settings["people"] == "development" or entry.reference:
        return False
    return tuple(settings[name] for name in ("target", "protocol", "pipeline")) not in fixed


def find(name: object, known: Iterable[str], what: str) -> str:
    """Return the name if it is known.

    Parameters
    ----------
    name : object
        The name.
    known : iterable of str
        All known names.
    what : str
        Word for what is named, for messages.

    Returns
    -------
    str
        The name.

    Raises
    ------
    EvaluationError
        If the name is unknown. The message has similar names, or how to pass a file.
    """
    known = list(known)
    if name in known:
        return name
    if what == "study" and isinstance(name, str) and os.path.exists(name):
        raise EvaluationError(
            f"{name!r} is a file or folder, not the name of a study. Pass to evaluate what "
            "edaemo.datasets.read_trials returns. For the command line, register your study in a "
            "module (register_study), and name the module with --plugin. The folder of a corpus "
            "is --path."
        )
    raise EvaluationError(f"Unknown {what} {name!r}: {suggest(name, known)}")
