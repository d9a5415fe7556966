"""Format the tables of MAET as Markdown."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from edaemo.reproduction.maet._reproduce import ACROSS, INPUTS, WITHIN, MAETReproduction

HEADINGS = {
    WITHIN: "Subject-dependent: 4 folds of the clips of each person",
    ACROSS: "Cross-subject: each person held out",
}


def format_maet(made: MAETReproduction) -> str:
    """Return the tables as Markdown: one for each protocol, a column for each input.

    Parameters
    ----------
    made : MAETReproduction
        The accuracies.

    Returns
    -------
    str
        Markdown.
    """
    lines = [
        "# MAET on SEED-VII",
        "",
        "Accuracy over windows in percent: mean / standard deviation",
    ]
    lines[-1] += " over people. One model: trained on both signals, tested on each input."
    for protocol in made.table["protocol"].unique():
        lines += ["", f"## {HEADINGS[protocol]}", ""]
        lines += _format_table(made.table[made.table["protocol"] == protocol])
    return "\n".join([*lines, "", *(f"- {remark}" for remark in made.remarks), ""])


def _format_table(table: pd.DataFrame) -> Iterator[str]:
    yield f"| method | {' | '.join(INPUTS)} |"
    yield "|---" * (1 + len(INPUTS)) + "|"
    for method in table["method"].unique():
        rows = table[table["method"] == method].set_index("input").loc[[*INPUTS]]
        pairs = zip(rows["mean"], rows["deviation"], strict=True)
        cells = [f"{mean:.2f} / {deviation:.2f}" for mean, deviation in pairs]
        yield f"| {method} | {' | '.join(cells)} |"
