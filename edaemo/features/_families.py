"""Families of the 128 features."""

from __future__ import annotations

from edaemo._layout import EDA
from edaemo.features import _edaemo, _pmemo

# Both presets have the families in this order.
FAMILIES = {
    "SCR": _edaemo.SCR_NAMES,
    "time": _edaemo.TIME_NAMES,
    "spectrum": _edaemo.SPECTRUM_NAMES,
    "band power": _edaemo.BAND_NAMES,
    "cepstrum": _edaemo.MFCC_NAMES,
}


def feature_families() -> dict[str, str]:
    """Return the family of each of the 128 features, by column name, for both presets.

    Returns
    -------
    dict of str to str
        Column name → family.
    """
    families = [family for family, names in FAMILIES.items() for _ in names]
    return {
        EDA + name: family
        for names in (_edaemo.NAMES, _pmemo.NAMES)
        for name, family in zip(names, families, strict=True)
    }
