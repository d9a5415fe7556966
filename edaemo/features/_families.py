"""Families of the features."""

from __future__ import annotations

from edaemo._layout import EDA
from edaemo.features._presets import PRESETS


def feature_families() -> dict[str, str]:
    """Return the family of each feature of `EDAFeatureExtractor`, by column name, for all presets.

    Returns
    -------
    dict of str to str
        Column name → family.
    """
    return {
        EDA + name: family
        for preset in PRESETS.values()
        for family, names in preset.families.items()
        for name in names
    }
