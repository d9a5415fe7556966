"""The sets of features of `EDAFeatureExtractor`. A new set is one module and one entry here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from edaemo.decomposition import Components
from edaemo.features import _compact, _edaemo, _level, _pmemo


class Preset(NamedTuple):
    """A set of features.

    Parameters
    ----------
    names : sequence of str
        Names of the features, in order.
    families : mapping of str to sequence of str
        Family → names of its features.
    compute : callable
        Takes the components of trials of equal length, each of shape (n_trials, n_samples), in the
        unit of the recording; the sampling rate in Hz; and the recording before the trials, of
        shape (n_trials, n_context), NaN where missing. Returns the features, of shape (n_trials,
        n_features).
    """

    names: Sequence[str]
    families: Mapping[str, Sequence[str]]
    compute: Callable[[Components, float, np.ndarray], np.ndarray]


PRESETS = {
    "edaemo": Preset(
        _edaemo.NAMES,
        _edaemo.FAMILIES,
        lambda parts, rate, context: _edaemo.features(parts.phasic, rate),
    ),
    "pmemo": Preset(
        _pmemo.NAMES,
        _pmemo.FAMILIES,
        lambda parts, rate, context: _pmemo.features(parts.phasic, rate),
    ),
    "level": Preset(_level.NAMES, _level.FAMILIES, _level.features),
    "compact": Preset(_compact.NAMES, _compact.FAMILIES, _compact.features),
}
