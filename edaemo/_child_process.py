"""Calls of libraries written in C in a child process, with limits on memory and time.

A file made for it can make such a library crash, hang, or ask for any amount of memory. In a child
process that is one error, and this process goes on. Each process has at most one child, which
starts with the first call, serves further calls, and ends with its parent. Memory and processor
time are limited with ``resource``: memory on Linux, time on Linux and macOS. Windows has no such
limits; there, as everywhere, a call is ended after a time on the clock, and a crash is an error.
"""

from __future__ import annotations

import atexit
import os
import pickle
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from tempfile import TemporaryFile
from typing import IO, Any, ParamSpec, TypeVar, cast

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")

# Memory that a call may take: bytes, and bytes for each byte of the file.
MEMORY, MEMORY_PER_BYTE = 2**29, 16
# Processor time of a call: seconds, and bytes of the file that take a further second.
SECONDS, BYTES_PER_SECOND = 4, 2**20
# Time on the clock, as a multiple: other processes may take the processor.
PATIENCE = 30


class ChildError(Exception):
    """A call in the child process failed, and the message states how, without the file."""


def call_in_child(
    function: Callable[_Arguments, _Result],
    size: int,
    /,
    *args: _Arguments.args,
    **kwargs: _Arguments.kwargs,
) -> _Result:
    """Return the result of a function that is called in the child process.

    Parameters
    ----------
    function : callable
        Function of a module. Function, arguments and result must be picklable.
    size : int
        Size of the file in bytes, which determines the limits.
    *args, **kwargs
        Arguments of the function.

    Returns
    -------
    object
        The result of the function.

    Raises
    ------
    ChildError
        If the function raises any exception except a ValueError, OSError or ImportError, exceeds
        the memory or the time, or ends the process.
    ValueError, OSError, ImportError
        As the function raises it, if its message has less than 2000 characters.
    """
    with _LOCK:
        return cast(_Result, _running_child().call(function, size, args, kwargs))


class _Child:
    """The child process, and the pipes to it."""

    def __init__(self) -> None:
        self.parent = os.getpid()
        self._errors = TemporaryFile()  # noqa: SIM115 - closed with the child
        # A safe path: no module is imported from the current folder.
        path = os.pathsep.join(entry for entry in sys.path if os.path.isabs(entry))
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", f"from {__name__} import _serve; _serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, **threads, "PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C reaches the parent alone, which ends the child
        )

    def is_alive(self) -> bool:
        return self.parent == os.getpid() and self._process.poll() is None

    def call(self, function: object, size: int, args: object, kwargs: object) -> object:
        assert self._process.stdin is not None and self._process.stdout is not None
        seconds = SECONDS + size // BYTES_PER_SECOND
        memory = MEMORY + MEMORY_PER_BYTE * size
        watch = threading.Timer(PATIENCE * seconds, self._process.kill)
        watch.daemon = True
        watch.start()
        try:
            call = (_folder(), function, args, kwargs, memory, seconds)
            pickle.dump(call, self._process.stdin, protocol=5)
            self._process.stdin.flush()
            succeeded, result = pickle.load(self._process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            raise ChildError(self._describe_end(seconds, watch.finished.is_set())) from error
        except BaseException:
            self.end()  # the rest of the result must not be taken for that of the next call
            raise
        finally:
            watch.cancel()
        if not succeeded:
            raise result
        return result

    def _describe_end(self, seconds: int, too_late: bool) -> str:
        """Return how the process has ended, or end it."""
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        status = self._process.returncode
        self._errors.seek(0)
        lines = self._errors.read()[-2000:].decode("utf-8", "replace").split("\n")
        last = " ".join(next((line for line in reversed(lines) if line.strip()), "").split())
        self.end()
        if too_late or status == -_OUT_OF_TIME:
            return f"it took more than {seconds} s and was ended"
        return f"the library ended its process, status {status}" + f": {last[:120]}" * bool(last)

    def end(self) -> None:
        """End the process, if it is a child of this process."""
        if self.parent != os.getpid():
            return
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._errors):
            if pipe is not None:
                _close(pipe)


def _folder() -> str | None:
    """Return the current folder, None if it was deleted."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return None


def _close(pipe: IO[bytes]) -> None:
    try:
        pipe.close()
    except BrokenPipeError:  # of a call that the process has not read
        return


_LOCK = threading.Lock()
_OUT_OF_TIME = getattr(signal, "SIGXCPU", 0)  # Windows has no such signal
_child: _Child | None = None


def _running_child() -> _Child:
    """Return the child of this process; start one if necessary."""
    global _child
    if _child is None or not _child.is_alive():
        if _child is not None:
            _child.end()
            atexit.unregister(_child.end)
        _child = _Child()
        atexit.register(_child.end)
    return _child


def _serve() -> None:
    """Answer the calls of the parent until it closes the pipe."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # libraries may print, too
    while True:
        try:
            folder, *call, memory, seconds = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        if folder is not None:
            os.chdir(folder)  # relative paths are those of the parent, which may have moved
        with _limits(memory, seconds):
            pickle.dump(_answer(*call), answers, protocol=5)
            answers.flush()


def _answer(function: Callable[..., object], args: Any, kwargs: Any) -> tuple[bool, object]:
    """Return whether the call succeeded, and its result or its exception."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of parts of the file that are not used
            return True, function(*args, **kwargs)
    except MemoryError:
        return False, ChildError("it needs more memory than a file of its size may take")
    except BaseException as error:  # noqa: BLE001 - raised by the parent
        if isinstance(error, (ValueError, OSError, ImportError)) and len(str(error)) < 2000:
            return False, error
        what = " ".join(f"{type(error).__name__}: {error}"[:2000].split())
        return False, ChildError(what[:200])


@contextmanager
def _limits(memory: int, seconds: int) -> Iterator[None]:
    """Limit the memory and the processor time of a call, where the system can."""
    try:
        import resource
    except ImportError:  # Windows
        yield
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    limits = {resource.RLIMIT_CPU: int(used.ru_utime + used.ru_stime) + 1 + seconds}
    with suppress(FileNotFoundError), open("/proc/self/statm", "rb") as file:  # Linux
        taken = int(file.read().split()[0]) * resource.getpagesize()
        limits[resource.RLIMIT_AS] = taken + memory
    before = {kind: resource.getrlimit(kind) for kind in limits}
    for kind, limit in limits.items():
        resource.setrlimit(kind, (limit, before[kind][1]))
    yield
    for kind, old in before.items():
        resource.setrlimit(kind, old)
