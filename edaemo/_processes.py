"""Processes that work in parallel, and end with the process that started them."""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from joblib import Parallel
from joblib.parallel import LokyBackend, get_active_backend

from edaemo._shared_setting import SharedSetting

_SAFE_PATH = "PYTHONSAFEPATH"

# Seconds that joblib's thread gets to hand out its last task. It needs less than a thousandth.
_LAST_TASK = 0.3


def _write_safe_path(value: str | None) -> None:
    if value is None:
        os.environ.pop(_SAFE_PATH, None)
    else:
        os.environ[_SAFE_PATH] = value


# Python looks for modules in the current folder first if it is started with -m or -c, as joblib
# does. A file there with the name of a library would be run.
_safe_path: SharedSetting[str | None] = SharedSetting(
    lambda: os.environ.get(_SAFE_PATH), _write_safe_path, "1"
)


def end_with(driver: int) -> None:
    """End this process with `driver`, the process that started it, and not at Ctrl-C before it.

    Parameters
    ----------
    driver : int
        Id of the process.
    """

    def watch() -> None:
        while os.getppid() == driver:
            time.sleep(1)
        os._exit(1)

    if os.getpid() != driver:
        # A terminal sends Ctrl-C to all processes. The driver ends the others.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        threading.Thread(target=watch, daemon=True).start()


class _Loky(LokyBackend):  # type: ignore[misc]
    """joblib's own processes, killed without a message."""

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Kill the processes."""
        # A thread of joblib hands out the next task while the caller gets a result. If the
        # processes are killed meanwhile, it looks for that task in vain and prints a KeyError.
        time.sleep(_LAST_TASK)
        super().abort_everything(ensure_ready)


@contextmanager
def worker_processes(
    n_jobs: int | None, *, begin: Callable[[int], object] = end_with, **options: Any
) -> Iterator[Parallel]:
    """Yield joblib's Parallel, whose processes end when this process ends or is killed.

    They import the modules that this process would import, and none from the current folder unless
    it is on the path of this process.

    Parameters
    ----------
    n_jobs : int or None
        Number of processes, as in joblib.
    begin : callable, default=end_with
        Called in each process first, with the id of this process; it must call `end_with`.
    **options : object
        Further arguments of Parallel.

    Yields
    ------
    Parallel
    """
    backend = options.get("backend") or get_active_backend()[0]
    if backend == "loky" or isinstance(backend, LokyBackend):
        options["backend"] = _Loky()
    with _safe_path():
        yield Parallel(n_jobs=n_jobs, initializer=begin, initargs=(os.getpid(),), **options)


def results_as_finished(parallel: Parallel, tasks: Iterable[Any]) -> Generator[Any, None, None]:
    """Yield the results of tasks in the order in which they finish.

    Closing the generator kills the processes, without a message of joblib.

    Parameters
    ----------
    parallel : Parallel
        With ``return_as="generator_unordered"``.
    tasks : iterable
        Delayed calls, as joblib takes them.

    Yields
    ------
    object
    """
    work = parallel(tasks)
    try:
        # `yield from` would close `work` at once, and joblib would warn.
        for result in work:  # noqa: UP028
            yield result
    finally:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "[0-9]+ tasks (have been|which were)")
            work.close()  # ends the processes after Ctrl-C; killed processes cannot clean up
