"""Functions that make pipelines on features, without networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR

from edaemo._sklearn import AnyEstimator
from edaemo.estimators._baselines import StepwiseRegressor
from edaemo.features import EDAFeatureExtractor, MiniRocket
from edaemo.fusion import STATISTICS, MusicFeatureUnion, StepAligner
from edaemo.preprocessing import SubjectStandardizer


def make_svm_baseline(
    *,
    eda: object = "drop",
    music: pd.DataFrame | None = None,
    kernel: str = "linear",
    C: float = 0.25,
) -> Pipeline:
    """Make a support vector machine on EDA features, on music, or on both.

    Parameters
    ----------
    eda : transformer, "passthrough" or "drop", default="drop"
        Transformer that computes features of the raw EDA, such as
        ``EDAFeatureExtractor(sampling_rate=4)``, alone or in a pipeline with a
        ``SubjectStandardizer``. "passthrough": X is already a frame of features. "drop": only
        music is used.
    music : DataFrame of shape (n_stimuli, n_features) or None, default=None
        Features of each stimulus. None: only EDA is used.
    kernel : str, default="linear"
        Kernel of the support vector machine, such as "rbf".
    C : float, default=0.25
        Inverse strength of the regularisation. The default is that of the RTCAN-1D paper, which
        follows AMIGOS.

    Returns
    -------
    Pipeline
        Steps ``fuse``, ``scale`` (standardises every column on the training trials) and ``svm``.

    See Also
    --------
    make_recommended : The pipeline that was chosen on other people.
    make_rtcan : RTCAN on EDA, on music, or on both.

    Examples
    --------
    >>> from edaemo.benchmark import make_svm_baseline
    >>> from edaemo.datasets import make_music_listening
    >>> from edaemo.features import EDAFeatureExtractor
    >>> study = make_music_listening(4, 6, 6, sampling_rate=4, duration=20, random_state=0)
    >>> high = study.ratings["arousal"] > 5
    >>> model = make_svm_baseline(eda=EDAFeatureExtractor(4, preset="compact"))
    >>> model.fit(study.trials, high).predict(study.trials).shape
    (24,)
    """
    return scaled_pipeline(eda, music, "svm", SVC(kernel=kernel, C=C))


def make_svr_baseline(
    *,
    eda: object = "drop",
    music: pd.DataFrame | None = None,
    kernel: str = "linear",
    C: float = 0.25,
) -> Pipeline:
    """Make a support vector regression on EDA features, on music, or on both.

    Parameters
    ----------
    eda : transformer or {"passthrough", "drop"}, default="drop"
        As for :func:`make_svm_baseline`.
    music : DataFrame or None, default=None
        As for :func:`make_svm_baseline`.
    kernel : str, default="linear"
        As for :func:`make_svm_baseline`.
    C : float, default=0.25
        As for :func:`make_svm_baseline`.

    Returns
    -------
    Pipeline
        Steps ``fuse``, ``scale`` and ``svr``. The last step standardises the ratings on the
        training trials, so that `C` and epsilon (0.1) do not depend on the scale of the ratings.
    """
    svr = TransformedTargetRegressor(SVR(kernel=kernel, C=C), transformer=StandardScaler())
    return scaled_pipeline(eda, music, "svr", svr)


def make_ridge_baseline(
    *, eda: object = "drop", music: pd.DataFrame | None = None, alpha: float = 1.0
) -> Pipeline:
    """Make a ridge regression on EDA features, on music, or on both.

    Parameters
    ----------
    eda : transformer or {"passthrough", "drop"}, default="drop"
        As for :func:`make_svm_baseline`.
    music : DataFrame or None, default=None
        As for :func:`make_svm_baseline`.
    alpha : float, default=1.0
        Strength of the L2 penalty.

    Returns
    -------
    Pipeline
        Steps ``fuse``, ``scale`` and ``ridge``.
    """
    return scaled_pipeline(eda, music, "ridge", Ridge(alpha=alpha))


def make_logistic_baseline(
    *, eda: object = "drop", music: pd.DataFrame | None = None, C: float = 1.0
) -> Pipeline:
    """Make a logistic regression on EDA features, on music, or on both.

    Parameters
    ----------
    eda : transformer or {"passthrough", "drop"}, default="drop"
        As for :func:`make_svm_baseline`.
    music : DataFrame or None, default=None
        As for :func:`make_svm_baseline`.
    C : float, default=1.0
        Inverse strength of the L2 penalty.

    Returns
    -------
    Pipeline
        Steps ``fuse``, ``scale`` and ``logistic``.
    """
    return scaled_pipeline(eda, music, "logistic", LogisticRegression(C=C, max_iter=5000))


def make_boosting_baseline(
    *,
    eda: object = "drop",
    music: pd.DataFrame | None = None,
    random_state: object = None,
) -> Pipeline:
    """Make histogram gradient boosting on EDA features, on music, or on both.

    Parameters
    ----------
    eda : transformer or {"passthrough", "drop"}, default="drop"
        As for :func:`make_svm_baseline`.
    music : DataFrame or None, default=None
        As for :func:`make_svm_baseline`.
    random_state : int, RandomState instance or None, default=None
        Seed of the classifier. Its early stopping is off, because scikit-learn would set single
        trials aside for it, and not whole subjects.

    Returns
    -------
    Pipeline
        Steps ``fuse``, ``scale`` and ``boosting``.
    """
    boosting = HistGradientBoostingClassifier(early_stopping=False, random_state=random_state)
    return scaled_pipeline(eda, music, "boosting", boosting)


def make_mlp_baseline(
    *, eda: object = "drop", music: pd.DataFrame | None = None, random_state: object = None
) -> Pipeline:
    """Make a multi-layer perceptron on EDA features, on music, or on both.

    Parameters
    ----------
    eda : transformer or {"passthrough", "drop"}, default="drop"
        As for :func:`make_svm_baseline`.
    music : DataFrame or None, default=None
        As for :func:`make_svm_baseline`.
    random_state : int, RandomState instance or None, default=None
        Seed of the classifier.

    Returns
    -------
    Pipeline
        Steps ``fuse``, ``scale`` and ``mlp``, with scikit-learn's defaults: one layer of 100 units
        and Adam. It trains until the loss no longer falls, since early stopping would set single
        trials aside, and not whole subjects.
    """
    mlp = MLPClassifier(max_iter=1000, random_state=random_state)
    return scaled_pipeline(eda, music, "mlp", mlp)


def make_minirocket(
    *, eda: object = "passthrough", n_features: int = 9996, random_state: object = None
) -> Pipeline:
    """Make a ridge classifier on MiniRocket's features of the EDA.

    Parameters
    ----------
    eda : transformer or "passthrough", default="passthrough"
        As for :func:`make_rtcan`.
    n_features : int, default=9996
        As for :class:`edaemo.features.MiniRocket`.
    random_state : int, RandomState instance or None, default=None
        Seed of the features.

    Returns
    -------
    Pipeline
        Steps ``fuse``, ``minirocket``, ``scale`` and ``ridge``. Its input is a trials table. The
        last step chooses the strength of the penalty in an inner cross-validation. Pass a splitter
        that holds out subjects as ``ridge__cv``; :func:`edaemo.benchmark.evaluate` does so.
    """
    rocket = MiniRocket(n_features=n_features, random_state=random_state)
    search = GridSearchCV(RidgeClassifier(), {"alpha": [1.0, 10.0, 100.0, 1e3, 1e4]}, cv=3)
    steps = [
        ("fuse", MusicFeatureUnion(eda=eda, music=None)),
        ("minirocket", rocket.set_output(transform="pandas")),
        ("scale", StandardScaler().set_output(transform="pandas")),
        ("ridge", search),
    ]
    return Pipeline(steps)


def make_recommended(sampling_rate: float | None = None, *, context: float = 0.0) -> Pipeline:
    """Make the recommended pipeline for EDA: compact features by person, logistic regression.

    It was chosen on development people and is fixed: the 20 features of ``preset="compact"``,
    standardised by the mean and standard deviation of each person's own trials, and a logistic
    regression with C = 0.1 and balanced classes. ``docs/evidence.md`` states where it predicts and
    where not. It is transductive: the unlabelled trials of a person set the person's scale, so pass
    all trials of a person in one call.

    Parameters
    ----------
    sampling_rate : float or None, default=None
        Samples per second (Hz) of the recordings, which must be in µS. None: X is a frame of
        compact features, whose index has the subjects.
    context : float, default=0
        Seconds at the start of each recording that precede the onset of the trial; 5 are used.

    Returns
    -------
    Pipeline
        Steps ``features`` (with a sampling rate), ``person``, ``scale`` and ``logistic``. Its input
        is a trials table.

    Examples
    --------
    >>> from edaemo.datasets import make_music_listening
    >>> study = make_music_listening(4, 10, 10, duration=25.0)
    >>> model = make_recommended(study.sampling_rate)
    >>> model = model.fit(study.trials, study.ratings["arousal"] > 5)
    >>> model.predict(study.trials).shape
    (40,)
    """
    steps = [("person", SubjectStandardizer())]
    return _classify_compact(sampling_rate, context, steps)


def make_level_baseline(sampling_rate: float | None = None, *, context: float = 0.0) -> Pipeline:
    """Make a baseline on the skin conductance level alone, on each person's own scale.

    It is the recommended pipeline with one feature, the logarithm of the mean level. A pipeline
    that is not shown to be above it is not shown to use more of the EDA than its level.

    Parameters
    ----------
    sampling_rate : float or None, default=None
        As for :func:`make_recommended`.
    context : float, default=0
        As for :func:`make_recommended`.

    Returns
    -------
    Pipeline
        Steps ``features`` (with a sampling rate), ``level``, ``person``, ``scale`` and
        ``logistic``. Its input is a trials table.
    """
    level = ColumnTransformer(
        [("level", "passthrough", ["eda_log_level"])], verbose_feature_names_out=False
    ).set_output(transform="pandas")
    return _classify_compact(
        sampling_rate, context, [("level", level), ("person", SubjectStandardizer())]
    )


def _classify_compact(
    sampling_rate: float | None, context: float, steps: Sequence[tuple[str, object]]
) -> Pipeline:
    """Return a logistic regression on compact features after these steps."""
    if sampling_rate is not None:
        features = EDAFeatureExtractor(
            sampling_rate, preset="compact", context=context, missing="interpolate"
        )
        steps = [("features", features), *steps]
    # The index keeps the subjects, as in `scaled_pipeline`.
    scale = StandardScaler().set_output(transform="pandas")
    logistic = LogisticRegression(C=0.1, class_weight="balanced", max_iter=5000)
    return Pipeline([*steps, ("scale", scale), ("logistic", logistic)])


def make_step_pipeline(
    model: str,
    label_rate: float,
    *,
    signals: Sequence[str] = ("eda",),
    sampling_rate: float | Mapping[str, float] | None = None,
    music: pd.DataFrame | None = None,
    first_label: float = 0.0,
    delay: float = 0.0,
    windows: Sequence[float] | None = None,
    statistics: Sequence[str] = STATISTICS,
    scale_trials: bool = True,
) -> Pipeline:
    """Make a pipeline from signals to a series, on the features of each step.

    Parameters
    ----------
    model : {"ridge", "muse"}
        "ridge": a ridge regression on the standardised features of each step. "muse":
        :class:`edaemo.estimators.MuSeLSTMRegressor`, which needs torch.
    label_rate : float
        Labels per second (Hz).
    signals : sequence of str, default=("eda",)
        Columns of the trials table.
    sampling_rate : float, mapping from str to float, or None, default=None
        Samples per second (Hz) of the signals. None: `label_rate`.
    music : DataFrame or None, default=None
        Features of the music over time, as for :class:`edaemo.fusion.StepAligner`.
    first_label, delay : float, default=0.0
        Time of the first label and delay of the annotator, in seconds.
    windows, statistics, scale_trials : object
        As for :class:`edaemo.fusion.StepAligner`.

    Returns
    -------
    Pipeline
        Steps ``align`` and `model`. Its input is a trials table.

    Raises
    ------
    ValueError
        If `model` is unknown.
    """
    columns = [*signals] + (["music"] if music is not None else [])
    estimator: AnyEstimator
    if model == "ridge":
        estimator = StepwiseRegressor(make_pipeline(StandardScaler(), Ridge()), columns)
    elif model == "muse":
        from edaemo.estimators._muse import MuSeLSTMRegressor

        estimator = MuSeLSTMRegressor(columns=columns)
    else:
        raise ValueError(f"model must be 'ridge' or 'muse', got {model!r}.")
    aligner = StepAligner(
        label_rate,
        sampling_rate=label_rate if sampling_rate is None else sampling_rate,
        signals=tuple(signals),
        music=music,
        first_label=first_label,
        delay=delay,
        windows=windows,
        statistics=tuple(statistics),
        scale_trials=scale_trials,
    )
    return Pipeline([("align", aligner), (model, estimator)])


def scaled_pipeline(
    eda: object, music: pd.DataFrame | None, name: str, estimator: object
) -> Pipeline:
    """Return a pipeline that fuses and standardises the columns before the estimator."""
    # The index of a frame keeps the subjects, for a classifier that sets subjects aside.
    scale = StandardScaler().set_output(transform="pandas")
    fuse = MusicFeatureUnion(eda=eda, music=music)
    return Pipeline([("fuse", fuse), ("scale", scale), (name, estimator)])
