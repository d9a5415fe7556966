"""What is found in generated studies, of which everything is known, is what was put there.

Small; the benchmarks whose functions are used here are the same large, and docs/proofs.md has what
they say.
"""

import importlib.util
from argparse import Namespace
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import linear_sum_assignment
from scipy.stats import ttest_1samp, wilcoxon
from sklearn.metrics import balanced_accuracy_score

from edaemo.benchmark import PIPELINES, ResultStore, evaluate, make_rtcan, make_svm_baseline
from edaemo.datasets import make_music_listening
from edaemo.model_selection import PROTOCOLS
from edaemo.preprocessing import CvxEDATransformer, SubjectThresholdRelabeler
from edaemo.statistics._scores import adjust_holm

# Whole numbers fall on thresholds, which the relabeler tells; some people have few trials.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:UserWarning:edaemo"),
    pytest.mark.filterwarnings("ignore:.* warned .* times:UserWarning"),
]


def load_benchmark(name: str) -> ModuleType:
    path = Path(__file__).parents[1] / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


decomposition = load_benchmark("generated_decomposition")
relabelling = load_benchmark("generated_relabelling")
null = load_benchmark("generated_null")

NOTHING = {
    "eda_informativeness": 0,
    "music_informativeness": 0,
    "subject_fingerprint": 0,
    "stimulus_fingerprint": 0,
    "time_drift": 0,
}
LONG, SHORT = "180 s, 50 Hz", "20 to 56 s, 50 Hz"


@pytest.fixture(scope="module")
def decomposed():
    """Correlations and counts of 120 long and 120 short trials."""
    components, counts = [], []
    for kind in (LONG, SHORT):
        sampling_rate, duration = decomposition.RECORDINGS[kind]
        rng = np.random.default_rng(0)
        for trial in decomposition.make_trials(sampling_rate, duration, 20, 6, 0):
            of_trial = decomposition.measure(trial, sampling_rate, rng)
            components += [{"kind": kind} | row for row in of_trial[0]]
            counts += [{"kind": kind} | row for row in of_trial[1]]
    return pd.DataFrame(components), pd.DataFrame(counts)


