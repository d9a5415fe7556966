"""Functions that make pipelines with a network."""

from __future__ import annotations

from typing import TypeAlias

import pandas as pd
from sklearn.pipeline import Pipeline
from torch import nn

import edaemo.estimators._aimstf
import edaemo.estimators._maet  # noqa: F401  (so that their classes are found by their networks)
from edaemo.estimators._classifier import NetworkClassifier
from edaemo.estimators._cnn import CNNClassifier
from edaemo.estimators._network import NetworkEstimator
from edaemo.estimators._pipelines import scaled_pipeline
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
    return scaled_pipeline(eda, None, "cnn", cnn)


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
        Steps ``fuse`` and `name`. A network without blocks, or with features of EDA as a block, has
        a step ``scale`` between them. For sequence regression, the regressor itself is returned;
        its input is the trials table.
    """
    network = NETWORKS[name]
    general = _ESTIMATORS[task]
    special = _find_class(general, network)
    estimator = general(network) if special is None else special()
    if task == "sequence-regression":
        return estimator
    blocks = blocks_of(network)
    names = [*blocks["signals"], *blocks["features"]]
    if not names or "eda" in blocks["features"]:
        return scaled_pipeline(eda, music, name, estimator)
    fuse: BlockUnion | MusicFeatureUnion
    if set(names) <= {"eda", "music"}:
        fuse = MusicFeatureUnion(eda=eda, music=music)
    else:
        columns = {block: "passthrough" for block in names if block not in ("eda", "music")}
        fuse = BlockUnion({"eda": eda, **columns} if "eda" in names else columns, music=music)
    return Pipeline([("fuse", fuse), (name, estimator)])


def _find_class(
    general: type[NetworkEstimator], network: type[nn.Module]
) -> type[NetworkEstimator] | None:
    """Return the estimator for one network among the subclasses of a class, or None."""
    for subclass in general.__subclasses__():
        if subclass.network is network:
            return subclass
        if found := _find_class(subclass, network):
            return found
    return None
