"""Decomposition of recordings in files; the components are written to files."""

from __future__ import annotations

import errno
import os
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import delayed

from edaemo._processes import results_as_finished, worker_processes
from edaemo._progress import progress_bar
from edaemo._validation import LARGEST, read_signals
from edaemo._whole_file import whole_file
from edaemo.decomposition import DecompositionError, DecompositionMethod, find_decomposition
from edaemo.preprocessing._decomposed import DecomposedTrial, check_masking, decompose_trial
from edaemo.preprocessing._findings import describe_quality
from edaemo.preprocessing._finished import FinishedFiles
from edaemo.preprocessing._repair import Repaired, repair_signals

# The disk cannot be written to, so that no other file can be written either.
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
# Returns the EDA of a file, float64 with NaN for missing samples, and its sampling rate in Hz.
Read = Callable[[Path], tuple[np.ndarray, float]]


@dataclass(frozen=True)
class Outcome:
    """Result of the decomposition of one file.

    Parameters
    ----------
    source : Path
        The recording.
    error : str or None, default=None
        Error message, one line that begins with the path of the file; None if it succeeded.
    notes : tuple of str, default=()
        Remarks that affect the interpretation of the output.
    state : {"done", "skipped", "failed", "not tried"}, default="done"
        "skipped": an earlier run has finished it with the same settings. "not tried": the disk of
        the outputs is full or read-only, which is the error of an earlier file.
    """

    source: Path
    error: str | None = None
    notes: tuple[str, ...] = ()
    state: str = "done"


def plan_outputs(
    found: Sequence[tuple[Path, Path]],
    out: str | os.PathLike[str],
    *,
    suffix: str = ".csv",
    overwrite: bool = False,
    finished: FinishedFiles | None = None,
) -> list[tuple[Path, Path]]:
    """Return the output file of each recording.

    Parameters
    ----------
    found : sequence of (path, relative path)
        Recordings, from `edaemo.datasets.find_recordings`.
    out : path
        Folder of the outputs. The relative path of an output is that of its recording.
    suffix : {".csv", ".parquet"}, default=".csv"
        Suffix of the outputs; replaces the suffix of the recordings.
    overwrite : bool, default=False
        Whether existing outputs are replaced.
    finished : FinishedFiles or None, default=None
        Outputs of an earlier run that may exist.

    Returns
    -------
    list of (path, path)
        Recording and output.

    Raises
    ------
    ValueError
        If `out` is not a folder, two recordings have the same output, an output is one of the
        recordings, or an output exists that is not in `finished`, and `overwrite` is False.
    """
    if Path(out).exists() and not Path(out).is_dir():
        raise ValueError(f"{out} is a file: give a folder for the outputs.")
    plan = [(source, Path(out) / relative.with_suffix(suffix)) for source, relative in found]
    recordings = {source.resolve(): source for source, _ in plan}
    taken: dict[Path, Path] = {}
    for source, target in plan:
        place = target.resolve()
        if place in taken:
            raise ValueError(
                f"{taken[place]} and {source} would both be written to {target}. Pass a folder "
                "that holds both, so that their relative paths differ, or run them one by one."
            )
        if place in recordings:
            raise ValueError(f"{target} is itself a recording to be read. Use another folder.")
        taken[place] = source
    if overwrite:
        return plan
    existing = [
        target
        for source, target in plan
        if target.exists() and (finished is None or finished.find(source, target) is None)
    ]
    if existing:
        raise ValueError(
            f"{len(existing)} of {len(plan)} outputs exist already, and this command with these "
            f"settings has not made them from these recordings, first {existing[0]}. Overwrite "
            "them (--overwrite), or use another folder."
        )
    return plan