class TestDecomposition:
    """The issue: correlation with the true components, sensitivity and PPV of driver events."""

    @staticmethod
    def correlations(decomposed, kind, part):
        """Give one column for each way and one row for each trial."""
        components = decomposed[0][decomposed[0]["kind"] == kind]
        return pd.DataFrame({w: g[part].to_numpy() for w, g in components.groupby("way")})

    @staticmethod
    def rates(decomposed, kind, way, share=decomposition.SHARE):
        counts = decomposed[1]
        chosen = (counts["tolerance"] == decomposition.TOLERANCE) & (counts["kind"] == kind)
        return decomposition.rates(
            counts[chosen & (counts["way"] == way) & (counts["share"] == share)]
        )

    @pytest.mark.parametrize("kind", [LONG, SHORT])
    @pytest.mark.parametrize("part", ["phasic", "tonic"])
    def test_components_are_the_true_ones_where_the_model_holds(self, decomposed, kind, part):
        """Right time constants, no noise, nothing before the trial."""
        r = self.correlations(decomposed, kind, part)["all three: constants, noise, before"]
        assert r.median() > 0.998
        assert r.quantile(0.1) > 0.97

    def test_components_of_long_recordings_are_nearer_than_by_a_filter(self, decomposed):
        for part, least, ahead in [("phasic", 0.88, 0.2), ("tonic", 0.9, 0.0)]:
            r = self.correlations(decomposed, LONG, part)
            median = r.median()
            assert median["cvxEDA"] > least
            assert median["cvxEDA"] > median["the recording; its straight line"] + ahead
            for way in ("cvxEDA", "in µS"):
                filtered = r["EDADecomposer, highpass"]
                assert wilcoxon(r[way], filtered, alternative="greater").pvalue < 0.01

    @pytest.mark.parametrize("kind", [LONG, SHORT])
    @pytest.mark.parametrize("part", ["phasic", "tonic"])
    def test_what_the_model_assumes_does_not_make_components_worse(self, decomposed, kind, part):
        r = self.correlations(decomposed, kind, part)
        less = r.sub(r["cvxEDA"], axis=0).median()
        for way in ("no noise", "no response before the trial"):
            assert less[way] > 0, way
            assert wilcoxon(r[way], r["cvxEDA"], alternative="greater").pvalue < 0.001, way
        assert less["true constants"] > -0.01
        assert r["true constants"].median() > r["cvxEDA"].median()

    def test_driver_events_are_found_far_beyond_chance(self, decomposed):
        for kind, sensitivity, ppv in [(LONG, 0.8, 0.75), (SHORT, 0.88, 0.65)]:
            found = self.rates(decomposed, kind, "cvxEDA")
            assert found["sensitivity"] > sensitivity > found["sensitivity by chance"] + 0.5
            assert found["PPV"] > ppv > found["PPV by chance"] + 0.4

    @pytest.mark.parametrize("kind", [LONG, SHORT])
    def test_driver_events_are_more_often_right_than_rises_from_trough_to_peak(
        self, decomposed, kind
    ):
        driver = self.rates(decomposed, kind, "cvxEDA")
        rises = self.rates(decomposed, kind, "trough to peak", share=0.1)
        for name in ("sensitivity", "PPV"):
            assert driver[name] > rises[name] + 0.03, name

    def test_lower_thresholds_find_more_and_more_of_it_is_false(self, decomposed):
        rates = [self.rates(decomposed, LONG, "cvxEDA", share) for share in decomposition.SHARES]
        assert rates[0]["sensitivity"] > 0.98
        assert (np.diff([rate["sensitivity"] for rate in rates]) <= 0).all()
        assert (np.diff([rate["PPV"] for rate in rates]) > 0).all()

    @pytest.mark.parametrize("kind", [LONG, SHORT])
    def test_noise_makes_false_events(self, decomposed, kind):
        ways = ["no noise", "cvxEDA", *(f"and white noise at {d} dB" for d in (30, 20, 10))]
        ppv = [self.rates(decomposed, kind, way)["PPV"] for way in ways]
        assert ppv[0] > 0.95
        assert (np.diff(ppv) < 0.005).all()
        assert ppv[-1] < ppv[1] - 0.15

    def test_events_are_the_largest_of_what_lies_within_a_second(self):
        driver = np.zeros(100)
        driver[[0, 30, 34, 60, 99]] = [3.0, 1.0, 2.0, 0.2, 4.0]
        times, sizes = decomposition.driver_events(driver, 10)
        assert_allclose(times, [0.0, 3.4, 6.0, 9.9])
        assert_allclose(sizes, [0.3, 0.2, 0.02, 0.4])
        assert_allclose(decomposition.driver_events(driver, 10, 0.1)[0], [0.0, 3.4, 9.9])
        assert len(decomposition.driver_events(np.zeros(100), 10)[0]) == 0

    def test_matching_finds_as_many_pairs_as_there_can_be(self):
        rng = np.random.default_rng(0)
        for _ in range(50):
            found, true = (np.sort(20 * rng.random(n)) for n in rng.integers(0, 25, size=2))
            near = np.abs(found[:, None] - true) <= 0.5
            pairs = decomposition.match(found, true, 0.5)
            assert len(pairs) == near[linear_sum_assignment(-near.astype(int))].sum()
            assert all(near[pair] for pair in pairs)
            assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)

    def test_what_came_before_the_trial_fades_and_is_all_there_is_at_its_beginning(self):
        for trial in decomposition.make_trials(10.0, 60.0, 4, 3, 0):
            assert_allclose(trial.earlier[0], trial.phasic[0], atol=1e-9)
            slow, _ = trial.constants
            left = np.abs(trial.earlier[-1])
            assert left <= 3 * np.abs(trial.earlier).max() * 60 / slow * np.exp(-60 / slow) + 1e-9


