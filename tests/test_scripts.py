"""What users write: the examples as they stand, and every way of wiring the same pipeline."""

import pickle
import re
import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from imblearn.pipeline import Pipeline as ImbalancedPipeline
from joblib import Memory
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils import Bunch

from edaemo import CvxEDATransformer, MusicFeatureUnion, RTCANClassifier, SubjectThresholdRelabeler
from edaemo.datasets import RecordingWarning
from edaemo.model_selection import SubjectThresholdScorer

# What the relabeler says of people whose ratings form no two groups is tested where it is due.
pytestmark = pytest.mark.filterwarnings("ignore:.*subjects:UserWarning")

EXAMPLES = Path(__file__).parents[1] / "examples"
DOCS = Path(__file__).parents[1] / "docs"


def routed_folds(n_folds: int = 3) -> GroupKFold:
    """GroupKFold that takes its groups from the metadata `subject`; only with routing on."""
    return GroupKFold(n_folds).set_split_request(groups="subject")


@pytest.fixture(scope="module")
def y(few: Bunch) -> np.ndarray:
    return SubjectThresholdRelabeler(target="arousal").fit_relabel(few.ratings, subject=few.subject)


def make_pipe(few: Bunch, **rtcan: object) -> Pipeline:
    settings = {"max_epochs": 2, "channels": (8, 8, 8, 8), "random_state": 0} | rtcan
    eda = CvxEDATransformer(sampling_rate=few.sampling_rate, n_times=32)
    return Pipeline(
        [
            ("fuse", MusicFeatureUnion(eda=eda, music=few.music)),
            ("rtcan", RTCANClassifier(**settings)),
        ]
    )


def make_chain(few: Bunch, last: object = None) -> ImbalancedPipeline:
    rtcan = RTCANClassifier(
        max_epochs=2, channels=(8, 8, 8, 8), validation_fraction=0.2, random_state=0
    )
    return ImbalancedPipeline(
        [
            ("relabel", SubjectThresholdRelabeler(target="arousal")),
            ("cvxeda", CvxEDATransformer(sampling_rate=few.sampling_rate, n_times=32)),
            ("music", MusicFeatureUnion(music=few.music)),
            ("rtcan", last or rtcan),
        ]
    )


def test_first_example_runs_as_it_stands():
    given = runpy.run_path(str(EXAMPLES / "first_study.py"))
    assert given["probability"].shape == (956, 2)
    np.testing.assert_allclose(given["probability"].sum(axis=1), 1)
    for score in ("test_balanced_accuracy", "test_f1"):
        assert given["scores"][score].shape == (5,)
        assert ((given["scores"][score] > 0) & (given["scores"][score] < 1)).all()


def test_second_example_runs_as_it_stands():
    scores = runpy.run_path(str(EXAMPLES / "relabel_inside.py"))["scores"]["test_score"]
    assert scores.shape == (5,)
    assert ((scores > 0) & (scores < 1)).all()


def test_pictures_of_decompositions_are_drawn(tmp_path, draw):
    given = draw("plot_decomposition_weights", "decomposition", "decomposition-published")
    for picture in ("decomposition.png", "decomposition-published.png"):
        assert (tmp_path / picture).read_bytes().startswith(b"\x89PNG")
    spans = [np.ptp(parts.phasic) / np.ptp(signal) for _, signal, parts in given["recordings"]]
    assert [span > 2 for span in spans] == [False, True, False, True]
    spans = [np.ptp(parts.phasic) / np.ptp(eda) for _, eda, parts, _ in given["good"]]
    assert max(spans) < 1
    assert [len(responses) >= 3 for *_, responses in given["good"]] == [True] * 4


