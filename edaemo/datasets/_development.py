"""Select the development people or the evaluation people of a study.

Only the data of development people may be used to choose defaults, windows, features and numbers of
epochs. Tables report the other people, the evaluation people. If the ids of a corpus were known,
the development people are half of its people, drawn once::

    numpy.random.default_rng(20261120).permutation(sorted(ids))[: len(ids) // 2]

and sorted. A test repeats the draw.
"""

from __future__ import annotations

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import StrOptions, validate_params

from edaemo._sklearn import AnyBunch
from edaemo.datasets._assemble import take_trials
from edaemo.datasets._study import Study


@validate_params(
    {"study": [Bunch], "people": [StrOptions({"evaluation", "development", "all"})]},
    prefer_skip_nested_validation=True,
)
def select_people(study: AnyBunch, people: str) -> Study:
    """Select the evaluation people, the development people or all people of a study.

    Parameters
    ----------
    study : Bunch
        A study as a loader returns it. Without ``development``, all people are evaluation people.
        It is not changed.
    people : {"evaluation", "development", "all"}
        The people outside ``study.development``, the people in it, or all people.

    Returns
    -------
    Study
        ``trials``, ``ratings`` and each of ``targets`` hold the rows of these people, in the order
        of `study`, with a new index from 0. ``report["selected"]`` and the end of ``DESCR`` state
        which people were selected. All other fields are those of `study`. With "all", `study`
        itself if it is a `Study`.

    Raises
    ------
    ValueError
        If `study` has no such people.
    """
    if people == "all":
        return study if isinstance(study, Study) else Study(**study)
    subject = study.trials["subject"]
    developed = subject.isin(study.get("development", ())).to_numpy()
    rows = developed if people == "development" else ~developed
    if not rows.any():
        raise ValueError(f"The study has no {people} people among its {subject.nunique()} people.")
    selected = (
        f"Only the {people} people: {subject[rows].nunique()} of {subject.nunique()}, "
        f"{rows.sum()} of {len(rows)} trials."
    )
    return Study(
        **{
            **take_trials(study, np.flatnonzero(rows)),
            "report": {**study.get("report", {}), "selected": selected},
            "DESCR": f"{study.get('DESCR', '')}\n{selected}\n",
        }
    )
