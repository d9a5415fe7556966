"""Turn a rating of a whole trial into a series."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from edaemo._sklearn import AnyBunch
from edaemo._validation import name_trial
from edaemo.datasets._study import Study


def repeat_ratings(
    study: AnyBunch, label_rate: float = 2.0, *, targets: Sequence[str] = ("arousal", "valence")
) -> Study:
    """Return a study whose targets are series: the rating of each trial, repeated over time.

    With it, recordings of studies that rate whole trials can be used by sequence regressors. The
    series of a trial are constant. Nothing can be learned from them about changes within a trial,
    and the concordance correlation of each sequence is 0 or not defined.

    Parameters
    ----------
    study : Bunch
        A study with EDA and numerical ratings, as a loader returns it. It is not changed.
    label_rate : float, default=2.0
        Steps per second (Hz).
    targets : sequence of str, default=("arousal", "valence")
        Columns of ``study.ratings`` to repeat. Those that the study lacks are left out.

    Returns
    -------
    Study
        The study with these ``targets``, ``label_rate``, ``first_label`` and ``label_delay`` (0.0),
        and a note in ``DESCR``. A missing rating gives a series of NaN. The number of steps is
        that of the labels up to the last sample of the EDA.

    Raises
    ------
    ValueError
        If the study has no EDA, no sampling rate or none of the ratings, or `label_rate` is not
        above 0.

    Examples
    --------
    >>> from edaemo.datasets import make_music_listening, repeat_ratings
    >>> study = make_music_listening(2, 4, 2, sampling_rate=4, duration=20)
    >>> repeat_ratings(study).targets["arousal"][0].shape
    (40,)
    """
    if not label_rate > 0:
        raise ValueError(f"label_rate must be above 0 Hz, got {label_rate!r}.")
    if "eda" not in study.trials or study.get("sampling_rate") is None:
        raise ValueError(f"The study {study.get('name', '')!r} has no EDA with a sampling rate.")
    names = [name for name in targets if name in study.ratings]
    if not names:
        raise ValueError(
            f"The study {study.get('name', '')!r} lacks all of the ratings {[*targets]}: it has "
            f"{list(study.ratings.columns)}."
        )
    n_steps = []
    for row, cell in enumerate(study.trials["eda"]):
        n_times = np.shape(cell)[-1]
        if not n_times:
            raise ValueError(f"{name_trial(study.trials, row)}: eda has no samples.")
        n_steps.append(int((n_times - 1) / study.sampling_rate * label_rate + 1e-6) + 1)
    series = {
        name: pd.Series(
            [np.full(n, value) for n, value in zip(n_steps, study.ratings[name], strict=True)],
            index=study.trials.index,
            dtype=object,
        )
        for name in names
    }
    note = (
        f"\nThe rating of each trial is repeated {label_rate:g} times per second. The series are "
        "constant.\n"
    )
    return Study(
        **{
            **study,
            "targets": series,
            "label_rate": float(label_rate),
            "first_label": 0.0,
            "label_delay": 0.0,
            "DESCR": f"{study.get('DESCR', '')}{note}",
        }
    )
