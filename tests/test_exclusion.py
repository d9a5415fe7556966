"""Trials that `evaluate` excludes by a declared rule on the quality of their signals."""

import json
import shlex

import numpy as np
import outside
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Bunch

from edaemo.benchmark import (
    EvaluationError,
    ResultStore,
    compare_pipelines,
    evaluate,
    load_predictions,
    newest_keys,
    register_study,
    write_report,
)
from edaemo.cli import main
from edaemo.evaluation import STUDIES
from edaemo.preprocessing import SubjectThresholdRelabeler, signal_quality

pytestmark = pytest.mark.filterwarnings("ignore:.*subjects have centres:UserWarning")

SETTINGS = {"targets": "arousal", "n_splits": 2, "n_jobs": 1, "progress": False}
FLAT, LOST, HALF_LOST, MISSING = 0, 7, 14, 21  # rows with a defect


class Seen(ClassifierMixin, BaseEstimator):
    """A classifier that keeps the trials that it was given; `notes` is a list of everybody's."""

    notes: list[tuple] = []  # noqa: RUF012

    def fit(self, X: pd.DataFrame, y: np.ndarray) -> "Seen":
        self.classes_ = np.unique(y)
        self.notes.append(("fit", X["trial"].index.tolist()))
        return self

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        self.notes.append(("predict", X["trial"].index.tolist()))
        return np.resize(self.classes_, len(X))


@pytest.fixture
def study() -> Bunch:
    """Return 48 trials of eight people, of which four have a defect."""
    made = outside.make_study(n_people=8)
    cells = [np.array(cell) for cell in made.trials["eda"]]
    cells[FLAT][:] = 2.0
    cells[LOST][:] = 0.02  # below 0.05 microsiemens
    cells[HALF_LOST][:32] = 0.02  # 40 % of 80 samples
    cells[MISSING][:8] = np.nan  # 10 %
    made.trials["eda"] = cells
    return made


RULES = [
    ({"flat": 0}, [FLAT, LOST]),
    ({"lost_contact_share": 0.5}, [LOST]),
    ({"lost_contact_share": 0.4}, [LOST]),  # a limit is permitted
    ({"lost_contact_share": 0.39}, [LOST, HALF_LOST]),
    ({"missing_share": 0.05}, [MISSING]),
    ("flat=0,missing_share=0.05", [FLAT, LOST, MISSING]),
    ("flagged", [FLAT, LOST, HALF_LOST, MISSING]),
]


@pytest.mark.parametrize(("rule", "excluded"), RULES, ids=str)
def test_excluded_trials_are_in_no_fold(rule, excluded, study, tmp_path):
    Seen.notes.clear()
    table = evaluate({"seen": Seen()}, study, quality=rule, store=tmp_path / "s", **SETTINGS)
    tested = [row for kind, rows in Seen.notes if kind == "predict" for row in rows]
    assert sorted(tested) == [row for row in range(48) if row not in excluded]
    trained = {row for kind, rows in Seen.notes if kind == "fit" for row in rows}
    assert not trained & set(excluded)
    assert set(table["n_trials"]) == {48 - len(excluded)}
    assert set(table["n_excluded"]) == {len(excluded)}
    assert set(table["n_missing"]) == {0}


def test_by_default_no_trial_is_excluded(study, tmp_path):
    table = evaluate("svm-eda", study, store=tmp_path / "s", **SETTINGS)
    assert set(table["n_trials"]) == {48}
    assert table["quality"].isna().all()
    assert set(table["n_excluded"]) == {0}


def test_labels_do_not_depend_on_the_rule(study, tmp_path):
    """A person's threshold is the definition of the target: it uses all ratings."""
    evaluate("svm-eda", study, quality="flagged", store=tmp_path / "s", **SETTINGS)
    found = load_predictions(tmp_path / "s").drop_duplicates("row").set_index("row")["label"]
    relabeler = SubjectThresholdRelabeler(target="arousal")
    expected = relabeler.fit_relabel(study.ratings, subject=study.trials["subject"])
    np.testing.assert_array_equal(found.to_numpy(), expected[found.index])


