"""Write the tables of the pages again, and the results in README.md.

    make docs-tables                      # all, some hours on two cores
    make docs-tables ARGS="recipe table1"
    make docs-tables ARGS=--list

The folds are kept in stores in the folder results/docs: an interrupted run continues, and a table
whose folds are all stored is only printed. A page has a table between two comments with its name.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from edaemo.benchmark import evaluate
from edaemo.datasets import make_music_listening
from edaemo.evaluation import load_continuous
from edaemo.statistics import format_table

ROOT = Path(__file__).resolve().parents[1]
STORES = ROOT / "results" / "docs"
WIDTH = 118
REPEATS = 5  # of everything that trains a network
# The recommended pipeline, and what its table compares it with.
EVIDENCE = ("recommended", "level-person", "svm-eda-person", "rtcan-eda", "rtcan-eda-person")
QUALITY = ("svm-eda", "logistic-eda")
CASE = ["study", "target", "protocol"]
# What is scored where there is nothing to find, and where there are only fingerprints.
BLIND = ("svm-music", "level-person", "recommended", "svm-eda", "svm-eda-person", "logistic-eda",
         "boosting-eda", "cnn-eda", "svm-eda-music", "rtcan-eda", "rtcan-eda-music",
         "forest-level", "rtcan-unchecked")  # fmt: skip
BLIND_BY_PERSON = ("logistic-eda-person", "boosting-eda-person", "cnn-eda-person")
evaluate_seeds = partial(evaluate, n_repeats=REPEATS, n_jobs=2, progress=True)
README_LINKS = {
    "stimulus-prior": "[`stimulus-prior`](docs/evaluation.md), the song's mean label",
    "trial-order": "[`trial-order`](docs/evaluation.md)",
    "svm-eda": "[`svm-eda`](docs/features.md)",
    "rtcan-eda": "[`rtcan-eda`](docs/models.md)",
    "rtcan-eda-music": "[`rtcan-eda-music`](docs/models.md)",
}


class Table(NamedTuple):
    """A place in a page, and the function that returns its text."""

    page: str
    make: Callable[[], str]


def compare(study: str, *protocols: str) -> pd.DataFrame:
    """Evaluate all pipelines on a bundled study."""
    store = STORES / study / "results.sqlite"
    return evaluate_seeds(None, study, None, list(protocols), max_epochs=10, store=store)


def write_comparison(study: str, *protocols: str) -> str:
    """Return all tables of a comparison, with headings."""
    parts = []
    for (name, target, protocol), rows in compare(study, *protocols).groupby(CASE, sort=False):
        parts += [f"## {name}, {target}, `{protocol}`", format_table(rows).strip()]
    return "\n\n".join(parts)


def write_generated() -> str:
    """Return the models of other work and AIMSTF on a small generated study."""
    study = make_music_listening(40, 40, 10, sampling_rate=4.0, duration=25.0)
    study["name"] = "generated-small"
    table = evaluate_seeds(
        ["table6", "aimstf-eda", "aimstf-eda-music"],
        study,
        "arousal",
        n_splits=3,
        max_epochs=5,
        store=STORES / "generated-small.sqlite",
    )
    return format_table(table).strip()


def write_continuous() -> str:
    """Return all pipelines for continuous ratings on the generated study."""
    table = evaluate_seeds(
        None,
        load_continuous("generated"),
        "arousal",
        ["subject", "subject+stimulus"],
        n_splits=2,
        max_epochs=10,
        store=STORES / "generated-continuous.sqlite",
    )
    return "\n\n".join(format_table(rows).strip() for _, rows in table.groupby(CASE, sort=False))


def write_evidence() -> str:
    """Return the recommended pipeline and RTCAN on other studies than that of their choice."""
    columns = {}
    for study, target, protocol, people in [
        ("stress-predict", "task", "subject", "development"),
        ("induced-stress", "task", "subject", "evaluation"),
        ("induced-stress", "task", "condition-held-out", "evaluation"),
        ("hku956", "arousal", "subject", "evaluation"),
        ("hku956", "valence", "subject", "evaluation"),
        ("generated", "arousal", "subject", "evaluation"),
        ("generated", "valence", "subject", "evaluation"),
    ]:
        table = evaluate_seeds(
            EVIDENCE,
            study,
            target,
            protocol,
            people=people,
            max_epochs=10,
            store=STORES / "evidence.sqlite",
        )
        head = f"{study}, {target}, `{protocol}`, {table['n_people'].iloc[0]} people"
        columns[head] = list_evidence(table.set_index("pipeline"))
    lines = [["row", *columns], ["---"] * (1 + len(columns))]
    for name in columns["induced-stress, task, `subject`, 18 people"]:
        lines.append([name, *(column.get(name, "-") for column in columns.values())])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def list_evidence(table: pd.DataFrame) -> dict[str, str]:
    """Return the cells of one study, by the name of their row."""
    score = "balanced_accuracy_by_person"
    cells = {}
    for name, row in table[table.index != "majority"].iterrows():
        cells[f"`{name}`"] = f"{row[score]:.3f}"
        if name in EVIDENCE:
            cells[f"`{name}`"] += f" [{row[score + '_low']:.3f}, {row[score + '_high']:.3f}]"
            if name.startswith("rtcan"):
                cells[f"`{name}`"] += f" (SD over seeds {row[score + '_sd']:.3f})"
    shown = [name for name in EVIDENCE if table.loc[name, "reads_eda"]]
    cells["EDA is read"] = ", ".join(shown) or "not shown"
    gain = table.loc[list(EVIDENCE), "detectable_reads_eda"].median()
    cells["gain that would be found with a probability of 80 %"] = f"{gain:.3f}"
    return cells


def write_quality() -> str:
    """Return two pipelines on HKU956, with and without trials with defects."""
    table = evaluate_seeds(
        QUALITY,
        "hku956",
        quality=[None, "flat=0", "flagged"],
        store=STORES / "quality.sqlite",
    )
    head = [
        "target",
        "rule",
        "trials",
        *(f"`{name}`" for name in QUALITY),
        "gain that would be found",
    ]
    lines = [head, ["---"] * len(head)]
    for (target, rule), rows in table.groupby(["target", "quality"], sort=False, dropna=False):
        of = rows.set_index("pipeline")
        score = "balanced_accuracy_by_person"
        scores = [
            f"{of.loc[name, score]:.3f} [{of.loc[name, score + '_low']:.3f}, "
            f"{of.loc[name, score + '_high']:.3f}]"
            for name in QUALITY
        ]
        gain = of.loc[list(QUALITY), "detectable_reads_eda"].median()
        name = "none" if pd.isna(rule) else f"`{rule}`"
        lines.append([target, name, str(rows["n_trials"].iloc[0]), *scores, f"{gain:.3f}"])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write_readme() -> str:
    """Return five rows of the comparison on HKU956."""
    table = compare("hku956", "subject", "subject+stimulus", "trial")
    table = table[table["target"] == "arousal"].set_index(["protocol", "pipeline"])
    lines = ["| pipeline | people held out | people and songs held out |", "|---|---|---|"]
    for name, link in README_LINKS.items():
        cells = [link]
        for protocol in ("subject", "subject+stimulus"):
            row, score = table.loc[protocol, name], "balanced_accuracy_by_person"
            cells.append(
                f"{row[score]:.3f} [{row[score + '_low']:.3f}, {row[score + '_high']:.3f}]"
            )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def reproduce(*arguments: str) -> str:
    """Return what ``edaemo reproduce`` prints."""
    command = [sys.executable, "-m", "edaemo.cli", "reproduce", *arguments]
    return run([*command, "--out", str(STORES / "reproduction")])


def reproduce_trained(*arguments: str) -> str:
    """Return what ``edaemo reproduce`` prints, with settings that two cores can compute."""
    return reproduce(*arguments, "--folds", "3", "--epochs", "10", "--repeats", str(REPEATS))


def reproduce_figure4() -> str:
    """Return the table of figure 4, and write its picture."""
    text = reproduce_trained("figure4", "hku956")
    picture = STORES / "reproduction" / "hku956" / "figure4" / "figure.png"
    shutil.copy(picture, ROOT / "docs" / "figure4-hku956.png")
    return text


def script(name: str, *arguments: str) -> str:
    """Return what a script in benchmarks/ prints."""
    return run([sys.executable, str(ROOT / "benchmarks" / name), *arguments])


def run(command: list[str]) -> str:
    """Return the printed text of a command, without the places of its files."""
    text = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT).stdout
    return re.sub(r"(?m)^Written to .*\n", "", text).strip()


TABLES = {
    "readme": Table("README.md", write_readme),
    "hku956": Table(
        "docs/comparison.md",
        partial(write_comparison, "hku956", "subject", "subject+stimulus", "trial"),
    ),
    "induced-stress": Table(
        "docs/comparison.md", partial(write_comparison, "induced-stress", "subject", "trial")
    ),
    "quality": Table("docs/signal-quality.md", write_quality),
    "leak": Table(
        "docs/leak.md",
        partial(
            script,
            *("leak.py", "--figure", "docs/leak.png", "--store", str(STORES / "leak.sqlite")),
        ),
    ),
    "table1": Table(
        "docs/reproduction.md",
        partial(reproduce, "table1", "hku956", "generated", "generated-pmemo-size"),
    ),
    "table2": Table(
        "docs/reproduction.md",
        partial(reproduce, "table2", "hku956", "generated", "generated-pmemo-size"),
    ),
    "table3": Table(
        "docs/reproduction.md",
        partial(reproduce_trained, "table3", "hku956", "--protocol", "subject", "trial"),
    ),
    "table4": Table("docs/reproduction.md", partial(reproduce_trained, "table4", "hku956")),
    "table5": Table("docs/reproduction.md", partial(reproduce_trained, "table5", "hku956")),
    "figure4": Table("docs/reproduction.md", reproduce_figure4),
    "evidence": Table("docs/evidence.md", write_evidence),
    "generated": Table("docs/models.md", write_generated),
    "continuous": Table("docs/models.md", write_continuous),
    "nothing": Table(
        "docs/proofs.md",
        partial(script, "generated_null.py", "nothing", "--pipelines", *BLIND, *BLIND_BY_PERSON),
    ),
    "fingerprints": Table(
        "docs/proofs.md",
        partial(script, "generated_null.py", "fingerprints", "--pipelines", *BLIND),
    ),
    "best": Table("docs/proofs.md", partial(script, "generated_best.py")),
    "power": Table("docs/statistics.md", partial(script, "power.py", "--studies", "200")),
    "table6": Table(
        "docs/reproduction.md",
        partial(
            reproduce,
            *("table6", "hku956", "--folds", "3", "--epochs", "5", "--repeats", str(REPEATS)),
        ),
    ),
}


def fill(page: str, name: str, text: str) -> str:
    """Return a page with the text between the comments of this name."""
    begin, end = f"<!-- table {name} -->", f"<!-- end of table {name} -->"
    before, _, rest = page.partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise SystemExit(f"The page has no place for {name}: add {begin} and {end}.")
    return f"{before}{begin}\n\n{fold(text)}\n\n{end}{after}"


def fold(text: str) -> str:
    """Break lines that are not of a table."""
    lines = []
    for line in text.splitlines():
        is_text = not line.startswith(("|", "#"))
        lines += (
            textwrap.wrap(line, WIDTH, subsequent_indent="  " * line.startswith("- "))
            if (is_text and len(line) > WIDTH)
            else [line]
        )
    return "\n".join(lines)


def main() -> None:
    """Write the chosen tables into their pages."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="tables; none: all")
    parser.add_argument("--list", action="store_true", help="print the names and end")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.names if name not in TABLES]:
        parser.error(f"no table {unknown[0]!r}; see --list")
    for name, table in TABLES.items():
        if arguments.list:
            print(f"{name}: {table.page}")
        elif not arguments.names or name in arguments.names:
            text = table.make()
            page = ROOT / table.page
            page.write_text(fill(page.read_text(), name, text))
            print(f"{name} written to {table.page}", file=sys.stderr)


if __name__ == "__main__":
    main()
