"""Finished folds in a CSV file, and the accuracy over them."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pandas as pd


class FoldStore:
    """Finished folds in a CSV file.

    Parameters
    ----------
    path : Path
        The file; created when the first fold is finished.
    content : iterable of bytes
        The data and the settings, from which the key of the folds is computed.
    """

    def __init__(self, path: Path, content: Iterable[bytes]) -> None:
        digest = sha256()
        for part in content:
            digest.update(part)
        self.path, self.key = path, digest.hexdigest()[:16]
        self.known = pd.DataFrame(columns=["key", "protocol", "person", "fold"])
        if path.exists():
            self.known = pd.read_csv(path, dtype={"key": str, "person": str})

    def find(self, **about: object) -> list[dict[str, Any]]:
        """Return the rows of a finished fold, found by the columns that are given; may be empty."""
        same = self.known["key"] == self.key
        for column, value in about.items():
            same &= self.known[column] == value
        return self.known[same].drop(columns="key").to_dict("records")

    def add(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Append the rows of a fold to the file, and return them."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        table = pd.DataFrame(rows)
        table.insert(0, "key", self.key)
        table.to_csv(self.path, mode="a", header=not self.path.exists(), index=False)
        return rows


def score_people(rows: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Return the accuracy of each person over all tested windows, in percent.

    Parameters
    ----------
    rows : DataFrame
        Folds, with ``person``, ``n_windows`` and ``n_correct``.
    keys : list of str
        Columns that tell the rows of the table apart.
    """
    counts = ["n_windows", "n_correct"]
    sums = rows.groupby([*keys, "person"], sort=False)[counts].sum().reset_index()
    return sums.assign(accuracy=100 * sums["n_correct"] / sums["n_windows"])


def average_people(people: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Return the mean and the standard deviation over people, as published tables have them."""
    groups = people.groupby(keys, sort=False)["accuracy"]
    return groups.agg(mean="mean", deviation="std", n_people="size").reset_index()
