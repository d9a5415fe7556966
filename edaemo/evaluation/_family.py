"""Identify comparisons, and describe families: pipelines whose tests are adjusted together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edaemo.evaluation._keys import fingerprint
from edaemo.evaluation._store import Member, ResultStore

_ABOUT = ("study", "people", "target", "threshold", "protocol", "data", "labels")


def find_family(
    store: ResultStore, settings: Sequence[Mapping[str, Any] | None]
) -> dict[str, Member]:
    """Return the family of a comparison; empty in stores that an older edaemo wrote."""
    known = [part for part in settings if part and {*_ABOUT, "rows"} <= part.keys()]
    if len(known) < len(settings) or not all(isinstance(part["rows"], dict) for part in known):
        return {}
    return store.family(identify_comparison(known))


def identify_comparison(settings: Sequence[Mapping[str, Any]]) -> str:
    """Return the fingerprint of the data, the labels and the test trials of a comparison.

    Parameters
    ----------
    settings : sequence of dict
        The settings of folds from which their keys are computed, with all folds of a pipeline.

    Returns
    -------
    str
        The same for all pipelines that are tested on the same trials in the same folds.
    """
    tests = sorted({f"{s['repeat']} {s['fold']} {s['rows']['test']}" for s in settings})
    about = {name: str(settings[0][name]) for name in _ABOUT}
    return fingerprint({**about, "tests": tests})


def describe_added(family: Mapping[str, Member]) -> str:
    """Return the names of the pipelines that were added after the first declaration."""
    first = min((member.added for member in family.values()), default="")
    return ", ".join(name for name, member in family.items() if member.added > first)


def read_versions(audits: Sequence[Mapping[str, Any]]) -> dict[Any, str] | None:
    """Return the version of the study that each subject followed, from the audits of folds."""
    known = [audit["versions"] for audit in audits if audit.get("versions")]
    return {subject: version for subject, version in known[0]} if known else None
