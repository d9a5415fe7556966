"""What trains no network needs neither torch nor skorch."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from edaemo._torch import OWN_NETWORKS
from edaemo.benchmark import evaluate, load_predictions, make_cnn_baseline, write_report
from edaemo.datasets import make_music_listening
from edaemo.networks import NETWORKS, inputs_of_pipeline
from edaemo.persistence import save

# Makes torch and skorch as absent as what was never installed, also in the processes that a process
# starts. Python imports a module of this name at its start.
SITE = """
import sys
from importlib.machinery import PathFinder

class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "skorch"):
            return None
        return super().find_spec(name, path, target)

sys.meta_path[:] = [Without if finder is PathFinder else finder for finder in sys.meta_path]
"""
SETTINGS = {"targets": "arousal", "n_splits": 2, "max_epochs": 1, "people": "all"}
PLUGIN = """
from edaemo.benchmark import register_study
from edaemo.datasets import make_music_listening

def make(path=None):
    study = make_music_listening(6, 6, 6, duration=10.0, random_state=0)
    study["name"] = "small"
    return study

register_study("small", make)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with the plugin that registers the study, and a store with a row of a network."""
    folder = tmp_path_factory.mktemp("without")
    (folder / "site").mkdir()
    (folder / "site" / "sitecustomize.py").write_text(SITE)
    (folder / "small_study.py").write_text(PLUGIN)
    study = make_music_listening(6, 6, 6, duration=10.0, random_state=0)
    study["name"] = "small"
    pipelines = ["svm-eda", "logistic-eda-person", "boosting-eda", "cnn-eda-person"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about the ratings of a few people
        evaluate(pipelines, study, store=folder / "with.sqlite", n_jobs=1, **SETTINGS)
    features = np.random.default_rng(0).normal(size=(12, 16))
    network = make_cnn_baseline(eda="passthrough", max_epochs=1)[-1].fit(features, [0, 1] * 6)
    save(network, folder / "network.edaemo")
    return folder


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the folder, without torch and skorch."""
    root = Path(__file__).parents[1]
    places = [str(folder / "site"), str(root), str(folder)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(places), "COLUMNS": "100"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def run_script(folder: Path, name: str, code: str) -> str:
    (folder / name).write_text(code)
    done = run(folder, name)
    assert done.returncode == 0, done.stderr
    return done.stdout


WITHOUT = """
import warnings
import edaemo
import edaemo.benchmark, edaemo.cli, edaemo.metrics
from edaemo.benchmark import (
    STUDIES, evaluate, load_predictions, summarise_predictions, write_report
)
from edaemo.decomposition import decompose, scr_events
from edaemo.estimators import make_svm_baseline
from edaemo.features import EDAFeatureExtractor
from edaemo.inspection import feature_group_importance, plot_decomposition
from small_study import make

def use_parts(trials, ratings, music, rate):
    found = decompose(trials["eda"].iloc[0], rate)
    assert found.status == "optimal" and len(scr_events(found.phasic, rate)) >= 0
    plot_decomposition(found, rate)
    channels = edaemo.CvxEDATransformer(sampling_rate=rate, n_times=32).fit_transform(trials)
    rows = edaemo.MusicFeatureUnion(music=music).fit_transform(channels)
    assert rows.shape == (36, 3 * 32 + music.shape[1])
    relabeler = edaemo.SubjectThresholdRelabeler(target="arousal")
    labels = relabeler.fit_relabel(ratings, subject=trials["subject"])
    model = make_svm_baseline(eda=EDAFeatureExtractor(sampling_rate=rate)).fit(trials, labels)
    edaemo.save(model, "svm.edaemo")
    assert (edaemo.load("svm.edaemo").predict(trials) == model.predict(trials)).all()
    assert len(feature_group_importance(model, trials, labels, n_repeats=1)) > 1

# The processes of `evaluate` import this file.
if __name__ == "__main__":
    warnings.simplefilter("ignore")
    study = make()
    use_parts(study.trials, study.ratings, study.music, study.sampling_rate)
    pipelines = ["svm-eda", "logistic-eda-person", "boosting-eda"]
    evaluate(pipelines, study, store="without.sqlite", n_jobs=2, **SETTINGS)
    predictions = load_predictions("without.sqlite")
    predictions.to_pickle("predictions.pkl")
    summarise_predictions(predictions).to_pickle("summary.pkl")
    del STUDIES["small"]
    write_report("with.sqlite", "report")
"""


def test_everything_but_networks_works_and_predicts_the_same(folder, monkeypatch):
    run_script(folder, "without.py", WITHOUT.replace("SETTINGS", repr(SETTINGS)))
    columns = ["pipeline", "repeat", "fold", "row", "label", "predicted", "probability"]
    there, here = (
        table.sort_values(columns[:4], ignore_index=True)[columns]
        for table in (
            pd.read_pickle(folder / "predictions.pkl"),
            load_predictions(folder / "with.sqlite").query("pipeline != 'cnn-eda-person'"),
        )
    )
    pd.testing.assert_frame_equal(there, here, check_exact=True)
    scores = pd.read_pickle(folder / "summary.pkl").set_index(["pipeline", "score"])["pooled"]
    of_svm = here[here["pipeline"] == "svm-eda"]
    accuracy = (of_svm["label"] == of_svm["predicted"]).mean()
    assert scores["svm-eda", "accuracy"] == pytest.approx(accuracy)
    # The report of a store with rows of networks is the same too.
    monkeypatch.chdir(folder)
    without = Path("report").rename("report-without")
    for file in write_report("with.sqlite", "report"):
        assert (without / file.name).read_text() == file.read_text()
        assert "cnn-eda-person" in file.read_text() or file.suffix == ".tex"


NEEDING = {
    "from edaemo import RTCANClassifier": "RTCANClassifier",
    "from edaemo.estimators import CNNClassifier": "CNNClassifier",
    "from edaemo.estimators import NetworkClassifier": "NetworkClassifier",
    "from edaemo.benchmark import make_rtcan": "make_rtcan",
    "from edaemo.inspection import grad_cam": "grad_cam",
    "from edaemo import export_onnx": "export_onnx",
    "edaemo.load('network.edaemo')": "network.edaemo: CNNClassifier",
    "evaluate('rtcan-eda', make(), store='no.sqlite')": "rtcan-eda",
}


def test_what_needs_torch_says_how_to_install_it(folder):
    start = "import edaemo, warnings; from edaemo.benchmark import evaluate\n"
    start += "from small_study import make; warnings.simplefilter('ignore')\n"
    tries = (
        f"try:\n    {code}\n    print('works')\n"
        "except (ImportError, ValueError) as error:\n    print(error)\n"
        for code in NEEDING
    )
    printed = run_script(folder, "needing.py", start + "".join(tries)).splitlines()
    for line, what in zip(printed, NEEDING.values(), strict=True):
        assert line.removesuffix(".") == f"{what} needs torch: pip install torch skorch"


def test_commands(folder):
    helped = run(folder, "-m", "edaemo.cli", "--help")
    assert "compare emotion recognition pipelines" in helped.stdout
    command = ["-m", "edaemo.cli", "compare", "small", "--plugin", "small_study", "--out", "all"]
    settings = ["--target", "arousal", "--folds", "2", "--people", "all", "--jobs", "1"]
    refused = run(folder, *command, *settings, "--pipelines", "rtcan-eda")
    assert refused.returncode == 2
    assert refused.stderr == "edaemo: error: rtcan-eda needs torch: pip install torch skorch.\n"
    done = run(folder, *command, *settings)
    assert done.returncode == 0, done.stderr
    (note,) = [line for line in done.stdout.splitlines() if "torch" in line]
    assert note == (
        "Note: Pipelines with a network are left out, because they need torch: pip install torch "
        "skorch. They are cnn-eda, cnn-eda-person, rtcan-eda, rtcan-eda-music, maet-eda, "
        "maet-eda-music."
    )
    table = pd.read_csv(folder / "all" / "small" / "arousal" / "subject" / "table.csv")
    assert {"svm-eda", "boosting-eda", "svm-eda-music"} <= set(table["pipeline"])
    assert not table["pipeline"].str.startswith(("cnn", "rtcan", "maet", "aimstf")).any()

    reproduce = ["-m", "edaemo.cli", "reproduce"]
    small = ["small", "--plugin", "small_study"]
    ratings_alone = run(folder, *reproduce, "table1", *small)
    assert ratings_alone.returncode == 0, ratings_alone.stderr
    assert "## Table 1." in ratings_alone.stdout
    refused = run(folder, *reproduce, "table3", *small, "--folds", "3")
    assert refused.returncode == 2
    assert "needs torch: pip install torch skorch" in refused.stderr


def test_torch_is_imported_for_networks_alone_where_it_is_installed(folder):
    code = (
        "import sys, warnings; from small_study import make; warnings.simplefilter('ignore')\n"
        "from edaemo.benchmark import PIPELINES, evaluate\n"
        f"evaluate('svm-eda', make(), store='lean.sqlite', n_jobs=1, **{SETTINGS})\n"
        "assert 'rtcan-eda-music' in PIPELINES\n"
        "print({'torch', 'skorch'} & set(sys.modules))"
    )
    places = os.pathsep.join([str(Path(__file__).parents[1]), str(folder)])
    environment = {**os.environ, "PYTHONPATH": places}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr


def test_networks_of_edaemo_are_known_without_torch():
    ours = [name for name, kind in NETWORKS.items() if kind.__module__.startswith("edaemo.")]
    assert sorted(ours) == sorted(OWN_NETWORKS)
    for name, inputs in OWN_NETWORKS.items():
        assert inputs == inputs_of_pipeline(NETWORKS[name])
