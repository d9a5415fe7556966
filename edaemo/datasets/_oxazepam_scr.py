"""Load the responses to own and watched shocks of Nilsonne et al. (2015)."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd

from edaemo.datasets._corpus import DatasetError, Problems, open_corpus

TABLE = "SCR.csv"
COLUMNS = {"Subject": "subject", "Condition": "condition", "Stimulus": "stimulus"}
VALUES = {"Condition": ("Self", "Other"), "Stimulus": ("High", "Low")}
HOW_TO_GET = (
    "Get SCR.csv of github.com/GNilsonne/Data-and-analysis-code-Oxazepam-and-emotion (figshare "
    "1558201)."
)


def load_oxazepam_scr(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Load the table of single responses to shocks: 2,676 amplitudes of 67 people.

    People received strong and weak shocks, and watched another person receive them. The table has
    the amplitude of the response to each shock, and no waveform. It shows how well a single
    response tells a strong from a weak event, at best; see ``docs/evidence.md``. The licence is
    CC0 1.0.

    Parameters
    ----------
    path : path-like
        The folder with ``SCR.csv``, or a zip archive of it.

    Returns
    -------
    DataFrame
        One row for each response that was recorded, in the order of the file: ``subject`` (str),
        ``condition`` ("Self" for an own shock, "Other" for a watched one), ``stimulus`` ("High" or
        "Low", the strength of the shock) and ``amplitude`` (µS, float64, 0 without a response).
        ``attrs["n_missing"]`` is the number of rows without an amplitude, which are left out.

    Raises
    ------
    DatasetError
        If the file is missing, or its content is not valid.

    References
    ----------
    Nilsonne, G., et al. (2015). Data from: Effects of 25 mg oxazepam on emotional mimicry and
    empathy for pain. figshare 1558201.
    """
    place = Path(path)
    if not (place / TABLE).is_file() and place.suffix != ".zip":
        raise DatasetError(f"{place} has no {TABLE}. {HOW_TO_GET} Then pass its folder as path.")
    with open_corpus(place, TABLE, Problems("oxazepam-scr", place, HOW_TO_GET)) as corpus:
        rows = corpus.read_table(TABLE, [*COLUMNS, "SCR"])
        for line, row in enumerate(rows, start=2):
            for name, allowed in VALUES.items():
                if row[name] not in allowed:
                    raise corpus.error(TABLE, f"has {row[name]!r} as {name} in line {line}.")
        amplitude = np.array(
            [
                np.nan
                if row["SCR"] == "NA"
                else corpus.number(TABLE, row["SCR"], f"SCR in line {line}")
                for line, row in enumerate(rows, start=2)
            ]
        )
    table = pd.DataFrame({new: [row[old] for row in rows] for old, new in COLUMNS.items()})
    table["amplitude"] = amplitude
    missing = np.isnan(amplitude)
    table = table[~missing].reset_index(drop=True)
    table.attrs["n_missing"] = int(missing.sum())
    return table
