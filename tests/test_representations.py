"""What a study and a decomposition print, in a terminal and in a notebook, and as tables."""

import pickle

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.utils import Bunch

from edaemo.datasets import Study, make_music_listening, select_people
from edaemo.decomposition import Highpass, decompose, scr_events
from edaemo.inspection import plot_decomposition


@pytest.fixture(scope="module")
def study() -> Study:
    return make_music_listening(6, 4, 3, sampling_rate=4, duration=15.0, random_state=0)


@pytest.fixture(scope="module")
def signal() -> np.ndarray:
    rng = np.random.default_rng(0)
    return 3 + np.cumsum(rng.normal(0, 0.02, 200))


@pytest.fixture(autouse=True)
def _no_figures():
    yield
    plt.close("all")


def test_a_study_prints_in_a_few_lines(study):
    lines = repr(study).splitlines()
    assert len(repr(study)) < 1000
    assert lines[0] == "Study 'generated'"
    facts = dict(line.split(maxsplit=1) for line in lines[1:] if "rat" not in line)
    assert (facts["people"], facts["trials"], facts["stimuli"]) == ("6", "18", "4")
    assert "no person took part" in facts["note"]
    assert isinstance(select_people(study, "development"), Study)
    assert isinstance(study, Bunch)


def test_html_of_a_study_is_a_table_without_markup_of_names(study):
    odd = Study(**{**study, "name": "<b>odd</b>"})
    assert "<b>" not in odd._repr_html_()
    assert "&lt;b&gt;odd" in odd._repr_html_()
    assert odd._repr_html_().startswith("<table>")


def test_a_study_is_a_table(study):
    frame = study.to_frame()
    assert list(frame.columns) == [*study.trials.columns, "valence", "arousal"]
    assert_array_equal(frame["arousal"], study.ratings["arousal"])
    others = {"valence": study.trials["trial"]}
    clash = Study(**{**study, "trials": study.trials.assign(**others)}).to_frame()
    assert_array_equal(clash["rating_valence"], study.ratings["valence"])
    assert_array_equal(clash["valence"], study.trials["trial"])


def test_a_study_survives_a_pickle(study):
    small = Study(name="s", trials=study.trials, ratings=study.ratings, targets={})
    found = pickle.loads(pickle.dumps(small))
    assert repr(found) == repr(small)


def test_a_decomposition_prints_in_one_line_and_is_a_table(signal):
    parts = decompose(signal, 4.0)
    assert repr(parts).startswith("<Decomposition samples: 200, phasic: ")
    assert "status: optimal" in repr(parts) and len(repr(parts)) < 300
    assert "<th>tonic</th>" in parts._repr_html_()
    frame = parts.to_frame(4.0)
    assert frame.index.name == "time"
    assert_allclose(frame.index[:3], [0, 0.25, 0.5])
    assert_allclose(frame[["phasic", "tonic", "residual"]].sum(axis=1), signal)
    assert parts.to_frame().index.name == "sample"


def test_components_without_a_driver_have_no_such_column(signal):
    parts = Highpass().decompose(signal, 4.0)
    assert list(parts.to_frame()) == ["phasic", "tonic", "residual"]
    assert len(plot_decomposition(parts, 4.0)) == 2


def test_a_plot_is_drawn_on_the_axes_that_are_given(signal):
    parts = decompose(signal, 4.0)
    events = scr_events(parts.phasic, 4.0)
    _, own = plt.subplots(3, 1)
    axes = plot_decomposition(parts, 4.0, signal=signal, responses=events, title="t", ax=own)
    assert_array_equal(axes, own)
    recording, tonic = axes[0].lines
    assert_allclose(recording.get_ydata(), signal)
    assert_allclose(tonic.get_ydata(), parts.tonic)
    _, onset, peak, recovery = axes[1].lines
    assert_allclose(onset.get_xdata(), events["onset"])
    assert_allclose(peak.get_xdata(), events["peak"])
    assert_allclose(peak.get_ydata() - onset.get_ydata(), events["amplitude"])
    halves = events.dropna()
    assert_allclose(recovery.get_xdata(), halves["peak"] + halves["half_recovery_time"])
    middle = (peak.get_ydata() + onset.get_ydata()) / 2
    assert_allclose(recovery.get_ydata(), middle[halves.index])


def test_a_new_figure_is_one_that_a_notebook_shows(signal):
    axes = plot_decomposition(decompose(signal, 4.0), 4.0)
    assert axes[0].figure.number in plt.get_fignums()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"signal": np.zeros(3)}, r"signal has the shape \(3,\), and the components have"),
        ({"ax": [None]}, "ax holds 1 Axes, and the plot needs 3"),
    ],
)
def test_what_cannot_be_drawn_is_an_error(signal, wrong, message):
    with pytest.raises(ValueError, match=message):
        plot_decomposition(decompose(signal, 4.0), 4.0, **wrong)


def test_responses_that_are_not_there_are_not_marked(signal):
    nothing = scr_events(np.zeros(200), 4.0)
    assert isinstance(nothing, pd.DataFrame) and nothing.empty
    axes = plot_decomposition(decompose(signal, 4.0), 4.0, responses=nothing)
    assert [len(line.get_xdata()) for line in axes[1].lines] == [200, 0, 0, 0]