class TestRelabelling:
    """The issue: beats a global threshold when scale use differs, else changes nothing."""

    @staticmethod
    def scores(n_studies, n_people=60, n_trials=17, **dials):
        """Score people who differ in their use of the scale alone; one row for each study."""
        studies = relabelling.make_studies(
            n_studies, n_people, n_trials, **(relabelling.ALIKE | dials)
        )
        scores = [relabelling.score(relabelling.rate(study)) for study in studies]
        return pd.DataFrame(scores)

    @pytest.mark.parametrize(
        ("scale_use", "n_studies", "least"), [(1, 8, 0.0), (2, 4, 0.03), (3, 4, 0.05)]
    )
    def test_own_threshold_beats_every_global_one_where_scale_use_differs(
        self, scale_use, n_studies, least
    ):
        scores = self.scores(n_studies, scale_use=scale_use)
        for cut in relabelling.CUTS:
            for rival in (*relabelling.GLOBAL, "anybody's"):
                gain = scores[cut, "own"] - scores[cut, rival]
                low = relabelling.interval(gain)[1]
                assert low > least, (cut, rival)
        assert scores["share", "own"].mean() > 0.8

    def test_whose_threshold_it_is_changes_nothing_where_all_use_the_scale_alike(self):
        """A threshold from as many trials of anybody gives labels that are as good."""
        scores = self.scores(12, scale_use=0)
        for cut in ("share", "0"):
            _, low, high = relabelling.interval(scores[cut, "own"] - scores[cut, "anybody's"])
            assert -0.02 < low < 0 < high < 0.02, cut

    def test_few_trials_make_an_own_threshold_dearer_than_a_global_one_many_do_not(self):
        """All use the scale alike, and the study's own threshold comes from everybody's trials."""
        (study,) = relabelling.make_studies(1, 60, 240, scale_use=0, **relabelling.ALIKE)
        trials = relabelling.rate(study)
        cost = []
        for n in (8, 17, 60, 240):
            some = trials.groupby("subject").sample(n, random_state=0)
            score = relabelling.score(some)["share"]
            cost.append(score["2-means"] - score["own"])
        assert (np.diff(cost) < 0).all()
        assert 0.04 < cost[1] < 0.1
        assert abs(cost[-1]) < 0.015

    def test_score_does_not_depend_on_where_a_global_threshold_lies(self):
        (study,) = relabelling.make_studies(1, 60, 100, scale_use=0, **relabelling.ALIKE)
        trials = relabelling.rate(study)
        ratings, felt = trials[["valence", "arousal"]], trials["felt_arousal"]
        scores = [
            relabelling.agreement(
                SubjectThresholdRelabeler("arousal", threshold=threshold).fit_relabel(ratings), felt
            )
            for threshold in (4, 5, 6, 7)
        ]
        assert np.ptp(scores) < 0.025
        assert min(scores) > 0.9
        shuffled = np.random.default_rng(0).permutation(trials["arousal"]) > 5
        assert abs(relabelling.agreement(shuffled.astype(int), felt) - 0.5) < 0.02

    def test_agreement_by_hand(self):
        felt = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
        assert relabelling.agreement(np.array([0, 0, 1, 1, 1]), felt) == 1.0
        # Two of three that were felt high, one of two that were not.
        assert_allclose(relabelling.agreement(np.array([0, 1, 0, 1, 1]), felt), 7 / 12)

    def test_classifier_reaches_more_by_own_labels_where_scale_use_differs(self):
        gain = {}
        for scale_use in (0, 2):
            both = [
                [relabelling.predict(study, "arousal", way) for way in ("own", "5")]
                for study in relabelling.make_studies(3, 60, 17, scale_use=scale_use)
            ]
            own, five = np.mean(both, axis=0)
            gain[scale_use] = own - five
        of_labels, of_felt = gain[2]
        assert of_labels > 0.04
        assert of_felt > -0.01
        # Where all use the scale alike it loses on labels, not in what it has learned.
        of_labels, of_felt = gain[0]
        assert -0.06 < of_labels < 0
        assert abs(of_felt) < 0.01


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("stores")


def people_scores(folder, studies, pipelines, protocols, **settings):
    """Give each person's balanced accuracy; columns pipeline, protocol, score."""
    tables = []
    for i, study in enumerate(studies):
        study.name = f"study {i}"
        store = folder / f"{len(list(folder.iterdir()))}.sqlite"
        evaluate(
            pipelines, study, "arousal", protocols, people="all", n_splits=2, n_jobs=1,
            random_state=i, store=store, **settings,
        )  # fmt: skip
        with ResultStore(store) as kept:
            folds = kept.folds()[["key", "pipeline", "protocol"]]
            told = kept.predictions().merge(folds, on="key")
        told["right"] = told["label"].astype(int) == told["predicted"].astype(int)
        recall = told.groupby(["pipeline", "protocol", "subject", "label"])["right"].mean()
        tables.append(recall.groupby(level=[0, 1, 2]).mean().reset_index(name="score"))
    return pd.concat(tables)


def p_chance(scores):
    """Test each pipeline and protocol over people against 0.5, two-sided; Holm over all."""
    p = scores.groupby(["pipeline", "protocol"])["score"].agg(
        lambda each: ttest_1samp(each, 0.5).pvalue if each.std() > 0 else 1.0
    )
    return pd.Series(adjust_holm(p.to_numpy()), p.index)


