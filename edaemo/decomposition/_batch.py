"""Trials in parallel: threads for code that releases the interpreter lock, else processes."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from joblib import delayed

from edaemo._processes import worker_processes
from edaemo.decomposition._compiled import Stopped, Workspace

Progress = Callable[[int, int], object] | None

# Seconds between checks for a keyboard interrupt, on systems where waiting for a queue cannot be
# interrupted.
_PATIENCE = 0.2

# Trials per worker and call.
_GROUP = 16


def in_processes(
    work: Callable[..., Any], trials: Sequence[Any], workers: int, progress: Progress
) -> list[Any]:
    """Return the results of ``work(row, [trial])`` for all trials, computed in processes.

    Trials are sent in groups, so that little is computed in vain after an error.
    """
    results = []
    with worker_processes(workers) as pool, pool as parallel:
        for begin in range(0, len(trials), _GROUP * workers):
            group = enumerate(trials[begin : begin + _GROUP * workers], begin)
            for result in parallel(delayed(_attempt)(work, row, trial) for row, trial in group):
                if isinstance(result, Exception):
                    raise result
                results.extend(result)
                if progress is not None:
                    progress(len(results), len(trials))
    return results


def _attempt(work: Callable[..., Any], row: int, trial: Any) -> Any:
    """Return the result or the error, so that the caller can raise the error of the first row."""
    try:
        return work(row, [trial])
    except Exception as error:  # noqa: BLE001 - raised by the calling process
        return error


def in_threads(
    work: Callable[..., Any], trials: Sequence[Any], workers: int, progress: Progress
) -> list[Any]:
    """Return the results of ``work(row, trials, workspace, stop)``, computed in threads.

    A single worker is the calling thread. If an error, an interrupt or `progress` ends the call
    early, all threads end before the function returns.
    """
    if workers == 1:
        workspace, stop, results = Workspace(), ctypes.c_int32(0), []
        for row, trial in enumerate(trials):
            results.extend(work(row, [trial], workspace, stop))
            if progress is not None:
                progress(len(results), len(trials))
        return results

    # Several trials per call: threads that need the interpreter lock every 0.25 ms were measured
    # to run one after another, not in parallel.
    size = min(_GROUP, -(-len(trials) // (4 * workers)))
    batch = _Batch(work, trials, size)
    threads = [Thread(target=batch.serve, daemon=True) for _ in range(workers)]
    try:
        for thread in threads:
            thread.start()
        running, n_done = workers, 0
        while running:
            try:
                news = batch.news.get(timeout=_PATIENCE)
            except Empty:
                continue
            if news == 0:
                running -= 1
            for _ in range(news):
                n_done += 1
                if progress is not None:
                    progress(n_done, len(trials))
    finally:
        batch.end()
        batch.stop.value = 1
        for thread in threads:
            if thread.ident is not None:
                thread.join()
    if batch.errors:
        raise batch.errors[min(batch.errors)]
    return batch.results


class _Batch:
    """State that the threads share: the rows not started yet, results and errors."""

    def __init__(self, work: Callable[..., Any], trials: Sequence[Any], size: int) -> None:
        self.work, self.trials, self.size = work, trials, size
        self.begins = iter(range(0, len(trials), size))
        self.results: list[Any] = [None] * len(trials)
        self.errors: dict[int, BaseException] = {}
        self.stop = ctypes.c_int32(0)
        self.news: SimpleQueue[int] = SimpleQueue()  # number of finished trials; 0: thread ended

    def serve(self) -> None:
        """Process groups of rows, with one workspace, until no row is left."""
        workspace = Workspace()
        for begin in self.begins:
            some = self.trials[begin : begin + self.size]
            try:
                done = self.work(begin, some, workspace, self.stop)
            except Stopped:
                break
            except BaseException as error:  # noqa: BLE001 - raised again by the calling thread
                self.errors[begin] = error
                # Rows are started in order, so all earlier rows are still processed.
                self.end()
                break
            self.results[begin : begin + self.size] = done
            self.news.put(len(done))
        self.news.put(0)

    def end(self) -> None:
        """Drop all rows that have not started."""
        for _ in self.begins:
            pass
