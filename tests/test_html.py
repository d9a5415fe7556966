"""How notebooks show pipelines and networks: scikit-learn's HTML."""

import re
from html import unescape

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_html_repr

from edaemo import MusicFeatureUnion, RTCANClassifier
from edaemo.benchmark import PIPELINES
from edaemo.datasets import make_music_listening
from edaemo.estimators import CNNClassifier
from edaemo.features import EDAFeatureExtractor


def show(estimator: object) -> tuple[str, dict[str, str]]:
    """Return the HTML, and the shown value of each parameter of the last table."""
    html = estimator_html_repr(estimator)
    rows = re.findall(
        r'<td class="param">(.*?)</td>\s*<td class="value">(.*?)</td>', html, re.DOTALL
    )
    text = re.compile(r"<.*?>", re.DOTALL)
    return html, {text.sub("", name).split()[0]: unescape(value).strip() for name, value in rows}


@pytest.mark.parametrize("name", ["svm-eda-music", "rtcan-eda-music", "cnn-eda"])
def test_a_pipeline_shows_its_parameters_and_no_large_table(name):
    study = make_music_listening(4, 4, 4, duration=12.0, random_state=0)
    study["music"] = study.music.reindex(range(5000))
    pipeline = PIPELINES[name].make(study)
    html, values = show(pipeline)
    fuse, last = pipeline[0], pipeline[-1]
    assert values["standardize_music"] == str(fuse.standardize_music)
    for parameter in ("max_epochs", "reduction", "lr", "kernel", "C"):
        if hasattr(last, parameter):
            assert values[parameter].strip("'") == str(getattr(last, parameter))
    assert len(values["music"]) < 1000
    assert len(html) < 100_000


def test_a_network_shows_whether_it_is_fitted_and_no_weights():
    X = np.random.default_rng(0).normal(size=(40, 64)).astype(np.float32)
    model = CNNClassifier(n_filters=4, max_epochs=1, random_state=0)
    assert "Not fitted" in show(model)[0]
    model.fit(X, np.arange(40) % 2)
    html, values = show(model)
    assert "Not fitted" not in html
    assert "Fitted" in html
    assert values["n_filters"] == "4"
    assert "tensor(" not in html
    assert len(html) < 100_000


def test_changed_parameters_are_marked():
    html, values = show(RTCANClassifier(max_epochs=7))
    (changed,) = re.findall(r'<tr class="user-set">(.*?)</tr>', html, re.DOTALL)
    assert "max_epochs" in changed
    assert values["max_epochs"] == "7"


def test_a_pipeline_shows_nested_steps_in_order_and_whether_it_is_fitted():
    features = MusicFeatureUnion(eda=EDAFeatureExtractor(4, preset="compact"))
    pipeline = make_pipeline(features, LogisticRegression(max_iter=1000))

    def texts() -> list[str]:
        parts = re.split(r"<[^>]*>", show(pipeline)[0])
        return [unescape(part).strip() for part in parts]

    shown = texts()
    union, extractor, last = (
        shown.index(name)
        for name in (
            "musicfeatureunion: MusicFeatureUnion",
            "eda: EDAFeatureExtractor",
            "LogisticRegression",
        )
    )
    assert union < extractor < last
    assert "'compact'" in shown[extractor:last]
    assert "Not fitted" in shown and "Fitted" not in shown

    eda = np.random.default_rng(0).normal(size=(20, 100)).cumsum(axis=1) + 50
    pipeline.fit(eda, np.arange(20) % 2)
    shown = texts()
    assert "Fitted" in shown and "Not fitted" not in shown
