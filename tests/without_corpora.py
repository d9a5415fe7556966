"""A pytest plugin for an unpacked sdist, which holds no corpora: tests that need them are skipped.

conftest.py registers it if the folder ``data`` of the repository is missing. A test is skipped if
it, or its fixture, does not find a corpus or a file of that folder. All other errors are failures.
"""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from edaemo.datasets import DatasetError

DATA = Path(__file__).parents[1] / "data"
# The command prints an error that the test does not expect, so that no exception can be seen.
BY_COMMAND = {"test_check_counts_what_hku956_holds"}
REASON = (
    "needs a corpus, and the sdist holds none: put the folder data/ of the repository beside tests/"
)


def needs_corpora(error: BaseException | None) -> bool:
    """Return whether an error, or one that it replaces, is about the missing folder."""
    if error is None:
        return False
    if isinstance(error, DatasetError) and "was not found. Places searched" in str(error):
        return True
    if isinstance(error, DatasetError | FileNotFoundError) and str(DATA) in str(error):
        return True
    return needs_corpora(error.__cause__ or error.__context__)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test that calls a command with a file of the folder."""
    if item.name in BY_COMMAND:
        pytest.skip(REASON)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, Any, Any]:
    report = yield
    if report.failed and call.excinfo and needs_corpora(call.excinfo.value):
        report.outcome, report.longrepr = "skipped", (str(item.path), 0, REASON)
    return report
