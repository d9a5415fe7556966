"""Fits and predictions in several threads of one process."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import cross_val_predict

from edaemo import RTCANClassifier
from edaemo.estimators import (
    CNNClassifier,
    MAETClassifier,
    MuSeLSTMRegressor,
    NetworkRegressor,
)
from edaemo.networks import RTCAN

RTCAN_SMALL = RTCANClassifier(
    n_chans=2, channels=(8, 8, 8, 8), dropout=0.3, max_epochs=3, batch_size=8, random_state=0
)
ROWS = np.random.default_rng(0).normal(size=(32, 2 * 40))
CLASSES = np.tile([0, 1], 16)
SEQUENCES = [np.random.default_rng(row).normal(size=(20, 3)) for row in range(8)]
CASES = {
    "RTCAN": (RTCAN_SMALL, ROWS, CLASSES),
    "CNN": (CNNClassifier(n_filters=8, max_epochs=3, random_state=0), ROWS, CLASSES),
    "MAET": (
        MAETClassifier({"eda": 40, "music": 40}, embed_dim=8, max_epochs=3, random_state=0),
        ROWS,
        CLASSES,
    ),
    "regressor": (
        NetworkRegressor(
            RTCAN,
            module_params={"channels": (8, 8, 8, 8), "dropout": 0.3},
            n_chans=2,
            max_epochs=3,
            random_state=0,
        ),
        ROWS,
        ROWS[:, 0],
    ),
    "sequences": (
        MuSeLSTMRegressor(max_epochs=3, batch_size=4, random_state=0),
        SEQUENCES,
        [steps[:, 0] for steps in SEQUENCES],
    ),
}


def predict(model: BaseEstimator, X: object) -> np.ndarray:
    if hasattr(model, "predict_proba"):
        return model.predict_proba(X)
    predicted = model.predict(X)
    return np.concatenate([*predicted]) if predicted.dtype == object else predicted


def in_threads(work, n: int) -> list:
    """The results of n calls of a function that all begin at the same time."""
    begin = threading.Barrier(n)

    def one(_: int) -> object:
        begin.wait()
        return work()

    with ThreadPoolExecutor(n) as pool:
        return list(pool.map(one, range(n)))


@pytest.mark.parametrize("name", CASES)
def test_fits_in_threads_are_equal_to_a_fit_alone(name):
    model, X, y = CASES[name]
    expected = predict(clone(model).fit(X, y), X)
    for predicted in in_threads(lambda: predict(clone(model).fit(X, y), X), 3):
        assert_array_equal(predicted, expected)


def test_threads_leave_the_generator_and_the_precision_of_torch_as_they_were():
    torch.manual_seed(7)
    before = torch.get_rng_state()
    torch.set_default_dtype(torch.float64)
    try:
        in_threads(lambda: clone(RTCAN_SMALL).fit(ROWS, CLASSES).predict(ROWS), 4)
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert_array_equal(torch.get_rng_state(), before)


def test_a_first_prediction_does_not_disturb_the_fit_of_another_thread():
    # The first prediction of each network tests it with random numbers.
    fitted = [
        CNNClassifier(n_filters=n, max_epochs=1, random_state=0).fit(ROWS, CLASSES)
        for n in range(9, 21)
    ]
    expected = predict(clone(RTCAN_SMALL).fit(ROWS, CLASSES), ROWS)
    with ThreadPoolExecutor(2) as pool:
        work = pool.submit(lambda: clone(RTCAN_SMALL).fit(ROWS, CLASSES))
        for model in fitted:
            model.predict(ROWS)
        assert_array_equal(predict(work.result(), ROWS), expected)


def test_deterministic_algorithms_are_set_while_any_thread_needs_them_and_not_afterwards():
    model = clone(RTCAN_SMALL).set_params(deterministic=True).fit(ROWS, CLASSES)
    in_threads(lambda: [model.predict(ROWS) for _ in range(20)], 4)
    assert not torch.are_deterministic_algorithms_enabled()


def test_cross_validation_in_threads_is_equal_to_that_in_one():
    def validate(n_jobs: int) -> np.ndarray:
        from joblib import parallel_config

        with parallel_config("threading"):
            return cross_val_predict(
                RTCAN_SMALL, ROWS, CLASSES, cv=4, method="predict_proba", n_jobs=n_jobs
            )

    assert_array_equal(validate(4), validate(1))


def _fit_quickly() -> None:
    clone(RTCAN_SMALL).fit(ROWS, CLASSES)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_a_process_forked_during_a_fit_can_fit():
    from edaemo.training import torch_seed

    holds, release, seeded = threading.Event(), threading.Event(), torch_seed(0, "cpu")

    def hold() -> None:
        with seeded:
            holds.set()
            release.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    holds.wait(60)
    child = get_context("fork").Process(target=_fit_quickly)
    try:
        child.start()
        child.join(60)
        assert child.exitcode == 0
    finally:
        release.set()
        holder.join()
        if child.is_alive():
            os.kill(child.pid, signal.SIGKILL)
