"""Many trials side by side: threads for what releases the lock, processes for what does not."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from joblib import Parallel, delayed

from edaemo.decomposition._compiled import Stopped, Workspace

Progress = Callable[[int, int], object] | None

# Seconds after which a waiting main thread looks for a keyboard interrupt, where waiting for a
# queue cannot be interrupted.
_PATIENCE = 0.2

# Trials for each worker at a time.
_GROUP = 16


def in_processes(
    work: Callable[..., Any], trials: Sequence[Any], workers: int, progress: Progress
) -> list[Any]:
    """Return what ``work(row, [trial])`` gives for each trial, in `workers` processes.

    Trials go out in groups, so that after an error little is done in vain.
    """
    results = []
    with Parallel(n_jobs=workers) as parallel:
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
    """Return an error instead of raising it, so that the first row is the first to be heard of."""
    try:
        return work(row, [trial])
    except Exception as error:  # noqa: BLE001 - raised by the calling process
        return error


def in_threads(
    work: Callable[..., Any], trials: Sequence[Any], workers: int, progress: Progress
) -> list[Any]:
    """Return what ``work(row, some_trials, workspace, stop)`` gives, in `workers` threads.

    A single worker is the calling thread. Whatever ends the call early, an error, an interrupt or
    what `progress` raises, no thread outlives it.
    """
    if workers == 1:
        workspace, stop, results = Workspace(), ctypes.c_int32(0), []
        for row, trial in enumerate(trials):
            results.extend(work(row, [trial], workspace, stop))
            if progress is not None:
                progress(len(results), len(trials))
        return results

    # Several trials for each call: threads that meet every quarter of a millisecond over the
    # interpreter's lock are found to run in turns rather than side by side.
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
    """What the threads share: the rows not begun yet, and what came of the others."""

    def __init__(self, work: Callable[..., Any], trials: Sequence[Any], size: int) -> None:
        self.work, self.trials, self.size = work, trials, size
        self.begins = iter(range(0, len(trials), size))
        self.results: list[Any] = [None] * len(trials)
        self.errors: dict[int, BaseException] = {}
        self.stop = ctypes.c_int32(0)
        self.news: SimpleQueue[int] = SimpleQueue()  # how many are done; 0 for a thread's end

    def serve(self) -> None:
        """Work on some rows after others, with one workspace, until there are no more."""
        workspace = Workspace()
        for begin in self.begins:
            some = self.trials[begin : begin + self.size]
            try:
                done = self.work(begin, some, workspace, self.stop)
            except Stopped:
                break
            except BaseException as error:  # noqa: BLE001 - raised again by the calling thread
                self.errors[begin] = error
                # Rows begin in order, so none before these is left out.
                self.end()
                break
            self.results[begin : begin + self.size] = done
            self.news.put(len(done))
        self.news.put(0)

    def end(self) -> None:
        """Let no further row begin."""
        for _ in self.begins:
            pass
