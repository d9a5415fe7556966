"""The command ``edaemo predict``."""

import io
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from outside_network import Tiny
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from edaemo import CvxEDATransformer, MusicFeatureUnion, RTCANClassifier, save
from edaemo._safe_file import read_archive, write_archive
from edaemo.cli import main
from edaemo.estimators import NetworkClassifier
from edaemo.features import EDAFeatureExtractor
from edaemo.persistence import FORMAT
from edaemo.preprocessing import SubjectStandardizer

RNG = np.random.default_rng(0)
N = 12
TRIALS = pd.DataFrame(
    {
        "subject": np.repeat(["p1", "p2"], 6),
        "stimulus": np.tile([1, 2, 3], 4),
        "trial": np.tile(range(6), 2),
        "eda": pd.Series([np.cumsum(RNG.normal(size=100)) + 20 for _ in range(N)]),
    }
)
LABELS = np.tile(["calm", "tense"], N // 2)
MUSIC = pd.DataFrame(RNG.normal(size=(3, 2)), index=[1, 2, 3], columns=["tempo", "mode"])
CALM, TENSE = "probability_calm", "probability_tense"


def stored(folder: Path, model: BaseEstimator) -> Path:
    save(model.fit(TRIALS, LABELS), folder / "m.edaemo")
    return folder / "m.edaemo"


@pytest.fixture
def features(tmp_path) -> tuple[BaseEstimator, Path]:
    fuse = MusicFeatureUnion(eda=EDAFeatureExtractor(4))
    model = make_pipeline(fuse, StandardScaler(), LogisticRegression())
    return model, stored(tmp_path, model)


@pytest.fixture
def with_music(tmp_path) -> tuple[BaseEstimator, Path]:
    fuse = MusicFeatureUnion(eda=CvxEDATransformer(sampling_rate=4, n_times=32), music=MUSIC)
    rtcan = RTCANClassifier(channels=(8, 8, 8, 8), max_epochs=2, random_state=0)
    model = make_pipeline(fuse, rtcan)
    return model, stored(tmp_path, model)


def write(path: Path, trial: int, *, e4: str = "") -> Path:
    head = f"1544027337.0\n{e4}\n" if e4 else "eda\n"
    path.write_text(head + "\n".join(map(repr, TRIALS["eda"][trial].tolist())) + "\n")
    return path


def run(capsys: pytest.CaptureFixture, *arguments: object) -> tuple[int, str, str]:
    """Return exit status, stdout and stderr of `edaemo predict`."""
    try:
        status = main(["predict", *map(str, arguments)])
    except SystemExit as ended:
        status = ended.code
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def read(text: str) -> pd.DataFrame:
    # pandas 2 rounds the last digit of a number.
    exact = dict.fromkeys([CALM, TENSE], lambda cell: float(cell or "nan"))
    return pd.read_csv(io.StringIO(text), converters=exact)


def test_csv_parquet_and_e4_give_what_the_model_gives(features, tmp_path, capsys):
    pytest.importorskip("pyarrow")
    model, path = features
    a, c = write(tmp_path / "a.csv", 0), write(tmp_path / "c.csv", 2, e4="4.0")
    b = tmp_path / "b.parquet"
    pd.DataFrame({"eda": TRIALS["eda"][1]}).to_parquet(b)
    status, out, err = run(capsys, path, a, b, c, "--sampling-rate", 4)
    assert (status, err) == (0, "")
    table = read(out)
    assert list(table.columns) == ["file", "trial", "predicted", CALM, TENSE, "quality"]
    assert list(table["file"]) == [str(a), str(b), str(c)]
    assert list(table["trial"]) == [1, 1, 1]
    expected = model.predict_proba(TRIALS[:3])
    np.testing.assert_allclose(table[[CALM, TENSE]], expected, rtol=1e-6)
    assert list(table["predicted"]) == list(model.predict(TRIALS[:3]))


def write_session(folder: Path, presses: list[float], samples: np.ndarray) -> Path:
    """An E4's session at 4 Hz; presses in seconds from its start."""
    folder.mkdir()
    times = "".join(f"{1544027337 + press:.2f}\n" for press in presses)
    (folder / "tags.csv").write_text(times)
    numbers = "\n".join(map(repr, samples.tolist()))
    (folder / "EDA.csv").write_text(f"1544027337.0\n4.0\n{numbers}\n")
    return folder / "EDA.csv"


# A session of five times 25 s: the second and the fourth are the trials of pairs of presses.
LONG = np.concatenate([TRIALS["eda"][i] for i in (3, 0, 4, 1, 5)])


def test_e4_is_cut_by_its_presses(features, tmp_path, capsys):
    model, path = features
    file = write_session(tmp_path / "P01", [25, 50, 75, 100], LONG)
    write_session(tmp_path / "P01" / "other", [0, 25], LONG)
    for tags, trials in (
        ([], [0, 4, 1]),
        (["--tags", "consecutive"], [0, 4, 1]),
        (["--tags", "pairs"], [0, 1]),
    ):
        status, out, err = run(capsys, path, file, *tags)
        assert (status, err) == (0, "")
        table = read(out)
        assert list(table["trial"]) == list(range(1, len(trials) + 1))
        assert set(table["file"]) == {str(file)}
        expected = model.predict_proba(TRIALS.iloc[trials])
        np.testing.assert_allclose(table[[CALM, TENSE]], expected, rtol=1e-6)
    whole = pd.DataFrame({"trial": [0], "eda": pd.Series([LONG])})
    with pytest.warns(UserWarning, match="has 125 s, but the trials of fit had 25 to 25 s"):
        expected = model.predict_proba(whole)
    nobody = write_session(tmp_path / "P02", [], LONG)
    for arguments in ([file, "--tags", "ignore"], [nobody]):
        status, out, err = run(capsys, path, *arguments)
        assert status == 0
        assert re.fullmatch(r"Note: .*has 125 s, but the trials of fit had 25 to 25 s .*\n", err)
        np.testing.assert_allclose(read(out)[[CALM, TENSE]], expected, rtol=1e-6)


def test_presses_that_give_no_trial(features, tmp_path, capsys):
    one = write_session(tmp_path / "P01", [30], LONG)
    late = write_session(tmp_path / "P02", [30, 1e6], LONG)
    odd = write_session(tmp_path / "P03", [25, 50, 75], LONG)
    status, out, err = run(capsys, features[1], one, late, odd, "--tags", "pairs")
    assert (status, out) == (1, "")
    said = err.splitlines()
    assert len(said) == 3
    words = ("1 press", "from the start", "3 presses")
    for line, file, what in zip(said, (one, late, odd), words, strict=True):
        assert line.startswith(f"{file}: ")
        assert what in line
        assert line.endswith("use --tags ignore: the whole session is then one trial.")
    status, out, err = run(capsys, features[1], one, odd)
    assert status == 1
    assert list(read(out)["trial"]) == [1, 2]
    assert ". Or use --tags ignore" in err


def in_rows(trials: list[int], names: list[str]) -> pd.DataFrame:
    """The recordings of trials, one below the other, with a column that names them."""
    eda = [TRIALS["eda"][i] for i in trials]
    return pd.DataFrame({"trial": np.repeat(names, 100), "eda": np.concatenate(eda)})


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_column_trial_gives_a_row_for_each(features, tmp_path, capsys, suffix):
    model, path = features
    table, file = in_rows([2, 0, 1], ["b", "a", "10"]), tmp_path / f"a{suffix}"
    if suffix == ".csv":
        table.to_csv(file, index=False)
    else:
        pytest.importorskip("pyarrow")
        table.to_parquet(file)
    status, out, err = run(capsys, path, file, "--sampling-rate", 4)
    assert (status, err) == (0, "")
    found = read(out)
    assert list(found["trial"]) == ["b", "a", "10"]
    expected = model.predict_proba(TRIALS.iloc[[2, 0, 1]])
    np.testing.assert_allclose(found[[CALM, TENSE]], expected, rtol=1e-6)


def test_bad_trial_does_not_stop_the_others(features, tmp_path, capsys):
    table = in_rows([0, 1, 2], ["x", "y", "z"])
    table.loc[table["trial"] == "y", "eda"] = np.nan
    table.to_csv(tmp_path / "a.csv", index=False)
    status, out, err = run(capsys, features[1], tmp_path / "a.csv", "--sampling-rate", 4)
    assert status == 1
    assert list(read(out)["trial"]) == ["x", "z"]
    assert err.startswith(f"{tmp_path / 'a.csv'}: trial y: ")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_rows_of_a_trial_must_be_named_and_together(features, tmp_path, capsys, suffix):
    file = tmp_path / f"a{suffix}"
    for names, said in (
        (["x", "y", "x"], "trial x are not adjacent"),
        (["x", None, "y"], "row 101"),
    ):
        table = in_rows([0, 1, 2], ["x", "y", "z"])
        table["trial"] = np.repeat(np.array(names, dtype=object), 100)
        if suffix == ".csv":
            table.to_csv(file, index=False)
        else:
            pytest.importorskip("pyarrow")
            table.to_parquet(file)
        status, out, err = run(capsys, features[1], file, "--sampling-rate", 4)
        assert (status, out) == (1, "")
        assert said in err


def test_trials_of_a_file_each_with_its_music(with_music, tmp_path, capsys):
    model, path = with_music
    file, heard = tmp_path / "a.csv", tmp_path / "heard.csv"
    in_rows([0, 1, 2], ["x", "y", "z"]).to_csv(file, index=False)
    heard.write_text(f"file,trial,stimulus\n{file},x,3\n{file},y,1\n{file},,2\n")
    status, out, _ = run(capsys, path, file, "--stimuli", heard, "--sampling-rate", 4)
    assert status == 0
    expected = model.predict_proba(TRIALS[:3].assign(stimulus=[3, 1, 2]))
    np.testing.assert_allclose(read(out)[[CALM, TENSE]], expected, rtol=1e-6)
    heard.write_text(f"file,trial,stimulus\n{file},x,3\n{file},z,1\n")
    status, out, err = run(capsys, path, file, "--stimuli", heard, "--sampling-rate", 4)
    assert status == 1
    assert list(read(out)["trial"]) == ["x", "z"]
    assert f"{file}: trial y: its stimulus is unknown" in err
    heard.write_text(f"file,trial,stimulus\n{file},x,3\n{file},x,1\n")
    status, _, err = run(capsys, path, file, "--stimuli", heard, "--sampling-rate", 4)
    assert status == 2
    assert "trial x, is listed more than once" in err


def test_model_of_other_versions_is_noted(features, tmp_path, capsys):
    members = read_archive(features[1], "model", FORMAT)
    head = json.loads(members["edaemo.json"])
    head["versions"]["scikit-learn"] = "1.7.2"
    members["edaemo.json"] = json.dumps(head).encode()
    write_archive(features[1], "model", FORMAT, members)
    status, _, err = run(capsys, features[1], write(tmp_path / "a.csv", 0, e4="4"))
    assert status == 0
    assert err.startswith(f"Note: {features[1]}: saved with scikit-learn 1.7.2 (installed: ")
    assert len(err.splitlines()) == 1


def test_bad_files_do_not_stop_the_others(features, tmp_path, capsys):
    folder = tmp_path / "recordings"
    folder.mkdir()
    write(folder / "a.csv", 0)
    (folder / "b.csv").write_text("")
    (folder / "c.csv").write_text("eda\n1\n2\n")
    (folder / "d.csv").write_text("eda\n" + "nan\n" * 100)
    write(folder / "f.csv", 2)
    e4 = write(tmp_path / "e.csv", 1, e4="64.0")  # in a folder, its name would have to say EDA
    arguments = [folder, e4, tmp_path / "nowhere.csv", "--sampling-rate", 4]
    status, out, err = run(capsys, features[1], *arguments)
    assert status == 1
    assert [Path(file).name for file in read(out)["file"]] == ["a.csv", "f.csv"]
    said = [line.partition(": ") for line in err.splitlines()]
    assert [Path(file).name for file, _, _ in said] == [
        "b.csv",
        "c.csv",
        "d.csv",
        "e.csv",
        "nowhere.csv",
    ]
    words = ["empty", "too few", "missing", "64 Hz", "does not exist"]
    for (_, _, what), word in zip(said, words, strict=True):
        assert word in what


def test_rate_must_be_the_models(features, tmp_path, capsys):
    plain, e4 = write(tmp_path / "a.csv", 0), write(tmp_path / "b.csv", 0, e4="8.0")
    status, out, err = run(capsys, features[1], plain, e4)
    assert (status, out) == (1, "")
    assert "a.csv: the file does not contain its sampling rate" in err
    assert "b.csv: the recording has 8 Hz, but the model needs 4 Hz" in err
    status, out, err = run(capsys, features[1], plain, "--sampling-rate", 8)
    assert (status, out) == (2, "")
    assert "the model needs 4 Hz" in err


def test_music_of_one_stimulus_or_of_each_file(with_music, tmp_path, capsys):
    model, path = with_music
    a, b = write(tmp_path / "a.csv", 0, e4="4"), write(tmp_path / "b.csv", 1, e4="4")
    status, out, _ = run(capsys, path, a, b, "--stimulus", "2")
    assert status == 0
    expected = model.predict_proba(TRIALS[:2].assign(stimulus=2))
    np.testing.assert_array_equal(read(out)[[CALM, TENSE]], expected)

    heard = tmp_path / "heard.csv"
    heard.write_text(f"stimulus,file\n3,{a}\n1,{b}\n7,other.csv\n")
    status, out, _ = run(capsys, path, a, b, "--stimuli", heard)
    assert status == 0
    expected = model.predict_proba(TRIALS[:2].assign(stimulus=[3, 1]))
    np.testing.assert_array_equal(read(out)[[CALM, TENSE]], expected)


def test_what_was_heard_must_be_known(with_music, tmp_path, capsys):
    _, path = with_music
    a, b = write(tmp_path / "a.csv", 0, e4="4"), write(tmp_path / "b.csv", 1, e4="4")
    heard = tmp_path / "heard.csv"
    for text, said in [
        (f"file,stimulus\n{a},1\n", f"{b} has no stimulus"),
        ("file,music\na,1\n", "column 'stimulus' is missing"),
        (f"file,stimulus\n{a},1\n{a},2\n", "more than once"),
        ("", "cannot be read"),
    ]:
        heard.write_text(text)
        status, out, err = run(capsys, path, a, b, "--stimuli", heard)
        assert (status, out) == (2, "")
        assert said in err
    status, _, err = run(capsys, path, a)
    assert status == 2
    assert "Pass --stimulus, or --stimuli" in err
    status, out, err = run(capsys, path, a, "--stimulus", "9")
    assert (status, out) == (1, "")
    assert "a.csv" in err
    assert "no row for stimulus '9'" in err


def test_known_person_keeps_the_own_scale(tmp_path, capsys):
    model = make_pipeline(EDAFeatureExtractor(4), SubjectStandardizer(), SVC())
    path, a = stored(tmp_path, model), write(tmp_path / "a.csv", 0, e4="4")
    status, _, err = run(capsys, path, a)
    assert status == 2
    assert "Pass --subject" in err
    status, out, err = run(capsys, path, a, "--subject", "p1")
    assert (status, err) == (0, "")
    # An SVC gives no probabilities.
    assert list(read(out).columns) == ["file", "trial", "predicted", "quality"]
    assert read(out)["predicted"][0] == model.predict(TRIALS[:1])[0]
    status, _, err = run(capsys, path, a, "--subject", "p9")
    assert status == 0
    assert err.startswith(f"Note: {a}: 1 of 1 subjects have fewer than 5 trials")


def test_out_is_written_whole(features, tmp_path, capsys):
    a, out = write(tmp_path / "a.csv", 0, e4="4"), tmp_path / "out.csv"
    assert run(capsys, features[1], a, "--out", out) == (0, "", "")
    assert list(pd.read_csv(out)["file"]) == [str(a)]
    status, _, err = run(capsys, features[1], a, "--out", out / "below.csv")
    assert status == 2
    assert "cannot be written" in err
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.csv", "m.edaemo", "out.csv"]


@pytest.mark.parametrize(
    ("model", "X", "said"),
    [
        (make_pipeline(StandardScaler(), SVC()), np.eye(N), "begins with StandardScaler"),
        (make_pipeline(MusicFeatureUnion(), SVC()), np.eye(N), "begins with MusicFeatureUnion"),
        (EDAFeatureExtractor(4), TRIALS, "has no method predict"),
    ],
)
def test_model_that_does_not_begin_with_raw_eda(model, X, said, tmp_path, capsys):
    save(model.fit(X, LABELS), tmp_path / "m")
    status, out, err = run(capsys, tmp_path / "m", write(tmp_path / "a.csv", 0))
    assert (status, out) == (2, "")
    assert said in err


def test_wrong_arguments(features, tmp_path, capsys):
    a = write(tmp_path / "a.csv", 0, e4="4")
    (tmp_path / "empty").mkdir()
    for arguments, said in [
        ([a, a], "not an edaemo model"),
        ([tmp_path / "nowhere", a], "cannot be read"),
        ([features[1]], "required"),
        ([features[1], tmp_path / "empty"], "no recording"),
        ([features[1], a, "--stimulus", 1, "--stimuli", a], "not allowed with"),
        ([features[1], a, "--sampling-rate", 0], "positive"),
    ]:
        status, out, err = run(capsys, *arguments)
        assert (status, out) == (2, "")
        assert said in err


def test_a_network_of_ones_own_is_trusted_by_name(tmp_path, capsys):
    fuse = MusicFeatureUnion(eda=CvxEDATransformer(sampling_rate=4, n_times=32), music=MUSIC)
    network = NetworkClassifier(module=Tiny, max_epochs=2, random_state=0)
    model = make_pipeline(fuse, network)
    path = stored(tmp_path, model)
    file = write(tmp_path / "a.csv", 1)
    arguments = (path, file, "--sampling-rate", 4, "--stimulus", 2)
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert "outside_network.Tiny" in err
    status, out, _ = run(capsys, *arguments, "--trusted", "outside_network.Tiny")
    assert status == 0
    expected = model.predict_proba(TRIALS.iloc[[1]])[0]
    np.testing.assert_allclose(read(out)[[CALM, TENSE]].iloc[0], expected, rtol=1e-12)


def test_recording_that_is_mostly_not_skin_is_withheld_unless_asked_for(features, tmp_path, capsys):
    model, path = features
    # 60 of 100 samples without contact.
    eda = np.concatenate([np.zeros(60), TRIALS["eda"][0][:40]])
    file = tmp_path / "a.csv"
    file.write_text("eda\n" + "\n".join(map(repr, eda.tolist())) + "\n")
    good = write(tmp_path / "b.csv", 1)
    status, out, err = run(capsys, path, file, good, "--sampling-rate", 4)
    assert (status, err) == (0, "")
    bad, usable = read(out).to_dict("records")
    assert pd.isna(bad["predicted"])
    assert pd.isna(bad[CALM])
    assert bad["quality"].startswith("Not predicted: 40% usable. ")
    assert "60.0% of the samples are without contact" in bad["quality"]
    expected = model.predict_proba(TRIALS[1:2])[0]
    np.testing.assert_allclose([usable[CALM], usable[TENSE]], expected, rtol=1e-6)
    status, out, err = run(capsys, path, file, "--sampling-rate", 4, "--any-quality")
    assert (status, err) == (0, "")
    (asked,) = read(out).to_dict("records")
    expected = model.predict_proba(pd.DataFrame({"trial": [0], "eda": pd.Series([eda])}))[0]
    np.testing.assert_allclose([asked[CALM], asked[TENSE]], expected, rtol=1e-6)
    assert not asked["quality"].startswith("Not predicted")
