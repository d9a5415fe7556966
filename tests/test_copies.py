"""Copies and overlaps of recordings are found; independent recordings are not."""

import numpy as np
import pandas as pd
import pytest
from scipy.signal import resample

from edaemo.datasets import load_hku956, load_induced_stress, make_music_listening
from edaemo.preprocessing import find_copies


def walks(n, n_samples=300, seed=0):
    """Random walks: EDA is as rough as this between its responses."""
    return list(5 + 0.01 * np.random.default_rng(seed).normal(size=(n, n_samples)).cumsum(axis=1))


def pairs(trials):
    return set(find_copies(trials)[["first", "second"]].itertuples(index=False, name=None))


TRUE = {(row, row + 12) for row in range(12)}


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x + 1e-9 * np.random.default_rng(0).normal(size=len(x)),
        lambda x: x + 0.001 * np.random.default_rng(x.view(np.uint32)).normal(size=len(x)),
        lambda x: 2 * x + 1,
        lambda x: x[1:],
        lambda x: np.append(0.0, x),
        lambda x: x[::2],
        lambda x: x[1::2],
        lambda x: x[::3],
        lambda x: np.interp(np.arange(0, 299, 0.8), np.arange(300), x),
        lambda x: resample(x, 240),
        lambda x: np.where(np.arange(300) == 150, np.nan, x),
        lambda x: np.where(np.arange(300) == 150, x + 0.5, x),
    ],
    ids=[
        "noise far below a step",
        "noise",
        "gain and offset",
        "shifted",
        "longer",
        "decimated",
        "decimated from the second",
        "decimated by three",
        "interpolated",
        "resampled",
        "one missing sample",
        "one artefact",
    ],
)
def test_changed_copies_are_found_and_nothing_else(change):
    trials = walks(12)
    assert pairs([*trials, *map(change, trials)]) == TRUE


@pytest.mark.parametrize("overlap", [0.5, 0.25])
def test_overlapping_windows_are_found_and_nothing_else(overlap):
    n = 200
    hop = round(n * (1 - overlap))
    cut = [trial[k * hop : k * hop + n] for trial in walks(5, 1000) for k in range(4)]
    found = find_copies(cut)
    rows = list(found[["first", "second", "lag", "n_common"]].itertuples(index=False, name=None))
    assert rows == [(row, row + 1, hop, n - hop) for row in range(20) if (row + 1) % 4]
    assert set(found["kind"]) == {"same rate"}


def test_identical_recordings_are_listed_with_the_first():
    a, b = walks(2)
    found = find_copies([a, b, a, a, 2 * b])
    rows = list(found[["first", "second", "kind"]].itertuples(index=False, name=None))
    assert rows == [(0, 2, "identical"), (0, 3, "identical"), (1, 4, "same rate")]
    assert found.attrs["n_pairs"] == 3  # of the three different recordings


def test_what_says_too_little_is_not_a_copy():
    step = np.repeat([0.0, 1.0], 100)
    time = np.arange(200)
    plain = [step, np.roll(step, 7), np.full(200, 3.0), np.zeros(200)]
    laws = [time / 7, 3 - time / 9, np.sin(time / 9), np.sin(time / 9 + 1)]
    found = find_copies([*plain, *laws])
    assert found.empty
    assert found.attrs["n_constant"] == 2


def test_equal_responses_in_different_recordings_are_not_copies():
    rng = np.random.default_rng(0)
    time = np.arange(150)
    response = np.zeros(300)
    response[50:200] = np.exp(-time / 20) - np.exp(-time / 5)
    shifts = rng.integers(0, 100, 50)
    assert find_copies([np.roll(response, s) + rng.normal(0, 2e-3, 300) for s in shifts]).empty


def test_independent_recordings_without_noise_are_rarely_copies():
    # benchmarks/near_copies.py has more studies.
    names = ("eda_informativeness", "music_informativeness", "subject_fingerprint", "time_drift")
    effects = dict.fromkeys(names, 0) | {"stimulus_fingerprint": 1}
    found = 0
    for seed in range(200, 212):
        study = make_music_listening(
            20, 12, 12, sampling_rate=8, duration=20,
            **effects, random_state=seed,
        )  # fmt: skip
        found += len(find_copies(study.trials))
    assert found == 0


def test_quantised_recordings_with_few_changes_are_not_copies():
    """Five steps of one bit at random places: such recordings are nearly equal by chance."""
    rng = np.random.default_rng(1)
    trials = [(0.00128 * (rng.random(100) < 0.05)).cumsum() for _ in range(300)]
    assert set(find_copies(trials)["kind"]) <= {"identical"}


@pytest.mark.parametrize(
    ("load", "n_pairs"), [(load_hku956, 456_490), (load_induced_stress, 31_626)]
)
def test_bundled_corpora_have_no_copies(load, n_pairs):
    found = find_copies(load())
    assert found.empty
    assert found.attrs["n_pairs"] == n_pairs


def test_containers_come_to_the_same():
    trials = walks(3, 100)
    trials.append(3 * trials[0])
    cells = pd.Series(trials)
    table = pd.DataFrame({"subject": range(4), "eda": cells})
    two_channels = table.assign(eda=[np.stack([cell, cell[::-1]]) for cell in trials])
    for given in (trials, np.stack(trials), cells, table, two_channels):
        assert pairs(given) == {(0, 3)}


def test_few_or_short_recordings_are_not_an_error():
    assert find_copies(walks(1)).empty
    short = find_copies([*walks(3, 10), *walks(1, 200)])
    assert short.empty
    assert short.attrs["n_short"] == 3
    assert len(find_copies([*walks(2, 10), *walks(2, 10)])) == 2  # identical


def test_a_cell_that_is_not_a_signal_is_an_error():
    with pytest.raises(ValueError, match="row 1: its EDA is not a 1-D signal"):
        find_copies(pd.Series([np.arange(5.0), None]))