def decompose_file(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    read: Read,
    *,
    method: str | DecompositionMethod = "cvxeda",
    missing: str = "raise",
    repair: str | None = None,
    overwrite: bool = False,
    on_written: Callable[[Path, tuple[str, ...]], object] | None = None,
) -> tuple[str, ...]:
    """Decompose one recording and write its components to a file.

    ``eda = phasic + tonic + residual``. For cvxEDA and other methods that need unit variance, the
    recording is z-scored before the decomposition and the components are scaled back.

    Parameters
    ----------
    source : path
        The recording.
    target : path
        The output, ending in ``.csv`` or ``.parquet``; its folder is created if necessary. It is
        written completely or not at all. Columns, all float64: ``time`` (s, from 0), ``eda`` (as
        read), ``phasic``, ``tonic``, ``driver`` (per second; only if the method computes it) and
        ``residual``, in the unit of the recording, and ``quality``, 1 for usable samples and 0 for
        others (see `describe_quality`). Missing samples of ``eda`` are written as they were read;
        if they were masked, ``residual`` is NaN at these samples.
    read : callable
        Takes the path of a recording; returns its EDA and sampling rate, like
        `edaemo.datasets.read_recording`.
    method : str or DecompositionMethod, default="cvxeda"
        A registered name, or an object with settings; see
        :func:`edaemo.decomposition.register_decomposition`.
    missing : {"raise", "interpolate", "mask"}, default="raise"
        Treatment of samples that are missing (NaN), infinite or beyond float32's range. "raise": an
        error. "interpolate": linear interpolation between finite neighbours (the nearest finite
        sample at the ends). "mask": no weight in the decomposition, if the method can mask.
    repair : {"interpolate", "mask"} or None, default=None
        Treatment of artefacts, as in `EDADecomposer`. At repaired samples, ``residual`` is
        ``eda - phasic - tonic``, so that the components add up to the samples as read.
    overwrite : bool, default=False
        Whether an existing output is replaced.
    on_written : callable or None, default=None
        Called with the path of the complete output under its temporary name, and the remarks,
        before the output gets its name.

    Returns
    -------
    tuple of str
        Remarks: the warnings of `read`, the findings of `describe_quality`, missing samples,
        repaired samples, a constant recording, a solver that missed its tolerance, phasic and tonic
        that cancel each other.

    Raises
    ------
    ValueError
        If the recording is too short, has missing samples and `missing` is "raise", has no finite
        sample (fewer than two for "mask"), or the method is unknown or refuses the recording. The
        message begins with the path of the recording. `read` may raise other errors.
    DecompositionError
        If the method finds no acceptable solution. The message begins with the path of the
        recording.
    FileExistsError
        If the output exists and `overwrite` is False.
    """
    source, target = Path(source), Path(target)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        eda, sampling_rate = read(source)
    notes = [str(warning.message).removeprefix(f"{source}: ") for warning in caught]
    try:
        method = find_decomposition(method)
        method.check(sampling_rate)
        check_masking(method, missing, repair)
        signal, n_missing = _fill(eda, missing)
        repaired = repair_signals([signal], sampling_rate, repair)[0]
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error
    trial = decompose_trial(
        repaired.signal,
        sampling_rate,
        method,
        standardize=method.unit_variance,
        name=lambda row: str(source),
    )
    table = trial.rescale().to_frame()
    rest = eda - table["phasic"] - table["tonic"]
    table["residual"] = np.where(repaired.replaced, rest, table["residual"])
    table.insert(0, "time", np.arange(len(eda)) / sampling_rate)
    table.insert(1, "eda", eda)
    quality = describe_quality(eda, sampling_rate)
    table["quality"] = quality.usable.astype(np.float64)
    remarks = _remark(trial, n_missing, missing, repaired)
    remarks = (*dict.fromkeys(notes), *quality.findings, *remarks)
    with _written(table, target, overwrite=overwrite) as part:
        if on_written is not None:
            on_written(part, remarks)
    return remarks


def decompose_files(
    plan: Sequence[tuple[Path, Path]],
    read: Read,
    *,
    method: str | DecompositionMethod = "cvxeda",
    missing: str = "raise",
    repair: str | None = None,
    overwrite: bool = False,
    n_jobs: int | None = None,
    progress: bool | None = False,
    finished: FinishedFiles | None = None,
) -> list[Outcome]:
    """Decompose recordings with `decompose_file`; continue after errors.

    It stops after an error of a full or read-only disk, since no other output could be written.

    Parameters
    ----------
    plan : sequence of (path, path)
        Recordings and outputs, from `plan_outputs`.
    read : callable
        As in `decompose_file`.
    method : str or DecompositionMethod, default="cvxeda"
        As in `decompose_file`.
    missing : str, default="raise"
        As in `decompose_file`.
    repair : str or None, default=None
        As in `decompose_file`.
    overwrite : bool, default=False
        As in `decompose_file`.
    n_jobs : int or None, default=None
        Number of processes, as in joblib.
    progress : bool or None, default=False
        Whether to show the progress on standard error: a bar, or a line every 30 s if standard
        error is a file or a pipe. None: only in a terminal or a notebook.
    finished : FinishedFiles or None, default=None
        Record of the finished outputs. Outputs in it are skipped unless `overwrite` is True, and
        new ones are added.

    Returns
    -------
    list of Outcome
        In the order of `plan`.
    """
    outcomes: dict[Path, Outcome] = {}
    if finished is not None and not overwrite:
        for source, target in plan:
            if (notes := finished.find(source, target)) is not None:
                outcomes[target] = Outcome(source, notes=notes, state="skipped")
    todo = [(source, target) for source, target in plan if target not in outcomes]
    attempt = partial(
        _try_file,
        read=read,
        method=method,
        missing=missing,
        repair=repair,
        overwrite=overwrite,
        finished=finished,
    )
    try:
        with (
            progress_bar(len(plan), initial=len(outcomes), unit="file", shown=progress) as bar,
            closing(_attempt_all(attempt, todo, n_jobs)) as results,
        ):
            for target, outcome, is_disk in results:
                outcomes[target] = outcome
                bar.update()
                if is_disk:
                    break
    except BrokenProcessPool:
        lost = "a worker process died, perhaps for lack of memory. Use fewer processes."
        for source, target in plan:
            outcomes.setdefault(target, Outcome(source, f"{source}: {lost}", state="failed"))
    finally:
        for _, target in plan:
            with suppress(NotADirectoryError):  # then nothing was written there
                _part(target).unlink(missing_ok=True)
    return [outcomes.get(target, Outcome(source, state="not tried")) for source, target in plan]