def test_own_recordings_become_a_picture_a_table_and_scores(tmp_path, monkeypatch, capsys):
    rng = np.random.default_rng(0)
    rows = ["subject,stimulus,file,condition"]
    for i in range(10):
        time = np.arange(60 * 32) / 32
        n_responses = 4 + 6 * (i % 2)
        eda = 5 + 0.01 * time + rng.normal(0, 0.005, len(time))
        for onset in np.linspace(3, 50, n_responses) + rng.uniform(0, 1, n_responses):
            after = np.clip(time - onset, 0, None)
            eda += 0.5 * (np.exp(-after / 4) - np.exp(-after / 0.7))
        (tmp_path / f"r{i}.csv").write_text("EDA\n" + "\n".join(map(str, eda)))
        rows.append(f"p{i // 2},{['rest', 'task'][i % 2]},r{i}.csv,{['low', 'high'][i % 2]}")
    (tmp_path / "trials.csv").write_text("\n".join(rows))
    monkeypatch.chdir(tmp_path)
    given = runpy.run_path(str(EXAMPLES / "own_recordings.py"))
    assert (tmp_path / "first.png").read_bytes().startswith(b"\x89PNG")
    assert 3 <= len(given["responses"]) <= 5  # four were planted
    printed = capsys.readouterr().out
    assert "onset   peak  amplitude  rise_time" in printed
    assert "| svm-eda " in printed and "5 evaluation people, 10 trials" in printed


def test_own_csv_files_become_scores(tmp_path, monkeypatch, capsys):
    rng = np.random.default_rng(0)
    rows = ["subject,file,onset,duration,stimulus,condition"]
    for person in range(5):
        time = np.arange(100 * 8) / 8
        eda = 5 + rng.normal(0, 0.005, len(time))
        for onset in (32, 35, 38, 41, 44, 82, 85, 88, 91, 94):
            after = np.clip(time - onset, 0, None)
            eda += 0.5 * (np.exp(-after / 2) - np.exp(-after / 0.7))
        cells = zip(time.tolist(), eda.round(6).tolist(), strict=True)
        lines = [f"{t};{x}".replace(".", ",") for t, x in cells]
        (tmp_path / f"p{person}.csv").write_text("\n".join(["Zeit;EDA (µS)", *lines]))
        events = {5: "low", 30: "high", 55: "low", 80: "high"}
        rows += [f"p{person},p{person}.csv,{at},20,{at},{what}" for at, what in events.items()]
    (tmp_path / "events.csv").write_text("\n".join(rows))
    monkeypatch.chdir(tmp_path)
    with pytest.warns(RecordingWarning, match=r"5 files .*found: .*delimiter ;, decimal comma"):
        study = runpy.run_path(str(EXAMPLES / "own_csv_files.py"))["study"]
    assert study.trials["start"].tolist() == [5, 30, 55, 80] * 5
    printed = capsys.readouterr().out
    assert "20 trials at 8.0 Hz" in printed
    assert "| svm-eda " in printed and "5 evaluation people, 20 trials" in printed


@pytest.mark.filterwarnings("ignore:.*subjects have centres:UserWarning")
def test_the_picture_of_the_readme_is_drawn(tmp_path, draw):
    scores = draw("plot_leaking_split", "readme")["scores"]["balanced_accuracy"]
    assert (tmp_path / "readme.png").read_bytes().startswith(b"\x89PNG")
    assert scores["trial"] > 0.6 and scores["subject"] > 0.6
    assert scores["subject+stimulus"] < 0.55


@pytest.mark.parametrize("name", ["table1", "table2"])
def test_small_tables_of_the_docs_are_what_their_commands_print(name):
    pytest.importorskip("torch")
    script = runpy.run_path(str(DOCS / "tables.py"))
    table = script["TABLES"][name]
    page = (DOCS.parent / table.page).read_text()
    assert script["fill"](page, name, table.make()) == page


