"""Many trials side by side: threads for what releases the lock, processes for what does not."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Sequence
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from joblib import Parallel, delayed

from edaemo.decomposition._compiled import Stopped, Workspace

Progress = Callable[[int, int], object] | None

# Seconds after which a waiting main thread looks for a keyboard interrupt, where waiting for a
# queue cannot be interrupted.
_PATIENCE = 0.2

# Trials for each process at a time.
_GROUP = 16


def in_processes(
    work: Callable[..., Any], trials: Sequence[Any], workers: int, progress: Progress
) -> list[Any]:
    """Return ``work(row, trial)`` of each trial, in `workers` processes.

    Trials go out in groups, so that after an error little is done in vain.
    """
    results = []
    with Parallel(n_jobs=max(workers, 1)) as parallel:
        for begin in range(0, len(trials), _GROUP * workers):
            group = enumerate(trials[begin : begin + _GROUP * workers], begin)
            for result in parallel(delayed(_attempt)(work, row, trial) for row, trial in group):
                if isinstance(result, Exception):
                    raise result
                results.append(result)
                if progress is not None:
                    progress(len(results), len(trials))
    return results


def _attempt(work: Callable[..., Any], row: int, trial: Any) -> Any:
    """Return an error instead of raising it, so that the first row is the first to be heard of."""
    try:
        return work(row, trial)
    except Exception as error:  # noqa: BLE001 - raised by the calling process
        return error


def in_threads(
    work: Callable[..., Any], trials: Sequence[Any], workers: int, progress: Progress
) -> list[Any]:
    """Return ``work(row, trial, workspace, stop)`` of each trial, in `workers` threads.

    A single worker is the calling thread. Whatever ends the call early, an error, an interrupt or
    what `progress` raises, no thread outlives it.
    """
    if workers <= 1:
        workspace, stop, results = Workspace(), ctypes.c_int32(0), []
        for row, trial in enumerate(trials):
            results.append(work(row, trial, workspace, stop))
            if progress is not None:
                progress(len(results), len(trials))
        return results

    stop, rows, done = ctypes.c_int32(0), iter(range(len(trials))), SimpleQueue()
    threads = [
        Thread(target=_serve, args=(work, trials, rows, stop, done), daemon=True)
        for _ in range(workers)
    ]
    results: dict[int, Any] = {}
    errors: dict[int, BaseException] = {}
    try:
        for thread in threads:
            thread.start()
        running = workers
        while running:
            try:
                row, result, error = done.get(timeout=_PATIENCE)
            except Empty:
                continue
            if row is None:
                running -= 1
            elif error is not None:
                errors[row] = error
                # Rows begin in order: those before it are done or under way, and are waited for.
                for _ in rows:
                    pass
            else:
                results[row] = result
                if progress is not None:
                    progress(len(results), len(trials))
    finally:
        for _ in rows:
            pass
        stop.value = 1
        for thread in threads:
            if thread.ident is not None:
                thread.join()
    if errors:
        raise errors[min(errors)]
    return [results[row] for row in range(len(trials))]


def _serve(
    work: Callable[..., Any],
    trials: Sequence[Any],
    rows: Iterator[int],
    stop: ctypes.c_int32,
    done: SimpleQueue,
) -> None:
    """Work on one row after another, with one workspace, until there are no more."""
    workspace = Workspace()
    for row in rows:
        try:
            done.put((row, work(row, trials[row], workspace, stop), None))
        except Stopped:
            break
        except BaseException as error:  # noqa: BLE001 - raised again by the calling thread
            done.put((row, None, error))
    done.put((None, None, None))
