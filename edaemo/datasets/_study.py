"""A study: trials with signals, ratings and targets."""

from __future__ import annotations

from html import escape

import pandas as pd

from edaemo._sklearn import Bunch
from edaemo._validation import signal_columns


class Study(Bunch):
    """Trials of many people, with their ratings; a Bunch that prints in a few lines.

    Attributes
    ----------
    trials : DataFrame
        One row for each trial: ``subject``, ``stimulus``, ``trial`` and one column for each signal.
    ratings : DataFrame
        The ratings of these trials, in the same order.
    targets : dict of str to Series
        What can be predicted, by name.

    Notes
    -----
    The loaders in :mod:`edaemo.datasets` list what else it holds, such as ``music``,
    ``sampling_rate``, ``rating_range``, ``licence`` and ``report``.
    """

    def to_frame(self) -> pd.DataFrame:
        """Return one row for each trial: the trials table, the ratings and the other targets.

        A rating whose name is also a column of the trials table is called ``rating_<name>``.

        Returns
        -------
        DataFrame of n_trials rows
            The joined tables, with the index of the trials table.
        """
        answers = self.ratings.copy()
        for name, values in self.targets.items():
            if name not in answers:
                answers[name] = values
        clashes = {name: f"rating_{name}" for name in answers if name in self.trials}
        return self.trials.join(answers.rename(columns=clashes))

    def _summarise(self) -> list[tuple[str, str]]:
        """Return what the representations show, as pairs of label and text."""
        trials = self.trials
        rows = [
            ("people", f"{trials['subject'].nunique()}"),
            ("trials", f"{len(trials)}"),
        ]
        if "stimulus" in trials:
            rows.append(("stimuli", f"{trials['stimulus'].nunique()}"))
        signals = []
        for name in signal_columns(trials):
            unit = (self.get("units") or {}).get(name)
            signals.append(f"{name} ({unit})" if unit else name)
        rate = self.get("sampling_rate")
        rows.append(("signals", ", ".join(signals) or "none"))
        if rate is not None:
            rows.append(("sampling rate", f"{rate:g} Hz"))
        if self.get("context"):
            rows.append(("context", f"{self.context:g} s before each trial"))
        rows.append(("targets", ", ".join(map(str, self.targets)) or "none"))
        if self.get("rating_range") is not None:
            rows.append(("rating range", "{:g} to {:g}".format(*self.rating_range)))
        music = self.get("music")
        if isinstance(music, pd.DataFrame):
            rows.append(("music", f"{music.shape[1]} features of {len(music)} stimuli"))
        if self.get("artificial"):
            rows.append(("note", "ARTIFICIAL: no person took part"))
        rows.append(("fields", ", ".join(self)))
        return rows

    def __repr__(self) -> str:
        rows = self._summarise()
        width = max(len(label) for label, _ in rows)
        lines = [f"  {label:<{width}}  {text}" for label, text in rows]
        return "\n".join([f"Study {self.get('name', '')!r}", *lines])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th>{escape(label)}</th><td>{escape(text)}</td></tr>"
            for label, text in self._summarise()
        )
        return f"<table><caption>Study {escape(str(self.get('name', '')))}</caption>{rows}</table>"
