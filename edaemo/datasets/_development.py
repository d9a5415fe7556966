"""Studies cut to the people on whom defaults are decided, or to the others.

Defaults, windows, features and numbers of epochs may be decided on the development people alone;
tables report the others. Where a corpus's ids were known, they are half of its people, drawn once::

    numpy.random.default_rng(20261120).permutation(sorted(ids))[: len(ids) // 2]

and sorted. A test draws them again.
"""

from __future__ import annotations

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import StrOptions, validate_params

from edaemo.datasets._assemble import take_trials
from edaemo.datasets._study import Study


@validate_params(
    {"study": [Bunch], "people": [StrOptions({"evaluation", "development", "all"})]},
    prefer_skip_nested_validation=True,
)
def select_people(study: Bunch, people: str) -> Bunch:
    """Cut a study to the people whose scores are reported, or to those of its development.

    Parameters
    ----------
    study : Bunch
        As a loader returns it; without ``development``, all its people are reported. It is not
        changed.
    people : {"evaluation", "development", "all"}
        The people in ``study.development``, those not in it, or everybody.

    Returns
    -------
    Bunch
        ``trials``, ``ratings`` and each of ``targets`` hold the rows of these people, in the order
        of `study`, numbered anew; ``report["selected"]`` and the end of ``DESCR`` say whose.
        Everything else is as in `study`. With "all" it is `study` itself.

    Raises
    ------
    ValueError
        If `study` holds no such people.
    """
    if people == "all":
        return study
    subject = study.trials["subject"]
    developed = subject.isin(study.get("development", ())).to_numpy()
    rows = developed if people == "development" else ~developed
    if not rows.any():
        raise ValueError(
            f"There are no {people} people among the {subject.nunique()} of the study."
        )
    selected = (
        f"The {people} people alone: {subject[rows].nunique()} of {subject.nunique()}, "
        f"{rows.sum()} of {len(rows)} trials."
    )
    return Study(
        **{
            **take_trials(study, np.flatnonzero(rows)),
            "report": {**study.get("report", {}), "selected": selected},
            "DESCR": f"{study.get('DESCR', '')}\n{selected}\n",
        }
    )
