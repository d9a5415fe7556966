"""plot_decomposition and plot_responses: what they take, mark, shade and leave empty."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from numpy.testing import assert_allclose

from edaemo import CvxEDATransformer
from edaemo.decomposition import Components, CvxEDA, Highpass, decompose
from edaemo.inspection import plot_decomposition, plot_responses
from edaemo.preprocessing import EDADecomposer

RATE = 4
TIME = np.arange(240) / RATE
TOP = np.log(2 / 0.7) / (1 / 0.7 - 1 / 2)  # where the slope of pulse is zero


def pulse(onset: float) -> np.ndarray:
    since = np.clip(TIME - onset, 0, None)
    return np.exp(-since / 2) - np.exp(-since / 0.7)


LEVEL = 2 + 1e-4 * TIME
EDA = LEVEL + 0.6 * pulse(10) + 0.9 * pulse(40)
PARTS = Components(EDA - LEVEL, LEVEL, None, np.zeros(240))
TRIALS = pd.DataFrame({"subject": ["a", "b"], "trial": [0, 1], "eda": [EDA, EDA[::-1]]})


@pytest.fixture(autouse=True)
def _no_figures():
    yield
    plt.close("all")


def curves(axes: plt.Axes) -> dict[str, np.ndarray]:
    """The points of each line, by its label."""
    return {line.get_label(): line.get_xydata() for line in axes.lines}


FILTERED = EDADecomposer(RATE, method="highpass").fit(TRIALS)
PANDAS = EDADecomposer(RATE, method="highpass").set_output(transform="pandas")


@pytest.mark.parametrize(
    "recording",
    [
        EDA,
        EDA.tolist(),
        pd.Series(EDA),
        TRIALS.iloc[0],
        TRIALS.iloc[[0]],
        Highpass().decompose(EDA, RATE),
        FILTERED.transform(TRIALS).iloc[0],
        PANDAS.fit_transform(np.stack([EDA])).iloc[0],
        PANDAS.fit_transform(np.stack([EDA])),
    ],
)
def test_every_form_of_a_recording_gives_the_same_picture(recording):
    expected = Highpass().decompose(EDA, RATE)
    upper, lower = plot_decomposition(recording, RATE, method="highpass")
    assert_allclose(curves(upper)["EDA"], np.stack([TIME, EDA], axis=1), atol=1e-6)
    assert_allclose(curves(upper)["tonic"][:, 1], expected.tonic, atol=1e-6)
    assert_allclose(curves(lower)["phasic"][:, 1], expected.phasic, atol=1e-6)
    axes = plot_responses(recording, RATE, method="highpass")
    assert_allclose(curves(axes)["EDA"], np.stack([TIME, EDA], axis=1), atol=1e-6)
    assert_allclose(curves(axes)["onset"][:, 0], [10, 40])


def test_a_residual_is_part_of_the_recording():
    table = EDADecomposer(RATE, components=("tonic", "residual", "phasic")).fit_transform(TRIALS)
    axes = plot_decomposition(table.iloc[1], RATE)
    assert_allclose(curves(axes[0])["EDA"][:, 1], EDA[::-1], atol=1e-6)
    # Without it, signal= tells the recording.
    table = EDADecomposer(RATE).fit_transform(TRIALS)
    axes = plot_decomposition(table.iloc[0], RATE, signal=EDA)
    assert_allclose(curves(axes[0])["EDA"][:, 1], EDA)


def test_raw_samples_are_decomposed_by_the_method_given():
    axes = plot_decomposition(EDA, RATE)
    own = decompose((EDA - EDA.mean()) / EDA.std(), RATE)
    assert len(axes) == 3
    assert_allclose(curves(axes[1])["phasic"][:, 1], EDA.std() * own.phasic, atol=1e-9)
    segments = axes[2].collections[0].get_segments()
    assert_allclose([ends[1, 1] for ends in segments], EDA.std() * own.driver, atol=1e-9)
    assert axes[2].get_ylabel() == "driver (µS/s)"
    axes = plot_decomposition(EDA, RATE, method=CvxEDA(tau0=4.0))
    own = decompose((EDA - EDA.mean()) / EDA.std(), RATE, tau0=4.0)
    assert_allclose(curves(axes[1])["phasic"][:, 1], EDA.std() * own.phasic, atol=1e-9)


def test_onset_peak_and_half_recovery_are_marked_on_the_curve():
    onsets = np.array([10.0, 40.0])
    _, lower = plot_decomposition(PARTS, RATE)
    axes = plot_responses(PARTS, RATE)
    for panel, level in ((lower, 0), (axes, 2)):
        marks = curves(panel)
        assert_allclose(marks["onset"], np.stack([onsets, [level, level]], axis=1), atol=5e-3)
        assert_allclose(marks["peak"][:, 0], onsets + TOP, atol=0.5 / RATE)
        height = marks["peak"][:, 1] - marks["onset"][:, 1]
        assert_allclose(height, [0.6 * pulse(0).max(), 0.9 * pulse(0).max()], atol=1e-3)
        assert_allclose(marks["half recovery"][:, 1], level + height / 2, atol=5e-3)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("time (s)", "EDA (µS)")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "EDA",
        "onset",
        "peak",
        "half recovery",
    ]


def test_the_limits_choose_the_responses():
    assert len(curves(plot_responses(PARTS, RATE, min_amplitude=0.8))["onset"]) == 1
    assert len(curves(plot_responses(PARTS, RATE, min_amplitude_us=0.5))["onset"]) == 0
    # In another unit only the share of the largest counts, and nothing is shaded.
    small = Components(PARTS.phasic / 1e6, PARTS.tonic / 1e6, None, PARTS.residual)
    axes = plot_responses(small, RATE, unit="S")
    assert len(curves(axes)["onset"]) == 2
    assert axes.get_ylabel() == "EDA (S)"
    assert not axes.patches
    assert list(curves(plot_decomposition(small, RATE, unit="S")[1])) == ["phasic"]


def shaded(axes: plt.Axes) -> list[tuple[float, float]]:
    ends = [patch.get_extents().transformed(axes.transData.inverted()) for patch in axes.patches]
    return [(round(end.x0, 6), round(end.x1, 6)) for end in ends]


def test_artefacts_are_shaded_and_missing_samples_are_gaps():
    eda = EDA.copy()
    eda[100:104], eda[200], eda[220:230] = np.nan, 9.0, 0.01
    half = 0.5 / RATE
    expected = [(25 - half, 26 - half), (50 - half, 50.25 - half), (55 - half, 57.5 - half)]
    for method in ("bandpass", "cvxeda"):
        axes = plot_responses(eda, RATE, method=method)
        assert_allclose(shaded(axes), expected, atol=1e-5)
        assert_allclose(curves(axes)["EDA"][:, 1], eda)  # with NaN
        assert axes.get_legend().get_texts()[-1].get_text() == "artefact"
        for panel in plot_decomposition(eda, RATE, method=method):
            assert_allclose(shaded(panel), expected, atol=1e-5)
    assert shaded(plot_responses(EDA, RATE)) == []


@pytest.mark.parametrize("level", [1e-22, 1e-13, 1e-10])
def test_a_component_of_rounding_errors_leaves_its_panel_empty(level):
    noise = level * np.abs(np.random.default_rng(0).normal(size=240))
    parts = Components(noise, EDA, noise, np.zeros(240))
    axes = plot_decomposition(parts, RATE)
    for panel in axes[1:]:
        assert not panel.lines and not panel.collections
        assert list(panel.get_yticks()) == [0]
        assert panel.get_xlim() == axes[0].get_xlim()
    assert len(curves(plot_responses(parts, RATE, min_amplitude_us=0.0))["peak"]) == 0
    assert plot_decomposition(Components(1e-4 * noise / level, EDA, None, noise), RATE)[1].lines


@pytest.mark.parametrize("method", ["cvxeda", "bandpass", "median"])
def test_a_flat_recording_has_empty_panels(method):
    axes = plot_decomposition(np.full(240, 0.7), RATE, method=method)
    assert all(not panel.lines and not panel.collections for panel in axes[1:])
    assert_allclose(curves(axes[0])["tonic"][:, 1], 0.7)


def test_plots_are_drawn_on_the_axes_given():
    _, (first, second, third) = plt.subplots(3)
    assert plot_responses(EDA, RATE, ax=first, title="t") is first
    assert first.get_title() == "t"
    upper, lower = plot_decomposition(EDA, RATE, method="median", ax=[second, third])
    assert (upper, lower) == (second, third)


@pytest.mark.parametrize(
    ("recording", "message"),
    [
        (TRIALS, "recording is a table of 2 rows"),
        (np.stack([EDA, EDA]), "must be a 1-D signal"),
        (np.full(240, np.nan), "240 of 240 samples are missing"),
        (["a", "b"], "text"),
        (np.array([1.0]), "the recording: only 1 of 1"),
        (
            CvxEDATransformer(RATE).fit_transform(TRIALS).iloc[0],
            r"channels \['original', 'phasic', 'tonic'\], but .* EDADecomposer",
        ),
        (
            EDADecomposer(RATE, components=("phasic",)).fit_transform(TRIALS).iloc[0],
            r"channels \['phasic'\]",
        ),
    ],
)
@pytest.mark.parametrize("plot", [plot_decomposition, plot_responses])
def test_what_is_not_one_recording_is_an_error(plot, recording, message):
    with pytest.raises(ValueError, match=message):
        plot(recording, RATE)
    with pytest.raises(ValueError, match="sampling_rate must be"):
        plot(EDA, 0)
