"""The pipelines that are compared, each one call."""

from __future__ import annotations

import pandas as pd
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC

from edaemo.estimators import RTCANClassifier
from edaemo.fusion import MusicFeatureUnion


def make_svm_baseline(music: pd.DataFrame, *, kernel: str = "linear", C: float = 0.25) -> Pipeline:
    """Make a support vector machine on the music of each trial's stimulus.

    Parameters
    ----------
    music : DataFrame of shape (n_stimuli, n_features)
        As for :class:`edaemo.MusicFeatureUnion`, which standardises it on the training trials.
    kernel : str, default="linear"
        Kernel of the machine.
    C : float, default=0.25
        Inverse strength of the regularisation; the default is the one of the RTCAN-1D paper, after
        AMIGOS.

    Returns
    -------
    Pipeline
        Steps ``fuse`` and ``svm``; takes a trials table.
    """
    fuse = MusicFeatureUnion(eda="drop", music=music)
    return Pipeline([("fuse", fuse), ("svm", SVC(kernel=kernel, C=C))])


def make_rtcan(
    *,
    eda: object = "passthrough",
    music: pd.DataFrame | None = None,
    max_epochs: int = 50,
    random_state: object = None,
) -> Pipeline:
    """Make RTCAN on EDA, or on EDA and music.

    Parameters
    ----------
    eda : transformer or "passthrough", default="passthrough"
        What makes channels of the raw EDA, such as ``CvxEDATransformer(sampling_rate=4,
        n_times=128)``; "passthrough" for a table whose EDA has been decomposed already.
    music : DataFrame of shape (n_stimuli, n_features) or None, default=None
        None: EDA alone.
    max_epochs : int, default=50
        Passes over the training trials.
    random_state : int, RandomState instance or None, default=None
        Of the classifier.

    Returns
    -------
    Pipeline
        Steps ``fuse`` and ``rtcan``; takes a trials table. Reach every other parameter with
        ``set_params(rtcan__lr=…)``.
    """
    fuse = MusicFeatureUnion(eda=eda, music=music)
    rtcan = RTCANClassifier(max_epochs=max_epochs, random_state=random_state)
    return Pipeline([("fuse", fuse), ("rtcan", rtcan)])
