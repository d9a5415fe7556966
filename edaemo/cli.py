"""The command line: parses, calls the library, prints."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import edaemo

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.utils import Bunch

STUDIES = {"hku956": "load_hku956", "induced-stress": "load_induced_stress"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command ``edaemo``.

    Parameters
    ----------
    argv : sequence of str or None
        Arguments; None for those of the process.

    Returns
    -------
    int
        Exit status: 0; 1 if some of the files given to ``decompose`` failed; 130 after Ctrl-C.
        Wrong arguments and unreadable data exit with 2.
    """
    parser = _make_parser()
    arguments = parser.parse_args(argv)
    try:
        return arguments.run(arguments, parser)
    except KeyboardInterrupt:
        print(f"\nInterrupted. {arguments.interrupted}")
        return 130


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="edaemo", description=edaemo.__doc__.splitlines()[0])
    parser.add_argument("--version", action="version", version=edaemo.__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    compare = commands.add_parser(
        "compare",
        help="compare emotion classifiers on recordings, whole people held out",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    compare.set_defaults(
        run=_compare,
        interrupted="Finished folds are kept: the same command goes on from there.",
    )
    compare.add_argument("study", nargs="?", default="hku956", choices=STUDIES, help="recordings")
    compare.add_argument("--target", nargs="+", metavar="NAME", help="targets; all if left out")
    compare.add_argument("--models", nargs="+", metavar="NAME", help="models; all if left out")
    compare.add_argument("--folds", type=int, default=5, metavar="K", help="folds over people")
    compare.add_argument("--epochs", type=int, default=10, metavar="N", help="epochs of the nets")
    compare.add_argument("--jobs", type=int, default=2, metavar="N", help="processes")
    compare.add_argument("--seed", type=int, default=0, metavar="N", help="seed of everything")
    compare.add_argument("--path", metavar="DIR", help="the corpus's original folder or zip")
    compare.add_argument("--out", default="results", metavar="DIR", help="where results go")
    _add_decompose(commands)
    return parser


def _add_decompose(commands: argparse._SubParsersAction) -> None:
    decompose = commands.add_parser(
        "decompose",
        help="take recordings apart into phasic, tonic and driver by cvxEDA",
        description="Take recordings of EDA (E4 EDA.csv, CSV, parquet) apart by cvxEDA. OUT gets "
        "one file for each, with the columns time (s), eda (as read), phasic, tonic, driver (per "
        "second) and residual, in the unit of the recording.",
        epilog="Exit status: 0 if all files were decomposed, 1 if some failed, 2 for wrong "
        "arguments, 130 after Ctrl-C.",
    )
    decompose.set_defaults(
        run=_decompose, interrupted="Files that were finished are whole and stay; no other is left."
    )
    decompose.add_argument(
        "inputs",
        nargs="+",
        metavar="IN",
        help="recordings, or folders to search at any depth for *.csv and *.parquet",
    )
    decompose.add_argument(
        "out", metavar="OUT", help="folder for the results; paths below a folder IN are kept"
    )
    decompose.add_argument(
        "--sampling-rate",
        type=_positive_number,
        metavar="HZ",
        help="samples per second; an E4's EDA.csv gives its own",
    )
    decompose.add_argument(
        "--column",
        metavar="NAME",
        help="column that holds the EDA (default: eda or gsr, else the only one of numbers)",
    )
    decompose.add_argument(
        "--missing",
        default="raise",
        choices=["raise", "interpolate"],
        help="what becomes of missing samples: the file fails (default), or they are interpolated",
    )
    decompose.add_argument(
        "--format", default="csv", choices=["csv", "parquet"], help="of the results (default: csv)"
    )
    decompose.add_argument(
        "--jobs", type=_n_jobs, default=1, metavar="N", help="processes; -1 is one for each core"
    )
    decompose.add_argument(
        "--overwrite", action="store_true", help="replace results that exist already"
    )


def _positive_number(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a positive number: {text!r}")
    return number


def _n_jobs(text: str) -> int:
    number = int(text)
    if number < 1 and number != -1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, or -1: {text!r}")
    return number


def _can_import(name: str) -> bool:
    try:
        import_module(name)
    except ImportError:
        return False
    return True


def _decompose(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    from edaemo.datasets._recordings import find_recordings, read_recording
    from edaemo.preprocessing._files import decompose_files, plan_outputs

    if arguments.format == "parquet" and not _can_import("pyarrow"):
        needed = "pip install edaemo[parquet]"
        parser.exit(2, f"edaemo: error: --format parquet needs pyarrow: {needed}\n")
    out = Path(arguments.out)
    try:
        plan = plan_outputs(
            find_recordings(arguments.inputs, leave_out=out),
            out,
            suffix=f".{arguments.format}",
            overwrite=arguments.overwrite,
        )
        out.mkdir(parents=True, exist_ok=True)
    except (ValueError, OSError) as error:
        parser.exit(2, f"edaemo: error: {error}\n")
    outcomes = decompose_files(
        plan,
        partial(read_recording, sampling_rate=arguments.sampling_rate, column=arguments.column),
        missing=arguments.missing,
        overwrite=arguments.overwrite,
        n_jobs=arguments.jobs,
        progress=sys.stderr.isatty(),
    )
    failed = [outcome.error for outcome in outcomes if outcome.error is not None]
    for outcome in outcomes:
        for note in outcome.notes:
            print(f"Note: {outcome.source}: {note}")
    print(
        f"{len(outcomes) - len(failed)} of {len(outcomes)} files done, {len(failed)} failed: {out}"
    )
    sys.stdout.flush()
    for error in failed:
        print(error, file=sys.stderr)
    return 1 if failed else 0


def _compare(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    from edaemo import datasets
    from edaemo.benchmark import ComparisonError

    try:
        return _compare_targets(getattr(datasets, STUDIES[arguments.study]), arguments)
    except (datasets.DatasetError, ComparisonError) as error:
        parser.exit(2, f"edaemo: error: {error}\n")


def _compare_targets(load: Callable[[str | None], Bunch], arguments: argparse.Namespace) -> int:
    from edaemo.benchmark import compare
    from edaemo.inspection import plot_comparison

    study = load(arguments.path)
    for target in arguments.target or study.targets:
        with warnings.catch_warnings(record=True) as notes:
            warnings.simplefilter("always")
            table = compare(
                study,
                target,
                models=arguments.models,
                n_folds=arguments.folds,
                max_epochs=arguments.epochs,
                n_jobs=arguments.jobs,
                random_state=arguments.seed,
                out=arguments.out,
                progress=sys.stderr.isatty(),
            )
        place = Path(arguments.out) / study.name / target
        plot_comparison(table).savefig(place / "figure.png", dpi=150)
        print(_format(table, "stimuli" if study.music is None else "songs"))
        for note in dict.fromkeys(str(note.message) for note in notes):
            print(f"Note: {note}")
        print(f"Table, predictions and figure: {place}\n")
    return 0


def _format(table: pd.DataFrame, stimuli: str) -> str:
    """Lay the table out for a terminal; the columns line up and pass as Markdown."""
    import pandas as pd

    first = table.iloc[0]
    head = [
        "model",
        "accuracy",
        "balanced accuracy",
        "F1",
        f"{stimuli} seen in training",
        "fit (s)",
    ]
    rows = [head, ["-" * len(name) for name in head]]
    for _, row in table.iterrows():
        scores = [
            f"{row[name]:.3f} [{row[f'{name}_low']:.3f}, {row[f'{name}_high']:.3f}]"
            for name in ("accuracy", "balanced_accuracy", "f1")
        ]
        known = pd.notna(row["stimuli_seen"])
        seen = f"{row['stimuli_seen']} of {row['n_stimuli']}" if known else "-"
        mark = " *" if row["transductive"] else ""
        rows.append([row["model"] + mark, *scores, seen, f"{row['fit_seconds']:.1f}"])
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = [
        f"{first['study']}, {first['target']}: {first['n_people']} people, {first['n_trials']} "
        f"trials; held out: whole people, {first['n_folds']} folds; majority class "
        f"{first['majority_rate']:.3f}.",
        "In brackets: 95 % bootstrap interval over people.",
        "",
    ]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        lines.append(f"| {' | '.join(cells)} |")
    if table["transductive"].any():
        lines += ["", "* Transductive: all of a test person's unlabelled trials set the scale."]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.exit(main())
