"""The command ``edaemo compare``."""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from edaemo.cli._arguments import CorporaHelp, add_plugins, import_plugins

if TYPE_CHECKING:
    import pandas as pd

    from edaemo.evaluation import FoldRecord


def add_compare(commands: argparse._SubParsersAction) -> None:
    """Add it to the commands."""
    compare = commands.add_parser(
        "compare",
        help="compare emotion classifiers on recordings of people they have never met",
        description="Evaluate emotion classifiers beside what needs no EDA at all. Every finished "
        "fold is stored at once, and the same command goes on from what is stored.",
        epilog="Exit status: 0; 1 if some folds failed; 2 for wrong arguments, unreadable data or "
        "an unusable store; 130 after Ctrl-C.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    compare.set_defaults(
        run=_compare,
        interrupted="Finished folds are kept: the same command goes on from there.",
    )
    several = {"nargs": "+", "metavar": "NAME"}
    compare.add_argument(
        "study",
        nargs="*",
        default=["hku956"],
        help=CorporaHelp(
            "recordings: %(corpora)s, where you have them; or generated, which is artificial"
        ),
    )
    compare.add_argument("--target", **several, help="targets; all if left out")
    compare.add_argument(
        "--protocol",
        default=["subject"],
        **several,
        help="what is held out: subject, subject-loso, subject+stimulus, stimulus, within-subject, "
        "trial, paper, or what a --plugin registers",
    )
    compare.add_argument("--pipelines", **several, help="pipelines; all if left out")
    compare.add_argument(
        "--threshold",
        nargs="+",
        metavar="T",
        type=_threshold,
        default=["subject"],
        help="what high valence and arousal are above: subject (each person's own) or a number; "
        "none: ratings stay numbers, for regressors",
    )
    compare.add_argument(
        "--missing-ratings",
        default="drop",
        choices=["drop", "raise"],
        help="trials without a label: leave them out of that target, or refuse them",
    )
    compare.add_argument(
        "--people",
        default="evaluation",
        choices=["evaluation", "development", "all"],
        help="whose trials: all but the development people, they alone, or both",
    )
    compare.add_argument("--folds", type=int, default=5, metavar="K", help="folds")
    compare.add_argument(
        "--repeats",
        type=int,
        default=1,
        metavar="R",
        help="repeats, each with other folds and another seed",
    )
    compare.add_argument("--epochs", type=int, default=10, metavar="N", help="epochs of the nets")
    compare.add_argument("--jobs", type=int, default=2, metavar="N", help="processes")
    compare.add_argument(
        "--scheduler", metavar="ADDRESS", help="a Dask scheduler (tcp://...) whose workers do it"
    )
    compare.add_argument("--seed", type=int, default=0, metavar="N", help="seed of everything")
    compare.add_argument("--path", metavar="DIR", help="the corpus's original folder or zip")
    add_plugins(compare, "studies, pipelines and decompositions")
    compare.add_argument("--out", default="results", metavar="DIR", help="where results go")
    compare.add_argument(
        "--store", metavar="FILE", help="finished folds (default: results.sqlite in --out)"
    )
    compare.add_argument(
        "--json", action="store_true", help="print a line of JSON for each fold and table row"
    )


def _threshold(text: str) -> str | float:
    return text if text in ("subject", "none") else float(text)


def _compare(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    try:
        return _evaluate(arguments)
    except ValueError as error:  # every error of ours about arguments, data and store is one
        parser.exit(2, f"edaemo: error: {error}\n")


def _evaluate(arguments: argparse.Namespace) -> int:
    from edaemo.evaluation import STUDIES, evaluate, find

    import_plugins(arguments.plugin)
    names = [find(name, STUDIES, "study") for name in arguments.study]
    studies = [STUDIES[name](arguments.path) for name in names]
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always")
        table = evaluate(
            arguments.pipelines,
            studies,
            arguments.target,
            arguments.protocol,
            thresholds=arguments.threshold,
            missing_ratings=arguments.missing_ratings,
            people=arguments.people,
            n_splits=arguments.folds,
            n_repeats=arguments.repeats,
            max_epochs=arguments.epochs,
            n_jobs=arguments.jobs,
            scheduler=arguments.scheduler,
            random_state=arguments.seed,
            store=arguments.store or Path(arguments.out) / "results.sqlite",
            on_fold=_print_fold if arguments.json else None,
        )
    said = list(dict.fromkeys(str(note.message) for note in notes))
    _report(table, said, Path(arguments.out), as_json=arguments.json)
    return 1 if table["n_failed"].any() else 0


def _print_fold(record: FoldRecord) -> None:
    told = [
        *("study", "target", "threshold", "protocol", "pipeline", "repeat", "fold"),
        *("status", "error", "scores", "fit_seconds"),
    ]
    print(json.dumps({"fold": {name: getattr(record, name) for name in told}}), flush=True)


def _report(table: pd.DataFrame, notes: list[str], out: Path, *, as_json: bool) -> None:
    """Print every table and write it, with its figure, into a folder of its own."""
    from edaemo.inspection import plot_comparison
    from edaemo.statistics import format_table

    case = ["study", "target", "threshold", "protocol"]
    for (study, target, threshold, protocol), rows in table.groupby(case, sort=False, dropna=False):
        fixed = isinstance(threshold, float) and threshold == threshold
        rated = threshold == "none"
        name = f"{target}-above-{threshold:g}" if fixed else target + "-as-rated" * rated
        place = out / study / name / protocol
        place.mkdir(parents=True, exist_ok=True)
        rows.to_csv(place / "table.csv", index=False)
        plot_comparison(rows).savefig(place / "figure.png", dpi=150)
        if as_json:
            for line in rows.to_json(orient="records", lines=True).splitlines():
                print(f'{{"row": {line}}}')
        else:
            print(format_table(rows))
            print(f"Table and figure: {place}\n")
    for note in notes:
        print(json.dumps({"note": note}) if as_json else f"Note: {note}")
