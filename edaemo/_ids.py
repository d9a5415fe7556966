"""Ids that may be one id, written in several ways; this module imports no other of edaemo."""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd


def name_some(subjects: Iterable[Any]) -> str:
    """Return the names of the first five subjects, and the number of the others."""
    names = [str(subject) for subject in subjects]
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def group_messages(messages: Iterable[tuple[object, str]], several: int = 4) -> list[str]:
    """Return a line for each message on a file; one line if at least `several` files have it.

    Parameters
    ----------
    messages : iterable of (file, str)
        The files and the messages.
    several : int, default=4
        Minimum number of files to group.

    Returns
    -------
    list of str
        In the order of the messages; a group is at the place of its first file.
    """
    pairs = [(str(file), message) for file, message in messages]
    files_of: dict[str, list[str]] = {}
    for file, message in pairs:
        files_of.setdefault(message, []).append(file)
    lines = []
    for file, message in pairs:
        files = files_of[message]
        if len(files) < max(several, 2):
            lines.append(f"{file}: {message}")
        elif file == files[0]:
            lines.append(f"{len(files)} files ({name_some(files)}): {message}")
    return list(dict.fromkeys(lines))


def near_ids(ids: Iterable[Any]) -> list[list[Any]]:
    """Return the groups of different ids that may be one id, written in several ways.

    Parameters
    ----------
    ids : iterable
        Ids, in any order; missing ids are ignored.

    Returns
    -------
    list of list
        Each group in the order of appearance. Ids are in one group if they are equal as text,
        except for spaces, invisible characters, upper case, the form of accents and of wide
        characters (Unicode's NFKC), a hyphen or underscore between a letter and a digit, leading
        zeros, and ".0" after a whole number: 1 and "1", "p0" and "p0 ", "P01" and "p-1".
    """
    groups: dict[str, list[Any]] = {}
    for value in pd.unique(pd.Series(list(ids), dtype=object)):
        if not pd.api.types.is_scalar(value) or pd.isna(value):
            continue
        groups.setdefault(_normalise(value), []).append(value)
    return [group for group in groups.values() if len(group) > 1]


def _normalise(value: object) -> str:
    """Return the text that is the same for all ids of one group."""
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    text = "".join(mark for mark in text if unicodedata.category(mark) not in ("Cf", "Cc"))
    text = re.sub(r"\s", "", text)
    text = re.sub(r"(?<=[^\W\d_])[-_](?=\d)", "", text)
    text = re.sub(r"^(\d+)\.0+$", r"\1", text)
    return re.sub(r"(?<!\d)0+(?=\d)", "", text)


def _quote(value: object) -> str:
    """Return how Python writes an id: 1 for the 1 of a numpy array."""
    return repr(value.item() if isinstance(value, np.generic) else value)


def warn_of_near_ids(name: str, ids: Iterable[Any]) -> None:
    """Warn if some ids may be one id, written in several ways; see `near_ids`.

    `name` is the kind of id: "subject" or "stimulus".
    """
    groups = near_ids(ids)
    if groups:
        pairs = name_some(" and ".join(map(_quote, group)) for group in groups)
        warnings.warn(
            f"Some ids of {name} are nearly equal and count as different: {pairs}. If they are "
            f"the same {name}, write the id in the same way everywhere.",
            UserWarning,
            stacklevel=3,
        )