@pytest.mark.filterwarnings("ignore:.*subjects have centres:UserWarning")
def test_scores_of_the_docs_are_near_those_of_their_command():
    """Other processors may turn a prediction or two."""
    pytest.importorskip("torch")
    script = runpy.run_path(str(DOCS / "tables.py"))
    table = script["TABLES"]["quality"]
    page = (DOCS.parent / table.page).read_text()
    shown = page.split("<!-- table quality -->")[1].split("<!-- end of table quality -->")[0]
    printed, shown = table.make().splitlines(), shown.strip().splitlines()
    assert len(printed) == len(shown) == 8
    for new, old in zip(printed, shown, strict=True):
        numbers = [np.array(re.findall(r"\d+\.?\d*", row), dtype=float) for row in (new, old)]
        assert_allclose(*numbers, atol=0.02)
        assert re.sub(r"[\d.]+", "", new) == re.sub(r"[\d.]+", "", old)


def test_results_in_the_readme_are_those_of_the_comparison():
    script = runpy.run_path(str(DOCS / "tables.py"))
    page = (DOCS / "comparison.md").read_text()
    readme = (DOCS.parent / "README.md").read_text()
    found = 0
    for protocol, cell in (("subject", 1), ("subject+stimulus", 2)):
        section = page.split(f"## hku956, arousal, `{protocol}`")[1].split("\n## ")[0]
        for name, link in script["README_LINKS"].items():
            (row,) = (line for line in section.splitlines() if line.startswith(f"| {name} "))
            (shown,) = (line for line in readme.splitlines() if line.startswith(f"| {link} "))
            assert shown.split("|")[1 + cell].strip() == row.split("|")[2].strip()
            found += 1
    assert found == 10


def test_every_generated_table_has_its_place_and_is_filled():
    script = runpy.run_path(str(DOCS / "tables.py"))
    for name, table in script["TABLES"].items():
        page = (DOCS.parent / table.page).read_text()
        text = page.split(f"<!-- table {name} -->")[1].split(f"<!-- end of table {name} -->")[0]
        assert text.count("\n|") >= 5, name


def test_routing_on_and_off_give_the_same_scores(few, y):
    pipe = make_pipe(few)
    plain = cross_validate(pipe, few.trials, y, groups=few.subject, cv=GroupKFold(3))
    with config_context(enable_metadata_routing=True):
        routed = cross_validate(
            pipe,
            few.trials,
            y,
            params={"subject": few.subject},
            cv=routed_folds(),
            scoring="accuracy",
        )
    assert_array_equal(routed["test_score"], plain["test_score"])


def test_chain_with_relabelling_inside_gives_the_same_scores_routed_and_plain(few):
    chain = make_chain(few)
    scorer = SubjectThresholdScorer("balanced_accuracy", target="arousal")
    plain = cross_validate(
        chain, few.trials, few.ratings, groups=few.subject, cv=GroupKFold(3), scoring=scorer
    )
    with config_context(enable_metadata_routing=True):
        routed = cross_validate(
            chain,
            few.trials,
            few.ratings,
            params={"subject": few.subject},
            cv=routed_folds(),
            scoring=scorer,
        )
    assert np.isfinite(plain["test_score"]).all()
    assert_array_equal(routed["test_score"], plain["test_score"])


def test_chain_scores_are_those_of_labels_made_before_the_split(few, y):
    """A person's labels depend on that person alone, so both ways in must agree."""
    chain = make_chain(few)
    scorer = SubjectThresholdScorer("balanced_accuracy", target="arousal")
    inside = cross_validate(
        chain, few.trials, few.ratings, groups=few.subject, cv=GroupKFold(3), scoring=scorer
    )["test_score"]
    before = []
    for training, test in GroupKFold(3).split(few.trials, y, few.subject):
        model = Pipeline(chain.steps[1:]).fit(few.trials.iloc[training], y[training])
        before.append(balanced_accuracy_score(y[test], model.predict(few.trials.iloc[test])))
    assert_array_equal(inside, before)


@pytest.mark.same_bits
def test_same_seed_gives_the_same_scores_whatever_n_jobs(few, y):
    one, two = (
        cross_validate(
            make_pipe(few), few.trials, y, groups=few.subject, cv=GroupKFold(3), n_jobs=n_jobs
        )["test_score"]
        for n_jobs in (1, 2)
    )
    assert_array_equal(one, two)


