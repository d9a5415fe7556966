"""The pipelines and studies that can be asked for by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, TransformerMixin
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils import Bunch

from edaemo._validation import suggest
from edaemo.datasets import CORPORA, Study, load_corpus, make_music_listening
from edaemo.estimators import (
    LEAST_LEAF,
    SeriesMeanRegressor,
    StimulusMeanRegressor,
    StimulusPriorClassifier,
    SubjectMeanRegressor,
    SubjectPriorClassifier,
    make_boosting_baseline,
    make_duration_baseline,
    make_logistic_baseline,
    make_network_pipeline,
    make_ridge_baseline,
    make_svm_baseline,
    make_svr_baseline,
    make_trial_order_baseline,
    tree_on,
)
from edaemo.features import EDAFeatureExtractor
from edaemo.networks import NETWORKS, blocks_of, declaration_of, needed_blocks
from edaemo.preprocessing import CvxEDATransformer, SubjectStandardizer

N_TIMES = 128
# What a pipeline takes of the table itself, and what is computed of the raw EDA before, once for
# all pipelines; see `register_input`.
PLAIN = ("no-signals", "trials")
INPUTS: dict[str, Callable[[float], TransformerMixin]] = {
    "features": lambda rate: EDAFeatureExtractor(sampling_rate=rate, missing="interpolate"),
    "signals": lambda rate: CvxEDATransformer(sampling_rate=rate, n_times=N_TIMES, missing="mask"),
}
# Keys of stored folds hold the names of these alone: edaemo's code is in the keys anyway.
OUR_INPUTS = tuple(INPUTS)


class EvaluationError(ValueError):
    """What was asked for cannot be evaluated; the message says why."""


Value = TypeVar("Value")


class _Registry(MutableMapping[str, Value]):
    """What is registered here, then what follows from the registry of another room.

    Parameters
    ----------
    own : dict
        Takes what is added, and gives up what is deleted.
    derive : callable
        Returns what follows from the other registry as it is now.
    """

    def __init__(self, own: dict[str, Value], derive: Callable[[], Mapping[str, Value]]) -> None:
        self._own, self._derive = own, derive

    def __getitem__(self, name: str) -> Value:
        return self._own[name] if name in self._own else self._derive()[name]

    def __setitem__(self, name: str, value: Value) -> None:
        self._own[name] = value

    def __delitem__(self, name: str) -> None:
        del self._own[name]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._own, *self._derive()]))

    def __len__(self) -> int:
        return len(dict.fromkeys(self))


class PipelineSpec(NamedTuple):
    """A pipeline that takes part; see `register_pipeline`.

    `reference`: it needs no signal at all, and stands in every table where what it knows differs
    between trials. `needs`: the columns of the trials that it reads. `knows_subject`: it has
    something to say where the person is in training. `sets_epochs`: its networks train for as many
    epochs as the call says.
    """

    make: Callable[[Bunch], BaseEstimator]
    input: str = "trials"
    needs_music: bool = False
    knows_stimulus: bool | None = False
    transductive: bool = False
    reference: bool = False
    needs: tuple[str, ...] = ()
    knows_subject: bool = False
    sets_epochs: bool = False

    def is_told(self, estimator: BaseEstimator) -> bool:
        """Say whether the estimator that was made is told which stimulus a trial had."""
        if self.knows_stimulus is not None:
            return self.knows_stimulus
        return any(
            value is not None
            for name, value in estimator.get_params(deep=True).items()
            if name.rpartition("__")[2] == "music"
        )


EDA = ("eda",)
CALIBRATION_TRIALS = 5
# What the EDA features go to.
_CLASSIFIERS: dict[str, Callable[..., BaseEstimator]] = {
    "svm": make_svm_baseline,
    "logistic": make_logistic_baseline,
    "boosting": make_boosting_baseline,
}
_REGRESSORS: dict[str, Callable[..., BaseEstimator]] = {
    "svr": make_svr_baseline,
    "ridge": make_ridge_baseline,
}
# On the features: as they are, standardised by each person's own trials, and by the first five.
_BY_PERSON: dict[str, object] = {
    "": "passthrough",
    "-person": SubjectStandardizer(),
    "-calibrated": SubjectStandardizer(calibrate_on=CALIBRATION_TRIALS),
}


def _on_features(make: Callable[..., BaseEstimator], eda: object) -> PipelineSpec:
    return PipelineSpec(
        lambda study: make(eda=eda),
        "features",
        needs=EDA,
        transductive=getattr(eda, "transductive", False),
    )


def _on_music(make: Callable[..., BaseEstimator], eda: str = "drop") -> PipelineSpec:
    return PipelineSpec(
        lambda study: make(eda=eda, music=study.music),
        "no-signals" if eda == "drop" else "features",
        needs=() if eda == "drop" else EDA,
        needs_music=True,
        knows_stimulus=True,
    )


def _by_stimulus(estimator: BaseEstimator) -> PipelineSpec:
    """Describe the reference row that knows the stimulus alone."""
    return PipelineSpec(
        lambda study: estimator,
        "no-signals",
        needs=("stimulus",),
        knows_stimulus=True,
        reference=True,
    )


_OF_CLASSES = {
    "majority": PipelineSpec(
        lambda study: DummyClassifier(strategy="most_frequent"), "no-signals", reference=True
    ),
    "trial-order": PipelineSpec(
        lambda study: make_trial_order_baseline(), "no-signals", reference=True, needs=("trial",)
    ),
    "duration": PipelineSpec(
        lambda study: make_duration_baseline(), "no-signals", reference=True, needs=("duration",)
    ),
    "subject-prior": PipelineSpec(
        lambda study: SubjectPriorClassifier(), "no-signals", reference=True, knows_subject=True
    ),
    "stimulus-prior": _by_stimulus(StimulusPriorClassifier()),
    "svm-music": _on_music(make_svm_baseline),
    **{
        f"{name}-eda{suffix}": _on_features(make, eda)
        for name, make in _CLASSIFIERS.items()
        for suffix, eda in _BY_PERSON.items()
    },
    "svm-eda-music": _on_music(make_svm_baseline, "passthrough"),
}


def _average_by(column: str, step: str) -> PipelineSpec:
    tree = DecisionTreeRegressor(min_samples_leaf=LEAST_LEAF)
    return PipelineSpec(
        lambda study: tree_on(column, step, tree), "no-signals", reference=True, needs=(column,)
    )


# What predicts ratings as they are, under thresholds="none".
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


# What predicts a series for each trial.
_OF_SERIES = {
    "mean": PipelineSpec(lambda study: SeriesMeanRegressor(), "no-signals", reference=True),
    "step-mean": PipelineSpec(
        lambda study: SeriesMeanRegressor(by="step"), "no-signals", reference=True
    ),
    "stimulus-mean": _by_stimulus(SeriesMeanRegressor(by="stimulus")),
}


def _around_network(name: str, task: str) -> dict[str, PipelineSpec]:
    """Return the pipelines around a registered network, by what it declares."""
    network = NETWORKS[name]
    if task not in declaration_of(network).tasks:
        return {}

    def entry(eda: object = "passthrough", music: bool = False, **about: Any) -> PipelineSpec:
        def make(study: Bunch) -> BaseEstimator:
            return make_network_pipeline(
                name, task=task, eda=eda, music=study.music if music else None
            )

        about = {"needs": EDA, "needs_music": music, "knows_stimulus": music, **about}
        return PipelineSpec(make, sets_epochs=True, **about)

    blocks = blocks_of(network)
    names = (*blocks["signals"], *blocks["features"])
    if task == "sequence-regression":
        return {name: entry(needs=names)} if names else {}
    if not names:
        return {
            f"{name}-eda{suffix}": entry(
                eda, input="features", transductive=getattr(eda, "transductive", False)
            )
            for suffix, eda in _BY_PERSON.items()
        }
    columns = tuple(block for block in names if block != "music")
    rows = "signals" if "eda" in columns else "trials"
    title = f"{name}-eda" if columns == EDA else name
    found = {}
    if "music" not in needed_blocks(network):
        found[title] = entry(input=rows, needs=columns)
    if "music" in names:
        found[f"{title}-music"] = entry(input=rows, needs=columns, music=True)
    return found


def _around_networks(task: str) -> dict[str, PipelineSpec]:
    """Return the pipelines of a task around the registered networks."""
    found: dict[str, PipelineSpec] = {}
    for name in NETWORKS:
        found |= _around_network(name, task)
    return found


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
PIPELINES = PIPELINES_OF["binary"]
REGRESSORS = PIPELINES_OF["regression"]
SEQUENCE_REGRESSORS = PIPELINES_OF["sequence-regression"]


def _make_generated(path: object = None) -> Bunch:
    """Make the artificial study that goes by the name of ``generated``."""
    if path is not None:
        raise EvaluationError(f"The study 'generated' is made and not read: no path, got {path!r}.")
    return make_music_listening(60, 120, 20, duration=25.0)


PMEMO_SIZE = "generated-pmemo-size"


def _make_pmemo_size(path: object = None) -> Bunch:
    """Make the artificial study of PMEmo's size: 457 people, 794 songs, 7,962 trials of 25 s."""
    if path is not None:
        raise EvaluationError(f"The study {PMEMO_SIZE!r} is made and not read: no path.")
    study = make_music_listening(duration=25.0)
    return Study(**{**study, "name": PMEMO_SIZE})


