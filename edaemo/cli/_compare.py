"""Define the command ``edaemo compare``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edaemo._whole_file import safe_name
from edaemo.cli._arguments import (
    CorporaHelp,
    HelpFormatter,
    add_plugins,
    collect_notes,
    import_plugins,
    make_folder,
)
from edaemo.cli._output import to_csv
from edaemo.cli._terminal import print_text

if TYPE_CHECKING:
    import pandas as pd

    from edaemo._sklearn import AnyBunch
    from edaemo.evaluation import FoldRecord


def add_compare(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser."""
    compare = commands.add_parser(
        "compare",
        help="compare emotion recognition pipelines on recordings of held-out people",
        description="Evaluate emotion recognition pipelines against baselines that use no EDA. "
        "Every finished fold is stored at once. Repeat an interrupted command to resume it.",
        epilog="Exit status: 0; 1 if some folds failed; 2 for wrong arguments, unreadable data, an "
        "unusable store or an --out that cannot be written to; 130 after Ctrl-C.",
        formatter_class=HelpFormatter,
    )
    compare.set_defaults(
        run=_compare,
        interrupted="Finished folds are stored: repeat the same command to resume.",
    )
    several = {"nargs": "+", "metavar": "NAME"}
    study = compare.add_argument("study", nargs="*", default=["hku956"])
    study.help = CorporaHelp(
        "studies: %(corpora)s, if you have the files; or generated, which is artificial"
    )
    compare.add_argument(
        "--task",
        default="trial",
        choices=["trial", "continuous"],
        help="trial: the targets of the study. continuous: only targets that are series; a study "
        "without series has the rating of each trial repeated over time",
    )
    compare.add_argument("--target", **several, help="targets (default: all)")
    compare.add_argument(
        "--protocol",
        default=["subject"],
        **several,
        help="protocols: subject, subject-loso, subject+stimulus, stimulus, within-subject, trial, "
        "paper, subject-calibrated, condition-held-out (of studies with several versions), "
        "new-people (train on the development people, test on the others), or one that a --plugin "
        "registers",
    )
    compare.add_argument(
        "--pipelines",
        **several,
        help="pipelines, or table6 for the models of Table 6 of the RTCAN-1D paper and others; "
        "by default all others, without torch all that train no network",
    )
    compare.add_argument(
        "--family",
        **several,
        help="further pipelines that you plan to evaluate; their tests are adjusted with those of "
        "--pipelines",
    )
    compare.add_argument(
        "--margin",
        type=float,
        metavar="X",
        help="margin of the equivalence test (default: 0.05 for the balanced accuracy, 0.1 for the "
        "concordance correlation)",
    )
    compare.add_argument(
        "--threshold",
        nargs="+",
        metavar="T",
        type=_threshold,
        default=["subject"],
        help="thresholds of high valence and arousal: subject (one for each person) or a number; "
        "none: ratings stay numbers, for regressors",
    )
    compare.add_argument(
        "--missing-ratings",
        default="drop",
        choices=["drop", "raise"],
        help="trials without a label: leave them out of this target, or raise an error",
    )
    compare.add_argument(
        "--min-stability",
        type=float,
        default=0.0,
        metavar="S",
        help="leave out trials whose label is stable in less than this share of bootstrap draws of "
        "the person's ratings, from 0 to 1",
    )
    compare.add_argument(
        "--quality",
        nargs="+",
        metavar="RULE",
        type=_rule,
        default=[None],
        help="rules for excluding trials by signal quality. none: no trial; flagged: every trial "
        "with a defect; or the largest permitted values, such as flat=0,lost_contact_share=0.5. "
        "Pass none and a rule to see its effect (default: none)",
    )
    compare.add_argument(
        "--people",
        default="evaluation",
        choices=["evaluation", "development", "all"],
        help="people whose trials are used; evaluation: all except the development people",
    )
    compare.add_argument("--folds", type=int, default=5, metavar="K", help="number of folds")
    compare.add_argument(
        "--repeats",
        type=int,
        default=1,
        metavar="R",
        help="number of repeats; each repeat has different folds and a different seed",
    )
    compare.add_argument(
        "--epochs", type=int, default=10, metavar="N", help="epochs of the networks"
    )
    compare.add_argument("--jobs", type=int, default=2, metavar="N", help="number of processes")
    compare.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="Dask scheduler (tcp://...) whose workers run the folds",
    )
    compare.add_argument(
        "--seed", type=int, default=0, metavar="N", help="seed of all random numbers"
    )
    compare.add_argument("--path", metavar="DIR", help="original folder or zip of the corpus")
    compare.add_argument(
        "--window",
        nargs=2,
        type=float,
        metavar=("START", "STOP"),
        help="part of each trial in seconds; a negative START keeps seconds before the onset, "
        "which are not part of the trial (default: that of the loader)",
    )
    add_plugins(compare, "studies, pipelines and decompositions")
    compare.add_argument("--out", default="results", metavar="DIR", help="folder for the results")
    compare.add_argument(
        "--store", metavar="FILE", help="file of finished folds (default: results.sqlite in --out)"
    )
    compare.add_argument(
        "--json", action="store_true", help="print a line of JSON for each fold and table row"
    )


