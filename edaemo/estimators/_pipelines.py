"""Functions that make the pipelines of the benchmark."""

from __future__ import annotations

from typing import TypeAlias

import pandas as pd
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR

from edaemo.estimators._classifier import NetworkClassifier
from edaemo.estimators._cnn import CNNClassifier
from edaemo.estimators._network import NetworkEstimator
from edaemo.estimators._regressor import NetworkRegressor
from edaemo.estimators._rtcan import RTCANClassifier
from edaemo.estimators._sequence import NetworkSequenceRegressor
from edaemo.fusion import BlockUnion, MusicFeatureUnion
from edaemo.networks import NETWORKS, blocks_of

_General: TypeAlias = (
    type[NetworkClassifier] | type[NetworkRegressor] | type[NetworkSequenceRegressor]
)
_ESTIMATORS: dict[str, _General] = {
    "binary": NetworkClassifier,
    "multiclass": NetworkClassifier,
    "regression": NetworkRegressor,
    "sequence-regression": NetworkSequenceRegressor,
}


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
    """
    return _scaled(eda, music, "svm", SVC(kernel=kernel, C=C))


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
    return _scaled(eda, music, "svr", svr)


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
    return _scaled(eda, music, "ridge", Ridge(alpha=alpha))


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
    return _scaled(eda, music, "logistic", LogisticRegression(C=C, max_iter=5000))


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
    return _scaled(eda, music, "boosting", boosting)


def make_cnn_baseline(
    *, eda: object, max_epochs: int = 50, random_state: object = None
) -> Pipeline:
    """Make the 3-layer CNN on EDA features.

    Parameters
    ----------
    eda : transformer or "passthrough"
        As for :func:`make_svm_baseline`.
    max_epochs : int, default=50
        Number of passes over the training trials.
    random_state : int, RandomState instance or None, default=None
        Seed of the classifier.

    Returns
    -------
    Pipeline
        Steps ``fuse``, ``scale`` and ``cnn``.
    """
    cnn = CNNClassifier(max_epochs=max_epochs, random_state=random_state)
    return _scaled(eda, None, "cnn", cnn)


def make_rtcan(
    *,
    eda: object = "passthrough",
    music: pd.DataFrame | None = None,
    max_epochs: int | None = None,
    random_state: object = None,
) -> Pipeline:
    """Make RTCAN on EDA, or on EDA and music.

    Parameters
    ----------
    eda : transformer or "passthrough", default="passthrough"
        Transformer that computes channels of the raw EDA, such as
        ``CvxEDATransformer(sampling_rate=4, n_times=128)``. "passthrough": the EDA of the table is
        already decomposed.
    music : DataFrame of shape (n_stimuli, n_features) or None, default=None
        Features of each stimulus. None: only EDA is used.
    max_epochs : int or None, default=None
        Number of passes over the training trials. None: as in the recipe.
    random_state : int, RandomState instance or None, default=None
        Seed of the classifier.

    Returns
    -------
    Pipeline
        Steps ``fuse`` and ``rtcan``. Its input is a trials table. Set other parameters with
        ``set_params``, such as ``set_params(rtcan__lr=…)``.
    """
    fuse = MusicFeatureUnion(eda=eda, music=music)
    rtcan = RTCANClassifier(max_epochs=max_epochs, random_state=random_state)
    return Pipeline([("fuse", fuse), ("rtcan", rtcan)])


def make_network_pipeline(
    name: str,
    *,
    task: str = "binary",
    eda: object = "passthrough",
    music: pd.DataFrame | None = None,
) -> Pipeline | NetworkEstimator:
    """Make a pipeline with a registered network.

    Parameters
    ----------
    name : str
        Name of the network; see :func:`edaemo.networks.register_network`.
    task : {"binary", "multiclass", "regression", "sequence-regression"}, default="binary"
        Task of the network. It selects the classifier, the regressor or the sequence regressor.
    eda : transformer or "passthrough", default="passthrough"
        Transformer that computes channels or features of the raw EDA.
    music : DataFrame of shape (n_stimuli, n_features) or None, default=None
        Features of each stimulus. None: only EDA is used.

    Returns
    -------
    Pipeline or NetworkSequenceRegressor
        Steps ``fuse`` and `name`. A network without blocks has a step ``scale`` between them. For
        sequence regression, the regressor itself is returned; its input is the trials table.
    """
    network = NETWORKS[name]
    general = _ESTIMATORS[task]
    subclasses: list[type[NetworkEstimator]] = [*general.__subclasses__()]
    special = next((sub for sub in subclasses if sub.network is network), None)
    estimator = general(network) if special is None else special()
    if task == "sequence-regression":
        return estimator
    blocks = blocks_of(network)
    names = [*blocks["signals"], *blocks["features"]]
    if not names:
        return _scaled(eda, music, name, estimator)
    fuse: BlockUnion | MusicFeatureUnion
    if set(names) <= {"eda", "music"}:
        fuse = MusicFeatureUnion(eda=eda, music=music)
    else:
        columns = {block: "passthrough" for block in names if block not in ("eda", "music")}
        fuse = BlockUnion({"eda": eda, **columns} if "eda" in names else columns, music=music)
    return Pipeline([("fuse", fuse), (name, estimator)])


def _scaled(eda: object, music: pd.DataFrame | None, name: str, estimator: object) -> Pipeline:
    # The index of a frame keeps the subjects, for a classifier that sets subjects aside.
    scale = StandardScaler().set_output(transform="pandas")
    fuse = MusicFeatureUnion(eda=eda, music=music)
    return Pipeline([("fuse", fuse), ("scale", scale), (name, estimator)])
