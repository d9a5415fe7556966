"""Format a reproduced table in the layout of the paper, as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import pandas as pd

from edaemo.reproduction.rtcan._published import MODULES
from edaemo.reproduction.rtcan._reproduce import Reproduction

HEADINGS = {
    "table1": "Table 1. High and low class after relabelling",
    "table2": "Table 2. Spearman's correlation of valence and arousal",
    "table3": "Table 3. Models, input signals and shares of the people",
    "table4": "Table 4. Depth and channels of the residual blocks",
    "table5": "Table 5. Attention modules",
    "table6": "Table 6. Models of earlier work",
    "figure4": "Figure 4. Increasing number of people",
}
# The scores of the paper in tables 3 to 6 and figure 4, with their titles.
PRINTED = {"accuracy": "Ave-Acc", "f1": "F1"}
# The scores that are means over people, with their titles.
MEANS = {"balanced_accuracy": "balanced [95 %]", "roc_auc": "AUC [95 %]"}
NONE = "-"
LEGEND = (
    "Scores in percent. Balanced and AUC: balanced accuracy and area under the ROC curve, each the "
    "mean over people with its 95 % interval; chance is 50 in each setting. With several repeats, "
    "SD is the standard deviation of the balanced accuracy over the seeds. "
    f"{NONE}: not in the paper, not run, or undefined."
)
_BY_METHOD = ("method", "dataset", "n_people", "signal")
_BY_ROW = ("method", "dataset", "n_people", "signal", "split")
_BY_WAY = ("method", "way", "percent", "n_training_people", "n_test_people")


def format_reproduction(made: Reproduction) -> str:
    """Return a table of the paper as Markdown, with published and measured numbers.

    Parameters
    ----------
    made : Reproduction
        A reproduced table or figure.

    Returns
    -------
    str
        Markdown.
    """
    layouts: dict[str, Callable[[pd.DataFrame], list[str]]] = {
        "table1": _balance,
        "table2": _correlation,
        "table3": lambda table: _models(table, _BY_METHOD),
        "table4": _trade_off,
        "table5": _modules,
        "table6": lambda table: _models(table, _BY_ROW),
        "figure4": lambda table: _models(table, _BY_WAY),
    }
    lines = [f"## {HEADINGS[made.name]}"]
    if "protocol" in made.table:
        for protocol, rows in made.table.groupby("protocol", sort=False):
            lines += ["", f"Protocol `{protocol}`", "", *layouts[made.name](rows)]
        lines += ["", LEGEND]
    else:
        lines += ["", *layouts[made.name](made.table)]
    return "\n".join([*lines, "", *(f"- {remark}" for remark in made.remarks), ""])


def _balance(table: pd.DataFrame) -> list[str]:
    head = ["Dataset", "V/A", "high", "published", "low", "published", "note"]
    rows = []
    for (dataset, target), two in table.groupby(["dataset", "target"], sort=False):
        cells = []
        for _, row in two.iterrows():
            cells.append(f"{row['n']} ({row['measured']:.1f} %)")
            printed = NONE
            if not pd.isna(row["published"]):
                printed = f"{row['published_n']:.0f} ({row['published']:.1f} %)"
            cells.append(printed)
        rows.append([dataset, target.capitalize(), *cells, two["note"].iloc[0]])
    return _format_rows(head, rows)


def _correlation(table: pd.DataFrame) -> list[str]:
    head = ["Dataset", "people", "trials", "r [95 %]", "published", "p", "published", "note"]
    rows = []
    for _, row in table.iterrows():
        interval = f"{row['measured']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
        printed = NONE if pd.isna(row["published"]) else f"{row['published']:.2f}"
        p = "< .001" if row["p"] < 0.001 else f"{row['p']:.3f}"
        printed_p = NONE if pd.isna(row["published_p"]) else row["published_p"]
        about = [row["dataset"], str(row["n_people"]), str(row["n_trials"])]
        rows.append([*about, interval, printed, p, printed_p, row["note"]])
    return _format_rows(head, rows)


def _models(table: pd.DataFrame, keys: Sequence[str]) -> list[str]:
    """Return a row for each model and share of the people; valence left, arousal right."""
    published = _published(table)
    head = [name.replace("n_", "").replace("_", " ") for name in keys]
    for letter in "VA":
        for name in PRINTED.values():
            head += [f"{letter}: {name}", published]
        head += [f"{letter}: {name}" for name in MEANS.values()]
    rows = []
    for values, of_model in table.groupby(list(keys), sort=False, dropna=False):
        cells = [cell for target in ("valence", "arousal") for cell in _cells(of_model, target)]
        notes = of_model.groupby("target", sort=False)["note"].first()
        parts = (f"{target[0].upper()}: {note}" for target, note in notes.items())
        note = notes.iloc[0] if len(set(notes)) == 1 else "; ".join(parts)
        rows.append([*map(_format_cell, values), *cells, note])
    return _format_rows([*head, "note"], rows)


def _trade_off(table: pd.DataFrame) -> list[str]:
    published = _published(table)
    head = [
        "V/A",
        "Depth",
        "Channel",
        "Ave-Acc",
        published,
        "F1-Score",
        published,
        *MEANS.values(),
        "note",
    ]
    rows = []
    for (target, method), of_model in table.groupby(["target", "method"], sort=False):
        depth, channels = (_format_cell(of_model[name].iloc[0]) for name in ("depth", "channels"))
        if of_model["reference"].iloc[0]:
            channels = method
        rows.append(
            [
                target[0].upper(),
                depth,
                channels,
                *_cells(of_model, target),
                of_model["note"].iloc[0],
            ]
        )
    return _format_rows(head, rows)


def _modules(table: pd.DataFrame) -> list[str]:
    """Return a column for each variant, and a second table of baselines that use no EDA."""
    published = _published(table)
    variants = table[~table["reference"]]
    columns = {name: of_variant for name, of_variant in variants.groupby("method", sort=False)}
    rows = [
        [module, *("✓" if MODULES[name][index] else "" for name in columns)]
        for index, module in enumerate(("SCA_Res", "SCA", "RNTA"))
    ]
    for target in ("valence", "arousal"):
        names = [
            end
            for name in PRINTED.values()
            for end in (f"{target[0].upper()}: {name}", f"{target[0].upper()}: {name}, {published}")
        ]
        names += [f"{target[0].upper()}: {name}" for name in MEANS.values()]
        cells = zip(*(_cells(of_variant, target) for of_variant in columns.values()), strict=True)
        rows += [[name, *row] for name, row in zip(names, cells, strict=True)]
        notes = [
            of_variant[of_variant["target"] == target]["note"].iloc[0]
            for of_variant in columns.values()
        ]
        rows.append([f"{target[0].upper()}: note", *notes])
    references = table[table["reference"]]
    return [*_format_rows(["", *columns], rows), "", *_models(references, ["method"])]


def _cells(table: pd.DataFrame, target: str) -> list[str]:
    """Return accuracy and F1, each with the published number, and the means over people."""
    by_score = table[table["target"] == target].set_index("score")
    cells = []
    for score in PRINTED:
        cells += [_number(by_score.loc[score, name]) for name in ("measured", "published")]
    for score in MEANS:
        row = by_score.loc[score]
        mean = f"{row['measured']:.1f} [{row['low']:.1f}, {row['high']:.1f}]"
        mean += "" if pd.isna(row["sd"]) else f", SD {row['sd']:.1f}"
        cells.append(NONE if pd.isna(row["measured"]) else mean)
    return cells


def _published(table: pd.DataFrame) -> str:
    """Return the header of the published numbers, with the name of their dataset if it is one."""
    datasets = table["published_of"].dropna().unique()
    return f"published ({datasets[0]})" if len(datasets) == 1 else "published"


def _number(value: float) -> str:
    return NONE if pd.isna(value) else f"{value:.2f}"


def _format_cell(value: object) -> str:
    """Return a cell for a name or a number of people; a mean number has one decimal."""
    if pd.isna(value):
        return NONE
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)


def _format_rows(head: list[str], rows: Iterable[list[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]
