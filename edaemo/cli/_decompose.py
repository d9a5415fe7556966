"""Define the command ``edaemo decompose``."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from edaemo.cli._arguments import (
    add_method,
    add_reading,
    import_plugins,
    make_folder,
    print_errors,
    print_left_out,
    read_repair,
    reading_settings,
)

if TYPE_CHECKING:
    from edaemo.preprocessing import Outcome


def add_decompose(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser."""
    decompose = commands.add_parser(
        "decompose",
        help="decompose recordings into phasic, tonic and driver with cvxEDA or a filter",
        description="Decompose recordings of EDA (E4, text, parquet and other files) with cvxEDA "
        "or another --method. OUT contains one file for each recording, with the columns time (s), "
        "eda, phasic, tonic, driver (per second; if the method has one) and residual, in "
        "microsiemens, and quality (1: usable, 0: missing, no contact, saturated, or settling of "
        "the sensor). Repeat an interrupted command to continue it: files that it has finished are "
        "skipped.",
        epilog="Exit status: 0 if all files were decomposed, 1 if some failed, 2 for wrong "
        "arguments or an OUT that cannot be written to, 130 after Ctrl-C.",
    )
    decompose.set_defaults(
        run=_decompose,
        interrupted="Finished files are complete; no partial file is left. Repeat the same command "
        "to continue.",
    )
    decompose.add_argument(
        "inputs",
        nargs="+",
        metavar="IN",
        help="recordings, or folders to search at any depth; their files without EDA are left out",
    )
    decompose.add_argument(
        "out", metavar="OUT", help="folder for the results; it keeps the paths below a folder IN"
    )
    add_reading(decompose)
    add_method(decompose, "cvxeda", repair="none")
    decompose.add_argument(
        "--format",
        default="csv",
        choices=["csv", "parquet"],
        help="format of the results (default: csv)",
    )
    decompose.add_argument(
        "--jobs",
        type=_n_jobs,
        default=1,
        metavar="N",
        help="number of processes; -1: one for each core",
    )
    decompose.add_argument(
        "--plot",
        action="store_true",
        help="also draw each recording with its components and responses, as a PNG next to its "
        "result",
    )
    decompose.add_argument("--overwrite", action="store_true", help="replace existing results")


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


def _plot(result: Path) -> None:
    """Draw the components in a result, and write the picture next to it."""
    import matplotlib
    import numpy as np
    import pandas as pd

    from edaemo.decomposition import Components, scr_events
    from edaemo.inspection import plot_decomposition, save_figure

    matplotlib.use("Agg")  # figures are written to files only
    table = pd.read_parquet(result) if result.suffix == ".parquet" else pd.read_csv(result)
    columns = {name: table[name].to_numpy(dtype=np.float64) for name in table}
    sampling_rate = 1 / (columns["time"][1] - columns["time"][0])
    parts = Components(
        columns["phasic"], columns["tonic"], columns.get("driver"), columns["residual"]
    )
    axes = plot_decomposition(
        parts,
        sampling_rate,
        signal=columns["eda"],
        responses=scr_events(parts.phasic, sampling_rate, recording=columns["eda"]),
        unit="µS",
        title=result.stem,
    )
    save_figure(axes[0], result.with_suffix(".png"))


def _decompose(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    from edaemo.datasets import choose_recordings, read_recording
    from edaemo.decomposition import find_decomposition
    from edaemo.preprocessing import FinishedFiles, decompose_files, plan_outputs

    if arguments.format == "parquet" and not _can_import("pyarrow"):
        needed = "pip install edaemo[parquet]"
        parser.exit(2, f"edaemo: error: --format parquet needs pyarrow: {needed}\n")
    out = Path(arguments.out)
    try:
        import_plugins(arguments.plugin)
        method = find_decomposition(arguments.method, dict(arguments.setting))
        settings = reading_settings(arguments)
        found, left_out = choose_recordings(
            arguments.inputs,
            leave_out=out,
            column=arguments.column,
            options=settings["options"],
        )
        chosen = {"method": method, "missing": arguments.missing, "repair": arguments.repair}
        finished = FinishedFiles(out, {**settings, **chosen, "name": method.name})
        plan = plan_outputs(
            found,
            out,
            suffix=f".{arguments.format}",
            overwrite=arguments.overwrite,
            finished=finished,
        )
        make_folder(out)
    except ValueError as error:
        parser.exit(2, f"edaemo: error: {error}\n")
    outcomes = decompose_files(
        plan,
        partial(read_recording, **settings),
        method=method,
        missing=arguments.missing,
        repair=read_repair(arguments),
        overwrite=arguments.overwrite,
        n_jobs=arguments.jobs,
        progress=True,
        finished=finished,
    )
    if arguments.plot:
        for (_, target), outcome in zip(plan, outcomes, strict=True):
            picture_exists = target.with_suffix(".png").exists()
            if outcome.state == "done" or (outcome.state == "skipped" and not picture_exists):
                _plot(target)
    return _print_outcomes(outcomes, left_out, out)


def _print_outcomes(outcomes: Sequence[Outcome], left_out: Mapping[Path, str], out: Path) -> int:
    """Print the notes and errors of all files; return the exit status."""
    from edaemo._ids import group_messages

    failed = [(o.source, o.error) for o in outcomes if o.error is not None]
    for note in group_messages((o.source, note) for o in outcomes for note in o.notes):
        print(f"Note: {note}")
    print_left_out(left_out, sys.stdout)
    count = Counter(outcome.state for outcome in outcomes)
    n_done = count["done"] + count["skipped"]
    if count["skipped"]:
        print(
            f"{count['skipped']} of {len(outcomes)} files were done before with the same settings, "
            "and were skipped."
        )
    print(f"{n_done} of {len(outcomes)} files done, {len(failed)} failed: {out}")
    sys.stdout.flush()
    print_errors(failed, sys.stderr)
    if count["not tried"]:
        print(
            f"{count['not tried']} files were not tried, because {out} cannot be written to: free "
            "some space, and repeat the same command to continue.",
            file=sys.stderr,
        )
    return 1 if n_done < len(outcomes) else 0
