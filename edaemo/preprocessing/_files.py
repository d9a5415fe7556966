"""Recordings in files to files with their components."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from tqdm import tqdm

from edaemo._validation import LARGEST, read_signals
from edaemo._whole_file import whole_file
from edaemo.decomposition import DecompositionError, DecompositionMethod, find_decomposition
from edaemo.preprocessing._decomposed import DecomposedTrial, check_masking, decompose_trial

# Gives the EDA of a file, float64 and NaN where it is missing, and its sampling rate in Hz.
Read = Callable[[Path], tuple[np.ndarray, float]]


@dataclass(frozen=True)
class Outcome:
    """What became of one file.

    Attributes
    ----------
    source : Path
        The recording.
    error : str or None
        Why there is no output, in one line that begins with the file's path; None if there is.
    notes : tuple of str
        What the reader of the output should know of it.
    """

    source: Path
    error: str | None = None
    notes: tuple[str, ...] = ()


def plan_outputs(
    found: Sequence[tuple[Path, Path]],
    out: str | os.PathLike[str],
    *,
    suffix: str = ".csv",
    overwrite: bool = False,
) -> list[tuple[Path, Path]]:
    """Decide which file each recording's components go to.

    Parameters
    ----------
    found : sequence of (path, relative path)
        Recordings, as `edaemo.datasets.find_recordings` gives them.
    out : path
        Folder of the outputs. An output has the relative path of its recording.
    suffix : {".csv", ".parquet"}, default=".csv"
        What the outputs end in, in place of the recordings' suffix.
    overwrite : bool, default=False
        Whether outputs that are already there are replaced.

    Returns
    -------
    list of (path, path)
        Recording and output.

    Raises
    ------
    ValueError
        If `out` is no folder, two recordings have one output, an output is one of the recordings,
        or an output is there already and `overwrite` is False.
    """
    if Path(out).exists() and not Path(out).is_dir():
        raise ValueError(f"{out} is a file, where the folder for the outputs is expected.")
    plan = [(source, Path(out) / relative.with_suffix(suffix)) for source, relative in found]
    recordings = {source.resolve(): source for source, _ in plan}
    taken: dict[Path, Path] = {}
    for source, target in plan:
        place = target.resolve()
        if place in taken:
            raise ValueError(
                f"{taken[place]} and {source} would both be written to {target}. Give a folder "
                "that holds both, so that their paths in it are kept, or do them one by one."
            )
        if place in recordings:
            raise ValueError(f"{target} is itself a recording to be read. Give another folder.")
        taken[place] = source
    there = [target for _, target in plan if target.exists()]
    if there and not overwrite:
        raise ValueError(
            f"{len(there)} of {len(plan)} outputs exist already, first {there[0]}. Overwrite them "
            "(--overwrite), or give another folder."
        )
    return plan


def decompose_file(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    read: Read,
    *,
    method: str | DecompositionMethod = "cvxeda",
    missing: str = "raise",
    overwrite: bool = False,
) -> tuple[str, ...]:
    """Decompose one recording and write its components to a file.

    ``eda = phasic + tonic + residual``. For cvxEDA, and whatever else needs unit variance, the
    recording is z-scored before and the components are scaled back.

    Parameters
    ----------
    source : path
        The recording.
    target : path
        The output, ending in ``.csv`` or ``.parquet``; its folder is made if need be. It appears
        whole or not at all. Columns, all float64: ``time`` (s, from 0), ``eda`` (as read),
        ``phasic``, ``tonic``, ``driver`` (per second; where the method finds one) and
        ``residual``, in the unit of the recording. Where samples are missing, ``eda`` stays as it
        was read; ``residual`` is NaN there if they were masked.
    read : callable
        Takes the path of a recording and gives its EDA and sampling rate, as
        `edaemo.datasets.read_recording` does.
    method : str or DecompositionMethod, default="cvxeda"
        The name of a decomposition that is registered, or an object with its settings; see
        :func:`edaemo.decomposition.register_decomposition`.
    missing : {"raise", "interpolate", "mask"}, default="raise"
        What becomes of missing samples (NaN), infinite ones and those beyond float32's range: an
        error, linear interpolation between finite neighbours (the nearest one at the ends), or no
        weight in the decomposition, if the method masks.
    overwrite : bool, default=False
        Whether an output that is there already is replaced.

    Returns
    -------
    tuple of str
        What the reader of the output should know: missing samples, a constant recording, a
        decomposition off its tolerance, phasic and tonic that cancel each other.

    Raises
    ------
    ValueError
        If the recording is too short, or has missing samples that may not be, or none that are
        finite (one, if they are masked), or the method is unknown or refuses it. The message begins
        with the recording's path; `read` raises its own.
    DecompositionError
        If the method finds no acceptable answer; the message begins with the path, too.
    FileExistsError
        If the output is there already and `overwrite` is False.
    """
    source, target = Path(source), Path(target)
    eda, sampling_rate = read(source)
    try:
        method = find_decomposition(method)
        method.check(sampling_rate)
        check_masking(method, missing)
        signal, n_missing = _fill(eda, missing)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error
    trial = decompose_trial(
        signal,
        sampling_rate,
        method,
        standardize=method.unit_variance,
        name=lambda row: str(source),
    )
    result = trial.result
    columns = {
        "time": np.arange(len(eda)) / sampling_rate,
        "eda": eda,
        "phasic": trial.scale * result.phasic,
        "tonic": trial.scale * result.tonic + trial.offset,
        "driver": None if result.driver is None else trial.scale * result.driver,
        "residual": trial.scale * result.residual,
    }
    table = pd.DataFrame({name: values for name, values in columns.items() if values is not None})
    _write(table, target, overwrite=overwrite)
    return _remark(trial, n_missing, missing)


def decompose_files(
    plan: Sequence[tuple[Path, Path]],
    read: Read,
    *,
    method: str | DecompositionMethod = "cvxeda",
    missing: str = "raise",
    overwrite: bool = False,
    n_jobs: int | None = None,
    progress: bool = False,
) -> list[Outcome]:
    """Decompose recordings as `decompose_file` does; a bad one does not stop the others.

    Parameters
    ----------
    plan : sequence of (path, path)
        Recording and output, as `plan_outputs` gives them.
    read, method, missing, overwrite
        As in `decompose_file`.
    n_jobs : int or None, default=None
        Processes to share the work, as in joblib.
    progress : bool, default=False
        Whether a bar on stderr counts the files.

    Returns
    -------
    list of Outcome
        In the order of `plan`.
    """
    outcomes: dict[Path, Outcome] = {}
    work = Parallel(n_jobs=n_jobs, return_as="generator_unordered")(
        delayed(_try_file)(source, target, read, method, missing, overwrite)
        for source, target in plan
    )
    try:
        with tqdm(total=len(plan), unit="file", disable=not progress) as bar:
            for target, outcome in work:
                outcomes[target] = outcome
                bar.update()
    except BrokenProcessPool:
        lost = "a worker process died before it answered, perhaps for lack of memory. Try fewer."
        for source, target in plan:
            outcomes.setdefault(target, Outcome(source, f"{source}: {lost}"))
    finally:
        work.close()  # ends the workers after Ctrl-C; the killed ones cannot tidy up
        for _, target in plan:
            with suppress(NotADirectoryError):  # then nothing was written there
                _part(target).unlink(missing_ok=True)
    return [outcomes[target] for _, target in plan]


def _try_file(
    source: Path,
    target: Path,
    read: Read,
    method: str | DecompositionMethod,
    missing: str,
    overwrite: bool,
) -> tuple[Path, Outcome]:
    try:
        notes = decompose_file(
            source, target, read, method=method, missing=missing, overwrite=overwrite
        )
    except MemoryError:
        error = "not enough memory for a recording of this length. Cut it into parts."
    except (ValueError, DecompositionError, OSError, ImportError) as raised:
        error = " ".join(str(raised).split()).removeprefix(f"{source}: ")
    else:
        return target, Outcome(source, notes=notes)
    return target, Outcome(source, f"{source}: {error}")


def _fill(eda: np.ndarray, missing: str) -> tuple[np.ndarray, int]:
    """Return the samples, NaN only where they are to be masked, and how many were missing."""
    finite = np.abs(eda) <= LARGEST
    n_missing = int(np.sum(~finite))
    if len(eda) < 2:
        raise ValueError(f"too short: {len(eda)} sample, and 2 are the least.")
    if n_missing == len(eda):
        raise ValueError("all samples are missing or infinite.")
    if n_missing and missing == "raise":
        raise ValueError(
            f"{n_missing} of {len(eda)} samples are missing (NaN), infinite or beyond float32, the "
            f"first is sample {int(np.argmin(finite))}, counted from 0. Repair the file, or let "
            "them be interpolated (--missing interpolate) or have no weight (--missing mask)."
        )
    if missing == "mask":
        return np.where(finite, eda, np.nan), n_missing
    return read_signals(None, pd.Series([eda]), reset=None, missing=missing)[0]


def _part(target: Path) -> Path:
    """Return where an output is written until it is whole."""
    return target.with_name(f".{target.name}.part")


def _write(table: pd.DataFrame, target: Path, *, overwrite: bool) -> None:
    if target.exists() and not overwrite:
        raise FileExistsError(f"the output {target} exists already.")
    target.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(target, _part(target)) as part:
        if target.suffix == ".parquet":
            table.to_parquet(part, engine="pyarrow", index=False)
        else:
            table.to_csv(part, index=False)


def _remark(trial: DecomposedTrial, n_missing: int, missing: str) -> tuple[str, ...]:
    """Say what is odd about a decomposition."""
    known = trial.diagnose()
    done = "masked" if missing == "mask" else "interpolated"
    remarks = {
        f"{n_missing} of {len(trial.source)} samples were {done}.": n_missing > 0,
        "constant: all of it is tonic.": known["flat"],
        f"the solver missed its tolerance, relative gap {known['gap']:.1e}.": (
            known["status"] != "optimal"
        ),
        "phasic and tonic largely cancel each other.": known["cancellation"],
    }
    return tuple(remark for remark, holds in remarks.items() if holds)