def test_grid_search_with_people_held_out_inside_and_outside(few, y):
    grid = {"fuse__eda__n_times": [16, 32], "rtcan__lr": [1e-3, 1e-2]}
    with config_context(enable_metadata_routing=True):
        search = GridSearchCV(make_pipe(few), grid, cv=routed_folds(2), scoring="balanced_accuracy")
        given = cross_validate(
            search,
            few.trials,
            y,
            params={"subject": few.subject},
            cv=routed_folds(),
            scoring="balanced_accuracy",
            return_estimator=True,
            return_indices=True,
        )
    assert np.isfinite(given["test_score"]).all()
    for model, training in zip(given["estimator"], given["indices"]["train"], strict=True):
        assert len(model.cv_results_["params"]) == 4
        assert np.isfinite(model.cv_results_["mean_test_score"]).all()
        best = model.best_params_["fuse__eda__n_times"]
        assert model.best_estimator_["rtcan"].net_.module_.n_times == best
        assert few.subject[training].nunique() == 4


def test_clone_and_pickle_give_the_same_model(few, y):
    pipe = make_pipe(few).fit(few.trials, y)
    expected = pipe.predict_proba(few.trials)
    assert_array_equal(clone(pipe).fit(few.trials, y).predict_proba(few.trials), expected)
    assert_array_equal(pickle.loads(pickle.dumps(pipe)).predict_proba(few.trials), expected)


@pytest.mark.filterwarnings("ignore:Persisting input arguments took")  # on a busy machine
def test_memory_in_the_pipeline_changes_nothing(few, y, tmp_path):
    expected = make_pipe(few).fit(few.trials, y).predict_proba(few.trials)
    cached = make_pipe(few).set_params(memory=Memory(tmp_path, verbose=0))
    for _ in range(2):
        assert_array_equal(cached.fit(few.trials, y).predict_proba(few.trials), expected)
    chain = make_chain(few)
    expected = chain.fit(few.trials, few.ratings).predict_proba(few.trials)
    chain = make_chain(few).set_params(memory=Memory(tmp_path, verbose=0))
    for _ in range(2):
        assert_array_equal(chain.fit(few.trials, few.ratings).predict_proba(few.trials), expected)


def test_calibration_around_the_pipeline_and_as_the_last_step(few, y):
    people = list(GroupKFold(2).split(few.trials, y, few.subject))
    around = CalibratedClassifierCV(make_pipe(few), cv=people).fit(few.trials, y)
    probability = around.predict_proba(few.trials)
    assert probability.shape == (len(y), 2)
    np.testing.assert_allclose(probability.sum(axis=1), 1)

    rtcan = make_chain(few)["rtcan"]
    chain = make_chain(few, CalibratedClassifierCV(rtcan, cv=2))
    chain.fit(few.trials, few.ratings)
    np.testing.assert_allclose(chain.predict_proba(few.trials).sum(axis=1), 1)
    inner = chain["rtcan"].calibrated_classifiers_[0].estimator
    assert len(inner.validation_subjects_)  # subjects reached it through the frame's index


def test_array_series_object_array_and_one_column_frame_give_the_same_answer(few, y):
    array = np.stack(list(few.trials["eda"]))
    series = few.trials["eda"]
    forms = [array, series, series.to_numpy(), series.rename("signal").to_frame()]
    answers = []
    for X in forms:
        pipe = make_pipe(few, n_chans=3).set_params(fuse__music=None)
        given = cross_validate(
            pipe, X, y, groups=few.subject, cv=GroupKFold(3), error_score="raise"
        )
        answers.append((pipe.fit(X, y).predict_proba(X), given["test_score"]))
    table = make_pipe(few).set_params(fuse__music=None).fit(few.trials, y)
    answers.append((table.predict_proba(few.trials), answers[0][1]))
    for probability, scores in answers[1:]:
        assert_array_equal(probability, answers[0][0])
        assert_array_equal(scores, answers[0][1])


