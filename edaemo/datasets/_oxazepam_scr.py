"""Load the responses to own and watched shocks of Nilsonne et al. (2015)."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd

from edaemo.datasets._corpus import DatasetError, Problems, holds, list_places, open_corpus
from edaemo.datasets._download import SUMS, Download, download_corpus

TABLE = "SCR.csv"
COLUMNS = {"Subject": "subject", "Condition": "condition", "Stimulus": "stimulus"}
VALUES = {"Condition": ("Self", "Other"), "Stimulus": ("High", "Low")}
HOW_TO_GET = (
    "Get SCR.csv of github.com/GNilsonne/Data-and-analysis-code-Oxazepam-and-emotion (figshare "
    "1558201)."
)
FOLDER = "oxazepam_scr"
DOWNLOAD = Download(
    "https://raw.githubusercontent.com/GNilsonne/Data-and-analysis-code-Oxazepam-and-emotion/"
    "af10b1ed55a5f53169c4160815caa986bc45f8b5/",
    SUMS / "oxazepam_scr.sha256",
)


def _find_place(path: str | os.PathLike[str] | None, download: bool) -> Path:
    """Return the folder or archive of the table."""
    if path is not None:
        if download:
            raise ValueError(
                "load_oxazepam_scr: download=True stores the table in the cache of the user, so it "
                "cannot be used with path=. Leave one of them out."
            )
        place = Path(path)
        if not (place / TABLE).is_file() and place.suffix != ".zip":
            raise DatasetError(
                f"{place} has no {TABLE}. {HOW_TO_GET} Then pass its folder as path."
            )
        return place
    places = [place for _, _, searched in list_places(FOLDER) for place in searched]
    for place in places:
        if holds(place, TABLE):
            return place
    if download:
        return download_corpus(DOWNLOAD, FOLDER, FOLDER, HOW_TO_GET)
    raise DatasetError(
        f"{FOLDER} was not found. Places searched for {TABLE}: {', '.join(map(str, places))}. "
        f"{HOW_TO_GET} Then pass its folder as path. Or pass download=True."
    )


def load_oxazepam_scr(
    path: str | os.PathLike[str] | None = None, *, download: bool = False
) -> pd.DataFrame:
    """Load the table of single responses to shocks: 2,676 amplitudes of 67 people.

    People received strong and weak shocks, and watched another person receive them. The table has
    the amplitude of the response to each shock, and no waveform. It shows how well a single
    response tells a strong from a weak event, at best; see ``docs/evidence.md``. The licence is
    CC0 1.0.

    Parameters
    ----------
    path : path-like or None
        The folder with ``SCR.csv``, or a zip archive of it. None searches the places that
        :func:`load_corpus` lists for ``oxazepam_scr``.
    download : bool
        Download the table into the cache of the user, if no searched place holds it; see
        :func:`load_corpus`.

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
    ValueError
        If `path` and `download` are given together.

    References
    ----------
    Nilsonne, G., et al. (2015). Data from: Effects of 25 mg oxazepam on emotional mimicry and
    empathy for pain. figshare 1558201.
    """
    place = _find_place(path, download)
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