def _threshold(text: str) -> str | float:
    return text if text in ("subject", "none") else float(text)


def _rule(text: str) -> str | None:
    return None if text == "none" else text


def _compare(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    try:
        return _evaluate(arguments)
    except ValueError as error:  # base of all errors about arguments, data and store
        parser.exit(2, f"edaemo: error: {error}\n")


def _evaluate(arguments: argparse.Namespace) -> int:
    from edaemo.evaluation import STUDIES, evaluate, find

    import_plugins(arguments.plugin)
    names = [find(name, STUDIES, "study") for name in arguments.study]
    make_folder(Path(arguments.out))
    studies = [_load(name, arguments) for name in names]
    with collect_notes() as notes:
        table = evaluate(
            arguments.pipelines,
            studies,
            arguments.target,
            arguments.protocol,
            thresholds=arguments.threshold,
            missing_ratings=arguments.missing_ratings,
            min_stability=arguments.min_stability,
            quality=arguments.quality,
            people=arguments.people,
            n_splits=arguments.folds,
            n_repeats=arguments.repeats,
            max_epochs=arguments.epochs,
            n_jobs=arguments.jobs,
            scheduler=arguments.scheduler,
            random_state=arguments.seed,
            family=arguments.family,
            margin=arguments.margin,
            store=arguments.store or Path(arguments.out) / "results.sqlite",
            progress=True,
            on_fold=_print_fold if arguments.json else None,
        )
    _report(table, notes, Path(arguments.out), as_json=arguments.json)
    return 1 if table["n_failed"].any() else 0


def _load(name: str, arguments: argparse.Namespace) -> AnyBunch:
    from edaemo.datasets import CORPORA
    from edaemo.evaluation import STUDIES, EvaluationError, load_continuous

    if arguments.task == "continuous":
        if arguments.window:
            raise EvaluationError("--window does not suit --task continuous: remove it.")
        return load_continuous(name, arguments.path)
    if not arguments.window:
        return STUDIES[name](arguments.path)
    if name not in CORPORA:
        raise EvaluationError(f"--window needs a corpus with files, and {name} has no files.")
    return STUDIES[name](arguments.path, window=tuple(arguments.window))


def _print_fold(record: FoldRecord) -> None:
    names = [
        *("study", "target", "threshold", "protocol", "pipeline", "repeat", "fold"),
        *("status", "error", "scores", "fit_seconds"),
    ]
    print(json.dumps({"fold": {name: getattr(record, name) for name in names}}), flush=True)


def folder_of(about: Sequence[Any], out: Path) -> Path:
    """Return the folder of a table: names of users are parts of its path, and nothing else."""
    study, target, threshold, protocol, quality, min_stability = about
    fixed = isinstance(threshold, float) and threshold == threshold
    rated = threshold == "none"
    name = f"{target}-above-{threshold:g}" if fixed else target + "-as-rated" * rated
    place = out / safe_name(study) / safe_name(name) / safe_name(protocol)
    if quality == quality and quality is not None:
        place = place / safe_name(f"quality-{quality}")
    if min_stability == min_stability:
        place = place / f"stable-{min_stability:g}"
    return place


def _report(table: pd.DataFrame, notes: list[str], out: Path, *, as_json: bool) -> None:
    """Print every table; write each table and its figure to a separate folder."""
    import matplotlib

    from edaemo.inspection import plot_comparison, save_figure
    from edaemo.statistics import format_table

    matplotlib.use("Agg")  # figures are written to files only
    case = ["study", "target", "threshold", "protocol", "quality", "min_stability"]
    for about, rows in table.groupby(case, sort=False, dropna=False):
        place = folder_of(about, out)
        place.mkdir(parents=True, exist_ok=True)
        (place / "table.csv").write_text(to_csv(rows), encoding="utf-8")
        save_figure(plot_comparison(rows), place / "figure.png")
        if as_json:
            for line in rows.to_json(orient="records", lines=True).splitlines():
                print(f'{{"row": {line}}}')
        else:
            print_text(format_table(rows))
            print(f"Table and figure: {place}\n")
    for note in notes:
        if as_json:
            print(json.dumps({"note": note}))
        else:
            print_text(f"Note: {note}")
