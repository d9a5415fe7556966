"""Rows that do not train, by which training is stopped early."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupShuffleSplit


def choose_people(subject: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Return a mask of all rows of a share of the people, drawn at random."""
    people = pd.factorize(subject, sort=True)[0]
    if people.max() < 1:
        raise ValueError(
            "validation_fraction sets whole people aside, and there is one person only: "
            "leave it None, or give trials of more people."
        )
    split = GroupShuffleSplit(1, test_size=fraction, random_state=seed)
    _, chosen = next(split.split(people, groups=people))
    return np.isin(np.arange(len(people)), chosen)


def check_mask(validation: Sequence[bool], n: int) -> np.ndarray:
    """Return `validation` as an array that is True for some of the n rows and not for all."""
    mask = np.asarray(validation)
    if mask.dtype != bool or np.ma.is_masked(validation):
        raise ValueError("validation must be True or False for each row, no numbers and no gaps.")
    if mask.shape != (n,):
        raise ValueError(
            f"validation must hold one boolean for each of the {n} trials, got shape {mask.shape}."
        )
    if mask.all() or not mask.any():
        raise ValueError(
            f"validation is {bool(mask[0])} for all rows: mark some of them, or leave it None to "
            "train on all."
        )
    return mask
