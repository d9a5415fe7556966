import runpy
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from joblib.externals.loky import process_executor
from matplotlib import pyplot as plt
from sklearn.utils import Bunch

from edaemo._torch import has_torch
from edaemo.datasets import load_hku956

# Importing them registers what is in them, and the search for doctests imports every module.
collect_ignore = ["outside.py", "outside_network.py", "outside_tasks.py", "without_torch.py"]
collect_ignore += ["without_corpora.py"]
collect_ignore += ["fuzz/guided.py"]  # needs atheris


def pytest_configure(config: pytest.Config) -> None:
    """Skip the tests that need torch or the corpora, if they are missing."""
    if not has_torch():
        import without_torch

        config.pluginmanager.register(without_torch)
    if not (Path(__file__).parents[1] / "data").is_dir():
        import without_corpora

        config.pluginmanager.register(without_corpora)


@pytest.fixture
def draw(tmp_path: Path) -> Iterator[Callable[..., dict[str, Any]]]:
    """Draw pictures of docs/ into `tmp_path`: the example's name, and theirs; return its variables.

    All figures of the example are open until the test ends.
    """
    plt.close("all")
    pictures = runpy.run_path(str(Path(__file__).parents[1] / "docs" / "pictures.py"))
    yield lambda example, *names: pictures["draw"](example, names, tmp_path)
    plt.close("all")


@pytest.fixture(scope="session")
def study() -> Bunch:
    return load_hku956()


@pytest.fixture(scope="session")
def few(study: Bunch) -> Bunch:
    """The six people with the fewest trials, for what need not be tried on everybody."""
    counts = study.trials["subject"].value_counts()
    people = sorted(counts.index.sort_values(), key=lambda person: counts[person])[:6]
    rows = study.trials["subject"].isin(people)
    trials = study.trials[rows].reset_index(drop=True)
    ratings: pd.DataFrame = study.ratings[rows].reset_index(drop=True)
    return Bunch(
        trials=trials,
        ratings=ratings,
        music=study.music,
        sampling_rate=study.sampling_rate,
        subject=trials["subject"],
    )


@pytest.fixture
def slow_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that hands out joblib's tasks waits after the first one, as if it were stopped."""
    thread = process_executor._ExecutorManagerThread
    process = thread.process_result_item
    waits = iter([0.02])

    def process_slowly(*arguments: object) -> None:
        process(*arguments)
        time.sleep(next(waits, 0))

    monkeypatch.setattr(thread, "process_result_item", process_slowly)
