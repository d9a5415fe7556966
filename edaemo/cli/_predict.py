"""Define the command ``edaemo predict``."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import Any

import edaemo
from edaemo.cli._arguments import (
    add_plugins,
    add_reading,
    import_plugins,
    print_errors,
    print_left_out,
    print_notes,
    reading_settings,
)
from edaemo.cli._output import escape, to_csv


def add_predict(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser."""
    predict = commands.add_parser(
        "predict",
        help="predict the emotion in recordings with a saved model",
        description="Predict the emotion in recordings of EDA (E4, text, parquet and other files) "
        "with a model of edaemo.save. A table with a column trial has one trial for each value of "
        "this column. An E4 session has one trial between two presses of the button. Any other "
        "file is one trial. The output is a CSV with one row for each trial: file, trial, "
        "predicted, probability_CLASS for each class, and quality (what is wrong with the "
        "recording). The prediction is missing if more than half of the samples are not usable. "
        "A text that a spreadsheet would run as a formula begins with a quote.",
        epilog="Exit status: 0 if all trials were predicted, 1 if some failed, 2 for wrong "
        "arguments or an unusable model, 130 after Ctrl-C.",
    )
    predict.set_defaults(run=_predict, interrupted="No table was written.")
    predict.add_argument("model", metavar="MODEL", help="model file of edaemo.save")
    predict.add_argument(
        "inputs",
        nargs="+",
        metavar="FILES",
        help="recordings, or folders to search at any depth; their files without EDA are left out",
    )
    add_reading(predict)
    predict.add_argument(
        "--tags",
        choices=("consecutive", "pairs", "ignore"),
        default="consecutive",
        help="how button presses (tags.csv next to EDA.csv) delimit the trials of an E4 session. "
        "consecutive (default): from each press to the next. pairs: from the first to the second, "
        "from the third to the fourth, and so on. ignore: the session is one trial. A session "
        "without presses is always one trial",
    )
    stimulus = predict.add_mutually_exclusive_group()
    stimulus.add_argument(
        "--stimulus", metavar="NAME", help="music in all files, for a model with music"
    )
    stimulus.add_argument(
        "--stimuli",
        metavar="CSV",
        help="music in each file: a CSV with the columns file (as given), stimulus and, for files "
        "with several trials, trial",
    )
    predict.add_argument(
        "--subject",
        metavar="ID",
        help="id of the person, for a model that standardises within people",
    )
    predict.add_argument(
        "--trusted",
        nargs="+",
        default=[],
        metavar="CLASS",
        help="your networks that the model may contain, such as mypackage.MyNet; their modules are "
        "imported",
    )
    predict.add_argument(
        "--trusted-keys",
        nargs="+",
        metavar="KEY",
        help="public Ed25519 keys, one of which must have signed the model: files in PEM format, "
        "or 64 hexadecimal digits each, as `edaemo describe` prints them",
    )
    predict.add_argument(
        "--any-quality",
        action="store_true",
        help="predict also if more than half of the samples of a trial are not usable",
    )
    add_plugins(predict, "decompositions")
    predict.add_argument("--out", metavar="FILE", help="file for the table (default: stdout)")


def _predict(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    import pandas as pd

    from edaemo._predict import Stimuli, find_needs, predict_file, read_stimuli
    from edaemo._whole_file import whole_file
    from edaemo.datasets import choose_recordings, read_file_trials

    try:
        import_plugins(arguments.plugin)
        with print_notes(arguments.model, sys.stderr):
            model = edaemo.load(
                arguments.model, trusted=arguments.trusted, trusted_keys=arguments.trusted_keys
            )
        needs = find_needs(model)
        needs.check_rate(arguments.sampling_rate)
        settings = reading_settings(arguments)
        found, left_out = choose_recordings(
            arguments.inputs, column=arguments.column, options=settings["options"]
        )
        files = [file for file, _ in found]
        stimulus: Stimuli = {} if arguments.stimulus is None else {None: arguments.stimulus}
        heard = dict.fromkeys(map(str, files), stimulus)
        if arguments.stimuli is not None:
            heard |= read_stimuli(Path(arguments.stimuli))
        if needs.stimuli is not None and (unnamed := [f for f in files if not heard[str(f)]]):
            raise ValueError(
                f"the model needs the stimulus of each file, but {unnamed[0]} has no stimulus. "
                "Pass --stimulus, or --stimuli with a line for each file."
            )
        if needs.subject and arguments.subject is None:
            raise ValueError("the model standardises within people. Pass --subject.")
    except (ValueError, OSError, ImportError) as error:
        parser.exit(2, f"edaemo: error: {error}\n")
    print_left_out(left_out, sys.stderr)
    read = partial(read_file_trials, **settings, tags=arguments.tags)
    rows: list[dict[str, Any]] = []
    failed: list[tuple[Path, str]] = []
    for file in files:
        with print_notes(file, sys.stderr):
            predicted, errors = predict_file(
                model,
                needs,
                file,
                read,
                heard=heard[str(file)],
                subject=arguments.subject,
                any_quality=arguments.any_quality,
            )
        rows += [row | {"file": escape(row["file"])} for row in predicted]
        failed += [(file, error) for error in errors]
    print_errors(failed, sys.stderr)
    table = pd.DataFrame(rows)
    if rows:
        table["quality"] = table.pop("quality")  # the last column
    text = to_csv(table) if rows else ""
    if arguments.out is None:
        sys.stdout.write(text)
    elif rows:
        try:
            with whole_file(Path(arguments.out)) as part:
                part.write_text(text, encoding="utf-8")
        except OSError as error:
            parser.exit(2, f"edaemo: error: {arguments.out}: cannot be written: {error}\n")
    return 1 if failed else 0
