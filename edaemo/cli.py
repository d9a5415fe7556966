"""The command line: parses, calls the library, prints."""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import edaemo

if TYPE_CHECKING:
    import pandas as pd

    from edaemo.benchmark import FoldRecord


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command ``edaemo``.

    Parameters
    ----------
    argv : sequence of str or None
        Arguments; None for those of the process.

    Returns
    -------
    int
        Exit status: 0; 1 if some of the folds of ``compare`` or of the files given to ``decompose``
        or ``predict`` failed; 130 after Ctrl-C. Wrong arguments and unreadable data exit with 2.
    """
    parser = _make_parser()
    arguments = parser.parse_args(argv)
    try:
        return arguments.run(arguments, parser)
    except KeyboardInterrupt:
        print(f"\nInterrupted. {arguments.interrupted}", file=sys.stderr)
        return 130


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="edaemo", description=edaemo.__doc__.splitlines()[0])
    parser.add_argument("--version", action="version", version=edaemo.__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_compare(commands)
    _add_decompose(commands)
    _add_predict(commands)
    return parser


def _add_compare(commands: argparse._SubParsersAction) -> None:
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
        help="recordings: hku956, induced-stress, and pmemo, deap, amigos where you have them; or "
        "generated, which is artificial",
    )
    compare.add_argument("--target", **several, help="targets; all if left out")
    compare.add_argument(
        "--protocol",
        default=["subject"],
        **several,
        help="what is held out: subject, subject-loso, subject+stimulus, stimulus, within-subject, "
        "trial, paper",
    )
    compare.add_argument("--pipelines", **several, help="pipelines; all if left out")
    compare.add_argument(
        "--threshold",
        nargs="+",
        metavar="T",
        type=_threshold,
        default=["subject"],
        help="what high valence and arousal are above: subject (each person's own) or a number",
    )
    compare.add_argument(
        "--people",
        default="reported",
        choices=["reported", "development", "all"],
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
    compare.add_argument(
        "--plugin",
        nargs="+",
        default=[],
        metavar="MODULE",
        help="Python modules, found from the present folder too, that register studies and "
        "pipelines of your own",
    )
    compare.add_argument("--out", default="results", metavar="DIR", help="where results go")
    compare.add_argument(
        "--store", metavar="FILE", help="finished folds (default: results.sqlite in --out)"
    )
    compare.add_argument(
        "--json", action="store_true", help="print a line of JSON for each fold and table row"
    )


def _threshold(text: str) -> str | float:
    return text if text == "subject" else float(text)


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
        choices=["raise", "interpolate", "mask"],
        help="what becomes of missing samples: the file fails (default), they are interpolated, or "
        "they have no weight in the decomposition",
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


def _add_predict(commands: argparse._SubParsersAction) -> None:
    predict = commands.add_parser(
        "predict",
        help="predict the emotion in recordings by a model that was saved",
        description="Predict the emotion in recordings of EDA (E4 EDA.csv, CSV, parquet), one "
        "trial in each file, by a model that edaemo.save wrote. Prints a CSV with one row for each "
        "file: file, predicted, and probability_CLASS for each class.",
        epilog="Exit status: 0 if all files were predicted, 1 if some failed, 2 for wrong "
        "arguments or an unusable model, 130 after Ctrl-C.",
    )
    predict.set_defaults(run=_predict, interrupted="No table was written.")
    predict.add_argument("model", metavar="MODEL", help="file of edaemo.save")
    predict.add_argument(
        "inputs",
        nargs="+",
        metavar="FILES",
        help="recordings, or folders to search at any depth for *.csv and *.parquet",
    )
    predict.add_argument(
        "--sampling-rate",
        type=_positive_number,
        metavar="HZ",
        help="samples per second, which must be the model's; an E4's EDA.csv gives its own",
    )
    predict.add_argument(
        "--column",
        metavar="NAME",
        help="column that holds the EDA (default: eda or gsr, else the only one of numbers)",
    )
    stimulus = predict.add_mutually_exclusive_group()
    stimulus.add_argument(
        "--stimulus", metavar="NAME", help="what was heard in all files, for a model with music"
    )
    stimulus.add_argument(
        "--stimuli",
        metavar="CSV",
        help="what was heard in each file: a CSV with the columns file (as given) and stimulus",
    )
    predict.add_argument(
        "--subject",
        metavar="ID",
        help="whose recordings they are, for a model that standardises within people",
    )
    predict.add_argument("--out", metavar="FILE", help="where the table goes (default: stdout)")


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


def _predict(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    import pandas as pd

    from edaemo._predict import find_needs, predict_file, read_stimuli
    from edaemo._whole_file import whole_file
    from edaemo.datasets._recordings import find_recordings, read_recording

    try:
        model = edaemo.load(arguments.model)
        needs = find_needs(model)
        needs.check_rate(arguments.sampling_rate)
        files = [file for file, _ in find_recordings(arguments.inputs)]
        heard = dict.fromkeys(map(str, files), arguments.stimulus)
        if arguments.stimuli is not None:
            heard |= read_stimuli(Path(arguments.stimuli))
        if needs.stimuli is not None and (lacking := [f for f in files if heard[str(f)] is None]):
            raise ValueError(
                f"the model needs to know what was heard, and for {lacking[0]} it is not said: "
                "give --stimulus, or --stimuli with a line for each file."
            )
        if needs.subject and arguments.subject is None:
            raise ValueError("the model standardises within people: give --subject.")
    except (ValueError, OSError) as error:
        parser.exit(2, f"edaemo: error: {error}\n")
    read = partial(read_recording, sampling_rate=arguments.sampling_rate, column=arguments.column)
    rows, failed = [], []
    for file in files:
        with warnings.catch_warnings(record=True) as notes:
            warnings.simplefilter("always")
            found = predict_file(
                model, needs, file, read, stimulus=heard[str(file)], subject=arguments.subject
            )
        (failed if isinstance(found, str) else rows).append(found)
        for note in notes:
            print(f"Note: {file}: {note.message}", file=sys.stderr)
    for error in failed:
        print(error, file=sys.stderr)
    text = pd.DataFrame(rows).to_csv(index=False) if rows else ""
    if arguments.out is None:
        sys.stdout.write(text)
    elif rows:
        try:
            with whole_file(Path(arguments.out)) as part:
                part.write_text(text, encoding="utf-8")
        except OSError as error:
            parser.exit(2, f"edaemo: error: {arguments.out}: cannot be written: {error}\n")
    return 1 if failed else 0


def _compare(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    try:
        return _evaluate(arguments)
    except ValueError as error:  # every error of ours about arguments, data and store is one
        parser.exit(2, f"edaemo: error: {error}\n")


def _evaluate(arguments: argparse.Namespace) -> int:
    from edaemo.benchmark import STUDIES, evaluate
    from edaemo.benchmark._registry import find

    sys.path.insert(0, "")
    for module in arguments.plugin:
        try:
            import_module(module)
        except ImportError as error:
            raise ValueError(f"--plugin {module}: {error}") from error
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
    told = ("study", "target", "threshold", "protocol", "pipeline", "repeat", "fold")
    told += ("status", "error", "scores", "fit_seconds")
    print(json.dumps({"fold": {name: getattr(record, name) for name in told}}), flush=True)


def _report(table: pd.DataFrame, notes: list[str], out: Path, *, as_json: bool) -> None:
    """Print every table and write it, with its figure, into a folder of its own."""
    from edaemo.benchmark._tables import format_table
    from edaemo.inspection import plot_comparison

    case = ["study", "target", "threshold", "protocol"]
    for (study, target, threshold, protocol), rows in table.groupby(case, sort=False, dropna=False):
        fixed = isinstance(threshold, float) and threshold == threshold
        place = out / study / (f"{target}-above-{threshold:g}" if fixed else target) / protocol
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


if __name__ == "__main__":
    sys.exit(main())
