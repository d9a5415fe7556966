"""A pytest plugin for an environment without torch: tests that need torch are skipped.

conftest.py registers it there. A test file may import torch, skorch or names that need them: each
such name is a stand-in, and a test that uses a stand-in is skipped. A test is also skipped if what
it asks for is refused with the message that this needs torch. All other errors are failures.
"""

import builtins
import os
from collections.abc import Callable, Generator, Iterator
from doctest import UnexpectedException
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edaemo._torch import NEEDS_TORCH, PACKAGES

TESTS = Path(__file__).parent
_import = builtins.__import__


class Absent:
    """A stand-in for a name that needs torch."""

    def __init__(self, name: str) -> None:
        self._name = name

    def _use(self, *args: object, **named: object) -> "Absent":
        """Skip the running test; return a stand-in if the tests are still being collected."""
        if "PYTEST_CURRENT_TEST" in os.environ:
            pytest.skip(f"{self._name} needs torch")
        return self

    __call__ = __getitem__ = __or__ = __ror__ = __enter__ = _use

    def __getattr__(self, name: str) -> "Absent":
        if name.startswith("__") and name != "__version__":
            raise AttributeError(name)
        return self._use()

    def __iter__(self) -> Iterator["Absent"]:
        self._use()
        return iter(())  # pytest skips a test that has no parameters

    def __mro_entries__(self, bases: tuple[object, ...]) -> tuple[type, ...]:
        return ()

    def __instancecheck__(self, value: object) -> bool:
        self._use()
        return False


def needs_torch(error: BaseException | None) -> bool:
    """Return whether an error, or one that it replaces, is about torch or skorch being absent."""
    if error is None:
        return False
    if isinstance(error, ModuleNotFoundError):
        return (error.name or "").partition(".")[0] in PACKAGES
    named = any(f"{need} {NEEDS_TORCH}" in str(error) for need in ("need", "needs"))
    return named or needs_torch(error.__context__)


def import_for_test(
    name: str,
    globals: dict[str, Any] | None = None,
    locals: dict[str, Any] | None = None,
    fromlist: tuple[str, ...] = (),
    level: int = 0,
) -> object:
    """Import as Python does; in a test file, replace names that need torch by stand-ins."""
    file = (globals or {}).get("__file__")
    if file is None or Path(file).parent != TESTS:
        return _import(name, globals, locals, fromlist, level)
    if not fromlist:
        return _or_absent(name, lambda: _import(name, globals, locals, (), level))
    names = SimpleNamespace()
    for wanted in fromlist:
        found = _or_absent(
            wanted,
            lambda wanted=wanted: getattr(_import(name, globals, locals, (wanted,), level), wanted),
        )
        setattr(names, wanted, found)
    return names


def _or_absent(name: str, find: Callable[[], object]) -> object:
    try:
        return find()
    except ImportError as error:
        if needs_torch(error):
            return Absent(name)
        raise


builtins.__import__ = import_for_test  # type: ignore[assignment]


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, Any]:
    """Skip the doctests of a module of edaemo that imports torch."""
    report = yield
    if report.failed and any(
        f"No module named '{name}'" in str(report.longrepr) for name in PACKAGES
    ):
        report.outcome, report.longrepr = "skipped", (str(collector.path), 0, "needs torch")
    return report


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test that a stand-in parametrizes."""
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    for value in parameters.values():
        if isinstance(value, Absent):
            pytest.skip(f"{value._name} needs torch")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, Any, Any]:
    report = yield
    error = call.excinfo.value if call.excinfo else None
    if isinstance(error, UnexpectedException):
        error = error.exc_info[1]
    if report.failed and needs_torch(error):
        report.outcome, report.longrepr = "skipped", (str(item.path), 0, str(error))
    return report