def test_pipeline_output_can_be_asked_for_as_pandas(few, y):
    pipe = make_pipe(few)
    pipe[:-1].set_output(transform="pandas")
    ids = ["subject", "stimulus", "trial"]
    for table in (few.trials, few.trials.set_index(ids)):  # scikit-learn keeps the index of X
        frame = pipe[:-1].fit_transform(table)
        assert list(frame.columns) == list(pipe[:-1].get_feature_names_out())
        pd.testing.assert_index_equal(frame.index, table.index)


class TestBadInput:
    """Errors that reach the user through the whole pipeline; each room tests its own."""

    def test_lengths_that_differ(self, few, y):
        pipe = make_pipe(few)
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            pipe.fit(few.trials, y[:-1])
        with pytest.raises(ValueError, match="subject must hold one id for each"):
            SubjectThresholdRelabeler().fit_relabel(few.ratings, subject=few.subject[:-1])
        with pytest.raises(ValueError, match=r"length|inconsistent|one for each"):
            make_chain(few).fit(few.trials, few.ratings[:-1])

    def test_single_person_under_group_k_fold(self, few, y):
        alone = (few.subject == few.subject[0]).to_numpy()
        with pytest.raises(ValueError, match="Cannot have number of splits n_splits=3 greater"):
            cross_validate(
                make_pipe(few),
                few.trials[alone],
                y[alone],
                groups=few.subject[alone],
                cv=GroupKFold(3),
            )

    def test_spoilt_trial_in_a_fold_is_named_by_subject_and_stimulus(self, few, y):
        trials = few.trials.copy()
        signal = trials["eda"].iloc[5].copy()
        signal[3] = np.nan
        trials.at[5, "eda"] = signal
        subject, stimulus = trials.loc[5, ["subject", "stimulus"]]
        with pytest.raises(ValueError, match=rf"subject {subject}, stimulus {stimulus}"):
            make_pipe(few).fit(trials, y)

    def test_predict_before_fit(self, few):
        with pytest.raises(ValueError, match="not fitted"):
            make_pipe(few).predict(few.trials)

    def test_trials_of_another_length_at_predict_are_an_error_without_interpolation(self, few, y):
        raw = make_pipeline(MusicFeatureUnion(), RTCANClassifier(max_epochs=1, random_state=0))
        raw.fit(few.trials, y)
        shorter = few.trials.assign(eda=[signal[:80] for signal in few.trials["eda"]])
        with pytest.raises(ValueError, match="80 columns, MusicFeatureUnion was fitted with 100"):
            raw.predict(shorter)

    def test_raw_ratings_scored_as_labels_never_count_as_a_score(self, few):
        with pytest.raises(ValueError, match=r"mix|multi"):
            make_chain(few).fit(few.trials, few.ratings).score(few.trials, few.ratings)


def test_samples_outside_the_window_change_nothing():
    """Cut before anything else: what is outside may change or vanish, outputs stay the same."""
    from edaemo.datasets import cut_window, load_hku956

    study = load_hku956(window=None)
    rows = study.trials["subject"].isin(["hku1903", "hku1904", "hku1905"])
    whole = study.trials[rows].reset_index(drop=True)
    subject = whole["subject"]
    y = SubjectThresholdRelabeler().fit_relabel(
        study.ratings[rows].reset_index(drop=True), subject=subject
    )
    changed, shortened = whole.copy(), whole.copy()
    changed["eda"] = pd.Series(
        [np.r_[eda[:100], eda[100:][::-1] * 7 + 1] for eda in whole["eda"]], dtype=object
    )
    shortened["eda"] = pd.Series([eda[:100] for eda in whole["eda"]], dtype=object)
    outputs = []
    for trials in (whole, changed, shortened):
        cut = cut_window(trials, 4.0, (0.0, 25.0))
        pipe = make_pipe(Bunch(sampling_rate=4.0, music=study.music)).fit(cut, y)
        outputs.append((pipe[0].transform(cut), pipe.predict_proba(cut)))
    for fused, probability in outputs[1:]:
        pd.testing.assert_frame_equal(fused, outputs[0][0])
        assert_array_equal(probability, outputs[0][1])