class TestNothingToFind:
    """In the bundled tests small; every protocol is in benchmarks/generated_null.py."""

    PROTOCOLS = ("subject", "subject+stimulus", "trial")
    # What other tests have registered (my-…) comes and goes.
    READERS = [  # noqa: RUF012
        name
        for name, entry in PIPELINES.items()
        if not (entry.reference or entry.on_request or name.startswith("my-"))
    ]

    def study(self, seed, **dials):
        settings = {"sampling_rate": 8, "duration": 20, "random_state": seed}
        return make_music_listening(12, 12, 12, **settings, **dials)

    def test_every_pipeline_is_at_chance(self, folder):
        studies = [self.study(seed, **NOTHING) for seed in range(4)]
        scores = people_scores(folder, studies, self.READERS, self.PROTOCOLS, max_epochs=1)
        assert set(scores["pipeline"]) >= set(self.READERS)
        read = scores[scores["pipeline"].isin(self.READERS)]
        p = p_chance(read)
        assert len(p) == len(self.READERS) * len(self.PROTOCOLS)
        assert p.min() > 0.01
        assert abs(read["score"].mean() - 0.5) < 0.015

    def test_the_large_one_runs_under_each_protocol_that_needs_no_groups(self, capsys):
        args = {"pipelines": ["majority"], "seeds": 2, "epochs": 1, "jobs": 1}
        null.find_nothing(Namespace(protocols=null.OF_NOTHING, **args))
        header = next(line for line in capsys.readouterr().out.splitlines() if line[0:1] == "|")
        named = [cell.strip() for cell in header.strip("|").split("|")]
        assert set(named) == {"", *PROTOCOLS} - {"condition-held-out", "new-people"}

    def test_the_same_test_sees_what_can_be_read(self, folder):
        dials = {"eda_informativeness": 1.0, "music_informativeness": 1.0}
        studies = [self.study(seed, **dials) for seed in range(4)]
        scores = people_scores(folder, studies, ["svm-music", "svm-eda-person"], ["subject"])
        assert (
            p_chance(scores)[[("svm-music", "subject"), ("svm-eda-person", "subject")]].max() < 1e-4
        )


class TestFingerprints:
    """Songs and people that give themselves away, and no emotion that could be read."""

    def test_music_names_the_song_and_a_split_by_people_lets_it_through(self, folder):
        studies = [
            make_music_listening(
                20, 12, 12, sampling_rate=8, duration=20, random_state=seed,
                **NOTHING | {"stimulus_fingerprint": 1.0},
            )
            for seed in range(3)
        ]  # fmt: skip
        scores = people_scores(
            folder, studies, ["svm-music"], ["trial", "subject", "subject+stimulus"]
        )
        mean = scores.groupby(["pipeline", "protocol"])["score"].mean()["svm-music"]
        assert min(mean["trial"], mean["subject"]) > 0.7
        # Six songs on each side: chance, with a wide spread.
        assert abs(mean["subject+stimulus"] - 0.5) < 0.1


class TestBestRate:
    """What is there is found; benchmarks/generated_best.py has the sizes where nine tenths are."""

    def test_eda_and_music_beat_either_and_get_most_of_the_way(self):
        study = make_music_listening(150, 60, 16, sampling_rate=8, duration=30, random_state=3)
        best = study.bayes_rate(2000).loc["arousal"]
        assert 0.75 < best.loc["both", "accuracy"] < 0.85
        people = study.trials["subject"]
        y = SubjectThresholdRelabeler(target="arousal").fit_relabel(study.ratings, subject=people)
        train = people.isin(sorted(people.unique())[:100]).to_numpy()
        channels = CvxEDATransformer(8, n_times=64).fit_transform(study.trials)

        def way(model, X):
            guess = model.fit(X[train], y[train]).predict(X[~train])
            right = balanced_accuracy_score(y[~train], guess)
            return (right - 0.5) / (best.loc["both", "balanced_accuracy"] - 0.5)

        rtcan = {
            knows: way(make_rtcan(music=music, max_epochs=12, random_state=0), channels)
            for knows, music in [("eda", None), ("both", study.music)]
        }
        music = way(make_svm_baseline(music=study.music), study.trials)
        assert rtcan["both"] > max(rtcan["eda"], music)
        assert rtcan["both"] > 0.65
