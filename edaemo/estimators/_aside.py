"""Choose the validation rows for early stopping."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupShuffleSplit

from edaemo._validation import SAMPLED


def choose_people(
    subject: np.ndarray, fraction: float, seed: int, *, parameter: str = "validation_fraction"
) -> np.ndarray:
    """Draw a share of the subjects at random and return a mask of all their rows.

    `parameter` is the name of the estimator's parameter that holds the share.
    """
    codes = pd.factorize(subject, sort=True)[0]
    if codes.max() < 1:
        raise ValueError(
            f"{parameter} sets whole subjects aside, but the data have one subject only: leave it "
            "None, or pass trials of more subjects."
        )
    split = GroupShuffleSplit(1, test_size=fraction, random_state=seed)
    _, chosen = next(split.split(codes, groups=codes))
    return np.isin(np.arange(len(codes)), chosen)


def check_mask(validation: Sequence[bool], n: int) -> np.ndarray:
    """Return `validation` as a boolean array of shape (n,).

    Raise a ValueError if it marks no row or all rows.
    """
    mask = np.asarray(validation)
    if mask.dtype != bool or np.ma.is_masked(validation):
        raise ValueError(
            "validation must be True or False for each row, without numbers or missing values."
        )
    if mask.shape != (n,):
        raise ValueError(
            f"validation must hold one boolean for each of the {n} trials, got shape {mask.shape}. "
            f"{SAMPLED}"
        )
    if mask.all() or not mask.any():
        raise ValueError(
            f"validation is {bool(mask[0])} for all rows: mark some of them, or leave it None to "
            "train on all rows."
        )
    return mask