def _load_corpora() -> dict[str, Callable[..., Bunch]]:
    """Return what loads each registered corpus, by name."""
    return {name: partial(load_corpus, name) for name in CORPORA}


STUDIES: MutableMapping[str, Callable[..., Bunch]] = _Registry(
    {"generated": _make_generated, PMEMO_SIZE: _make_pmemo_size}, _load_corpora
)


def register_pipeline(
    name: str,
    make: ClassifierMixin | RegressorMixin | Callable[[Bunch], BaseEstimator],
    *,
    input: str = "trials",
    needs: Sequence[str] | None = None,
    needs_music: bool = False,
    knows_stimulus: bool | None = None,
    transductive: bool = False,
    task: str = "classification",
) -> None:
    """Let `evaluate` know a pipeline by name.

    Parameters
    ----------
    name : str
        New name.
    make : classifier, regressor or callable
        The pipeline, or what makes it of a study: a callable that takes the Bunch. Parameters named
        ``random_state`` that are None are seeded by `evaluate`, and every other parameter stays as
        it is.
    input : {"trials", "features", "signals", "no-signals"} or str, default="trials"
        What X is: the trials table with its raw signals; a frame of the 128 EDA features of each
        trial; a trials table with the decomposed channels; the trials table without signals. The
        middle two, and others by :func:`register_input`, are computed once for all pipelines.
    needs : sequence of str or None, default=None
        Columns of the trials table without which the pipeline cannot work, such as ("eda", "eeg"):
        studies that lack one are left out, or refused where the pipeline is asked for by name.
        None: none where `input` is "trials" or "no-signals", else the EDA.
    needs_music : bool, default=False
        Whether studies without music are left out.
    knows_stimulus : bool or None, default=None
        Whether the pipeline is told which stimulus a trial had, by its music or by its name; it is
        then compared with ``stimulus-prior``. None: told if any of its parameters ``music`` is set.
    transductive : bool, default=False
        Whether all of a test person's unlabelled trials have a say in each prediction; such rows
        are marked.
    task : {"classification", "regression", "sequence-regression"}, default="classification"
        What the pipeline predicts: a class for each trial; the rating itself
        (``thresholds="none"``); or a series for each trial. For a series ``fit`` gets an object
        array of 1-D arrays, in which masked steps are NaN, and ``predict`` returns one, each array
        as long as the label.

    Raises
    ------
    EvaluationError
        If the name is taken, or `input` is none of these.

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
    if name in known:
        raise EvaluationError(f"There is a pipeline {name!r} already: choose another name.")
    known[name] = as_entry(
        make,
        input=input,
        needs=needs,
        needs_music=needs_music,
        knows_stimulus=knows_stimulus,
        transductive=transductive,
    )


def register_input(name: str, make: Callable[[float], TransformerMixin]) -> None:
    """Let pipelines take what a transformer makes of the raw EDA, computed once for all of them.

    Parameters
    ----------
    name : str
        New name, for ``input=`` of :func:`register_pipeline`.
    make : callable
        Takes the sampling rate in Hz and gives a transformer of trials tables that learns nothing
        from them, as it meets all trials before any fold. Its parameter ``n_jobs``, where it has
        one, is set by `evaluate`.

    Raises
    ------
    EvaluationError
        If the name is taken.

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
    """Describe a pipeline, or what makes one; see `register_pipeline`."""
    if input not in (*PLAIN, *INPUTS):
        raise EvaluationError(f"input={input!r}: one of {sorted([*PLAIN, *INPUTS])}.")
    if isinstance(needs, str):
        raise EvaluationError(f"needs={needs!r}: a sequence of columns, such as ({needs!r},).")
    if needs is None:
        needs = () if input in PLAIN else EDA
    about: dict[str, Any] = {"needs": tuple(needs), "knows_stimulus": knows_stimulus, **flags}
    if isinstance(make, BaseEstimator):
        estimator = make
        return PipelineSpec(lambda study: estimator, input, **about)
    if isinstance(make, type) or not callable(make):
        raise EvaluationError(
            "A pipeline must be a scikit-learn classifier or regressor, or a function that makes "
            f"one of a study, got {make!r:.80}."
        )
    return PipelineSpec(make, input, **about)


def register_study(name: str, load: Callable[..., Bunch]) -> None:
    """Let `evaluate` and ``edaemo compare`` know a study by name.

    A corpus with files of its own is registered by :func:`edaemo.datasets.register_corpus`, and
    known here, too.

    Parameters
    ----------
    name : str
        New name.
    load : callable
        Takes ``path`` (None, or what ``--path`` says) and gives a Bunch with ``name``,
        ``trials``, ``ratings``, ``targets``, and, where there are any, ``sampling_rate`` (Hz, of
        the EDA), ``rating_range``, ``music``, ``development`` and ``artificial``;
        :func:`edaemo.datasets.load_hku956` says what each is.

    Raises
    ------
    EvaluationError
        If the name is taken.
    """
    if name in STUDIES:
        raise EvaluationError(f"There is a study {name!r} already: choose another name.")
    STUDIES[name] = load


def find(name: object, known: Iterable[str], what: str) -> str:
    """Return the name if it is known; else say which are near."""
    known = list(known)
    if name in known:
        return name
    raise EvaluationError(f"There is no {what} {name!r}: {suggest(name, known)}")
