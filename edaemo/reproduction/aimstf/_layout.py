"""Format the accuracies of AIMSTF and the audit of its splits as Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from edaemo.reproduction.aimstf._reproduce import AIMSTFReproduction

HEADINGS = {
    "released-per-subject": "per subject, as released (leaks: two independent draws of trials)",
    "per-subject": "per subject (leaks: the person)",
    "released-windows": "5 folds of windows, as released (leaks: the test windows)",
    "windows": "5 folds of windows (leaks: the trial, the person)",
    "subject": "people held out",
}


def format_aimstf(made: AIMSTFReproduction) -> str:
    """Return the accuracies and the audits as Markdown.

    Parameters
    ----------
    made : AIMSTFReproduction
        The accuracies and the audits.

    Returns
    -------
    str
        Markdown.
    """
    lines = [
        "# AIMSTF on EDA and EEG",
        "",
        "Accuracy over windows in percent: mean / standard deviation over people.",
        "",
        *_format_accuracies(made),
        "",
        "## What training and test share",
        "",
        "The audit counts each window as a trial.",
        "",
        *(f"- {HEADINGS[row.protocol]}: {row.verdict}" for row in made.audits.itertuples()),
        "",
        *(f"- {remark}" for remark in made.remarks),
        "",
    ]
    return "\n".join(lines)


def _format_accuracies(made: AIMSTFReproduction) -> Iterator[str]:
    methods = made.table["method"].unique()
    shares = made.audits.set_index("protocol")["share_of_windows"]
    yield f"| protocol | {' | '.join(methods)} | test windows in training |"
    yield "|---" * (2 + len(methods)) + "|"
    for protocol in made.table["protocol"].unique():
        rows = made.table[made.table["protocol"] == protocol].set_index("method").loc[methods]
        pairs = zip(rows["mean"], rows["deviation"], strict=True)
        cells = [f"{mean:.2f} / {deviation:.2f}" for mean, deviation in pairs]
        share = f"{shares[protocol]:.0f} %"
        yield f"| {HEADINGS[protocol]} | {' | '.join(cells)} | {share} |"