def _attempt_all(
    attempt: Callable[[Path, Path], tuple[Path, Outcome, bool]],
    todo: Sequence[tuple[Path, Path]],
    n_jobs: int | None,
) -> Generator[tuple[Path, Outcome, bool], None, None]:
    """Yield the results of `attempt` in the order in which they finish."""
    with worker_processes(n_jobs, return_as="generator_unordered") as parallel:
        tasks = (delayed(attempt)(source, target) for source, target in todo)
        yield from results_as_finished(parallel, tasks)


def _try_file(
    source: Path,
    target: Path,
    *,
    read: Read,
    method: str | DecompositionMethod,
    missing: str,
    repair: str | None,
    overwrite: bool,
    finished: FinishedFiles | None,
) -> tuple[Path, Outcome, bool]:
    """Return the output, its outcome, and whether the disk of the outputs is the cause."""
    is_disk = False
    try:
        notes = decompose_file(
            source,
            target,
            read,
            method=method,
            missing=missing,
            repair=repair,
            overwrite=overwrite,
            on_written=None if finished is None else partial(finished.add, source, target),
        )
    except MemoryError:
        error = "not enough memory for a recording of this length. Split it into parts."
    except (ValueError, DecompositionError, OSError, ImportError) as raised:
        error = " ".join(str(raised).split()).removeprefix(f"{source}: ")
        is_disk = isinstance(raised, OSError) and raised.errno in _DISK
    else:
        return target, Outcome(source, notes=notes), False
    return target, Outcome(source, f"{source}: {error}", state="failed"), is_disk


def _fill(eda: np.ndarray, missing: str) -> tuple[np.ndarray, int]:
    """Return the samples, with NaN for masked samples, and the number of missing samples."""
    finite = np.abs(eda) <= LARGEST
    n_missing = int(np.sum(~finite))
    if len(eda) < 2:
        raise ValueError(f"too short: {len(eda)} sample; the minimum is 2.")
    if n_missing == len(eda):
        raise ValueError("all samples are missing or infinite.")
    if n_missing and missing == "raise":
        raise ValueError(
            f"{n_missing} of {len(eda)} samples are missing (NaN), infinite or beyond float32, the "
            f"first is sample {int(np.argmin(finite))}, counted from 0. Repair the file, "
            "interpolate them (--missing interpolate) or give them no weight (--missing mask)."
        )
    if missing == "mask":
        return np.where(finite, eda, np.nan), n_missing
    return read_signals(None, pd.Series([eda]), reset=None, missing=missing)[0]


def _part(target: Path) -> Path:
    """Return the temporary path of an output while it is written."""
    return target.with_name(f".{target.name}.part")


@contextmanager
def _written(table: pd.DataFrame, target: Path, *, overwrite: bool) -> Iterator[Path]:
    """Write a table; yield its temporary path before it gets its name."""
    if target.exists() and not overwrite:
        raise FileExistsError(f"the output {target} exists already.")
    target.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(target, _part(target)) as part:
        if target.suffix == ".parquet":
            table.to_parquet(part, engine="pyarrow", index=False, write_page_checksum=True)
        else:
            table.to_csv(part, index=False)
        yield part


def _remark(
    trial: DecomposedTrial, n_missing: int, missing: str, repaired: Repaired
) -> tuple[str, ...]:
    """Return the remarks on a decomposition."""
    diagnostics = trial.diagnose()
    treatment = "masked" if missing == "mask" else "interpolated"
    remarks = {
        f"{n_missing} of {len(trial.source)} samples were {treatment}.": n_missing > 0,
        f"artefacts: {repaired.n_repaired} of {len(trial.source)} samples were repaired.": (
            repaired.n_repaired > 0
        ),
        "artefacts: fewer than two samples are free of them; nothing was repaired.": (
            repaired.beyond_repair
        ),
        "constant: all of it is tonic.": diagnostics["flat"],
        f"the solver missed its tolerance, relative gap {diagnostics['gap']:.1e}.": (
            diagnostics["status"] != "optimal"
        ),
        "phasic and tonic largely cancel each other.": diagnostics["cancellation"],
    }
    return tuple(remark for remark, applies in remarks.items() if applies)