def test_with_and_without_the_rule_in_one_store(study, tmp_path, capsys):
    store = tmp_path / "s.sqlite"
    rules = [None, {"flat": 0, "lost_contact_share": 0.39}]
    table = evaluate("svm-eda", study, quality=rules, store=store, **SETTINGS)
    text = "flat=0,lost_contact_share=0.39"
    assert table["quality"].drop_duplicates().tolist() == [None, text]
    assert table.loc[table["pipeline"] == "svm-eda", "n_trials"].tolist() == [48, 45]
    assert table["excluded"].iloc[-1] == "2 flat, 2 lost_contact_share"
    with ResultStore(store) as kept:
        folds = kept.folds()
    ruled = folds[folds["quality"] == text]
    assert len(ruled) * 2 == len(folds)
    assert ruled["settings"].iloc[0]["quality_limits"] == {"flat": 0.0, "lost_contact_share": 0.39}
    assert ruled["audit"].iloc[0]["excluded"] == {"flat": 2, "lost_contact_share": 2}
    # The key depends on the rule, so nothing is computed again or mixed up.
    before = folds.set_index("key")["created"].to_dict()
    evaluate("svm-eda", study, quality=rules, store=store, **SETTINGS)
    with ResultStore(store) as kept:
        assert kept.folds().set_index("key")["created"].to_dict() == before
    predictions = load_predictions(store, keys=newest_keys(store))
    assert predictions.groupby("quality", dropna=False)["row"].nunique().tolist() == [45, 48]
    n_people = compare_pipelines(predictions).groupby("quality", dropna=False)["n_people"].max()
    assert n_people.index.isna().sum() == 1
    assert text in n_people.index


def test_the_report_shows_both_and_its_commands_repeat_them(study, tmp_path, capsys):
    register_study("faulty", lambda path=None: study)
    study["name"] = "faulty"
    try:
        store = tmp_path / "s.sqlite"
        evaluate("svm-eda", study, quality=[None, "flagged"], store=store, **SETTINGS)
        write_report(store, tmp_path)
        text = (tmp_path / "tables.md").read_text()
        assert "4 trials are excluded by the quality rule flagged" in text
        assert "faulty, arousal, subject, quality flagged" in text.replace("\\", "")
        with ResultStore(store) as kept:
            before = kept.folds().set_index("key")["created"].to_dict()
        commands = [line for line in text.splitlines() if line.startswith("    edaemo compare")]
        assert len(commands) == 2
        for command in commands:
            words = shlex.split(command)[1:]
            assert main([*words, "--out", str(tmp_path / "again")]) == 0
        with ResultStore(store) as kept:
            assert kept.folds().set_index("key")["created"].to_dict() == before
    finally:
        del STUDIES["faulty"]
    printed = " ".join(capsys.readouterr().out.split())
    assert "4 trials are excluded by the quality rule flagged (1 missing_share, 2 flat, " in printed
    folder = tmp_path / "again" / "faulty" / "arousal" / "subject"
    assert (folder / "table.csv").exists()
    assert (folder / "quality-flagged" / "table.csv").exists()


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("flaged", r"names 'flaged'.*did you mean 'flat'|there are"),
        ({"flatness": 0}, "names 'flatness'.*'flat'"),
        ({"quantization_step": 0.1}, "names 'quantization_step'"),
        ({"flat": -1}, "limit of flat must be at least 0, got -1"),
        ({"flat": float("nan")}, "limit of flat"),
        ("flat=a", "limit of flat must be at least 0, got 'a'"),
        ({}, "must be None, 'flagged', or limits"),
        (3, "must be None, 'flagged', or limits"),
        ({"n_spikes": 0, "flat": 0, "missing_share": 0, "lost_contact_share": 0}, None),
    ],
)
def test_rule_that_is_not_one_is_refused(rule, said, study, tmp_path):
    if said is None:
        evaluate("svm-eda", study, quality=rule, store=tmp_path / "s", **SETTINGS)
        return
    with pytest.raises(EvaluationError, match=said):
        evaluate("svm-eda", study, quality=rule, store=tmp_path / "s", **SETTINGS)
    assert not (tmp_path / "s").exists()


def test_rule_that_excludes_everything_or_lacks_signals_is_refused(study, tmp_path):
    study.trials["eda"] = [np.full(80, 2.0)] * 48
    with pytest.raises(EvaluationError, match="quality rule excludes all trials"):
        evaluate({"seen": Seen()}, study, quality="flat=0", store=tmp_path / "s", **SETTINGS)
    study["sampling_rate"] = None
    with pytest.raises(EvaluationError, match=r"needs EDA and its sampling rate: my-study"):
        evaluate({"seen": Seen()}, study, quality="flat=0", store=tmp_path / "s", **SETTINGS)


def test_counts_of_the_corpus_are_those_of_the_page_on_quality(study, tmp_path):
    """HKU956, first 25 s: 242 flat, 18 clipped, 65 without contact, 660 of 956 with none."""
    from edaemo.datasets import load_hku956
    from edaemo.evaluation._exclusion import make_exclusion

    corpus = load_hku956()
    exclusion = make_exclusion(corpus, "flagged")
    rows = np.arange(len(corpus.trials))
    assert len(rows) == 956
    assert len(exclusion.keep(rows)) == 660
    assert exclusion.count_defects(rows) == {
        "flat": 242,
        "clipped_share": 18,
        "lost_contact_share": 65,
    }
    assert json.dumps(exclusion.limits)
    assert signal_quality(corpus)["flat"].sum() == 242
