"""What holds of every corpus: its specification, where it is looked for, and what loading gives."""

import inspect
import re
import sys
from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.utils import Bunch
from test_corpora import (
    as_downloaded,
    assert_same,
    entries,
    pmemo_music,
    problems_of,
    write,
    write_pmemo_2018,
    write_pmemo_2019,
    zipped,
)
from test_corpora import home as home  # a user without data or cache, for all tests
from test_corpora import music_names as music_names
from test_corpora import short_deap as short_deap
from test_corpora import small_amigos as small_amigos
from test_corpora import small_deap as small_deap
from test_datasets import small_hku as small_hku
from test_datasets import small_stress as small_stress
from test_e4 import session
from test_seed_corpora import contents
from test_seed_corpora import mahnob as mahnob
from test_seed_corpora import muse as muse
from test_seed_corpora import seed as seed
from test_seed_corpora import written_mahnob as written_mahnob
from test_seed_corpora import written_seed as written_seed
from test_stress_corpora import freihaut_release as freihaut_release
from test_stress_corpora import small_case as small_case
from test_stress_corpora import small_ceap as small_ceap
from test_stress_corpora import small_freihaut as small_freihaut
from test_stress_corpora import small_stress_predict as small_stress_predict
from test_stress_corpora import small_wesad as small_wesad

import edaemo.datasets
from edaemo.datasets import (
    CORPORA,
    DatasetError,
    _corpus,
    load_corpus,
    load_deap,
    load_e4,
    load_hku956,
    make_music_listening,
    read_trials,
    select_people,
)
from edaemo.model_selection import SubjectKFold

# A word of the page that each is to be had from.
SOURCES = {
    "hku956": "21080821",
    "induced-stress": "10.1038/s41597-025-04845-9",
    "pmemo": "github.com/HuiZhangDB/PMEmo",
    "deap": "eecs.qmul.ac.uk/mmv/datasets/deap",
    "amigos": "eecs.qmul.ac.uk/mmv/datasets/amigos",
    "mahnob-hci": "mahnob-db.eu/hci-tagging",
    "seed-vii": "bcmi.sjtu.edu.cn/home/seed/seed-vii.html",
    "muse-car": "www.muse-challenge.org",
    "stress-predict": "github.com/italha-d/Stress-Predict-Dataset",
    "freihaut-goeritz": "github.com/Freihaut/Freihaut_Goeritz-2021-Study_Files-Mouse",
    "wesad": "archive.ics.uci.edu/dataset/465",
    "ceap-360vr": "github.com/cwi-dis/CEAP-360VR-Dataset",
    "case": "gitlab.com/karan-shr/case_dataset",
}
# Fixture that writes a small corpus, what it is read with beside allow_partial=True, and the
# archives that its files come in: name → pattern of the files.
SMALL = {
    "hku956": ("small_hku", {"window": None}, {}),
    "induced-stress": ("small_stress", {"window": None}, {}),
    "pmemo (2018)": ("pmemo_2018", {"window": None}, {"EDA": "^EDA", "the rest": "^(?!EDA)"}),
    "pmemo (2019)": ("pmemo_2019", {"window": None}, {"EDA": "^EDA", "the rest": "^(?!EDA)"}),
    "deap": (
        "small_deap",
        {"signals": ("eda", "eeg", "bvp")},
        {"data_preprocessed_python": r"\.dat$", "metadata_csv": r"\.csv$"},
    ),
    "amigos": (
        "small_amigos",
        {"signals": ("eda", "ecg"), "videos": "all", "window": None},
        {f"P{n:02d}": rf"P{n:02d}\.mat" for n in (1, 8, 32)} | {"Metadata": "xlsx"},
    ),
    "mahnob-hci": (
        "mahnob",
        {"signals": ("eda", "eeg"), "window": (0, 2)},
        {"one": r"Sessions/\d\d/", "others": r"Sessions/\d\d\d+/"},
    ),
    "seed-vii": (
        "seed",
        {"signals": ("eye", "eeg_de")},
        {"EEG_features": "^EEG", "EYE_features": "^EYE", "rest": "^(cont|emo)"},
    ),
    "muse-car": (
        "muse",
        {"signals": ("fasttext", "egemaps")},
        {"c1_muse_wild": "^c1", "metadata": "^meta"},
    ),
    "stress-predict": ("small_stress_predict", {"window": None}, {"a": "^Raw", "b": "^Proc"}),
    "freihaut-goeritz (prepared)": ("small_freihaut", {"window": None}, {"prepared": ""}),
    "freihaut-goeritz (release)": (
        "freihaut_release",
        {"window": None},
        {"Raw_Data_EDA": "Raw_Data_EDA", "the rest": "json"},
    ),
    "wesad": ("small_wesad", {"segment": 10.0}, {"one": "^S2/", "other": "^S17/"}),
    "ceap-360vr": ("small_ceap", {"window": (0, 2)}, {"physio": "^5_", "questions": "^2_"}),
    "case": ("small_case", {"window": (0, 0.1)}, {"one": "annotations", "two": "physiological"}),
}
SPECS = pytest.mark.parametrize("name", SOURCES)
ANY_DEPTH = [n for n in SMALL if n not in ("hku956", "induced-stress")]
CACHED = [name for name in ANY_DEPTH if CORPORA[name.partition(" ")[0]].reader is not None]


@pytest.fixture
def pmemo_2018(tmp_path, music_names):
    music = {"static_features.csv": pmemo_music([1, 4, 999], music_names)}
    return write_pmemo_2018(tmp_path / "pmemo", more=music)


@pytest.fixture
def pmemo_2019(tmp_path, music_names):
    return write_pmemo_2019(tmp_path / "pmemo", music=music_names)


@pytest.fixture
def corpus(request):
    """A small corpus, by the parameter: its specification, loader, folder and settings."""
    fixture, settings, archives = SMALL[request.param]
    spec = CORPORA[request.param.partition(" ")[0]]
    return SimpleNamespace(
        spec=spec,
        load=getattr(edaemo.datasets, spec.loader),
        place=request.getfixturevalue(fixture),
        settings={"allow_partial": True, **settings},
        archives=archives,
    )


def small(names=SMALL):
    return pytest.mark.parametrize("corpus", names, indirect=True)


# The specification


def test_every_corpus_is_under_test():
    assert {name.partition(" ")[0] for name in SMALL} == set(SOURCES) == set(CORPORA)


@SPECS
def test_specification_is_complete(name):
    spec = CORPORA[name]
    assert spec.name == name
    proper, colon, what = spec.title.partition(": ")
    assert colon
    assert what
    assert spec.proper_name == proper
    for text in (spec.licence, spec.citation, spec.description):
        assert len(text) > 50
    assert "What to know before believing a score:" in spec.description
    assert re.search(r"\b(19|20)\d\d\b", spec.citation)
    assert SOURCES[name] in spec.how_to_get
    marker = re.escape(spec.marker) if isinstance(spec.marker, str) else spec.marker
    assert re.search(marker, spec.like) or spec.like in spec.marker.pattern
    assert set(spec.channels) <= set(spec.units)
    assert spec.artificial is False
    if spec.rating_range is None:
        assert set(spec.targets) <= {"task", "condition"}  # classes, not ratings
    else:
        assert spec.rating_range[0] < spec.rating_range[1]
    if spec.has_eda:
        assert spec.sampling_rate > 0


@SPECS
def test_loader_takes_what_the_specification_says_with_the_same_defaults(name):
    spec = CORPORA[name]
    assert spec.loader in edaemo.datasets.__all__
    path, *others = inspect.signature(getattr(edaemo.datasets, spec.loader)).parameters.values()
    assert (path.name, path.default) == ("path", None)
    assert {one.name: one.default for one in others} == {
        setting: option.default for setting, option in spec.settings.items()
    }
    assert {one.kind for one in others} == {inspect.Parameter.KEYWORD_ONLY}
    # Each is described, and so is what comes back.
    text = inspect.getdoc(getattr(edaemo.datasets, spec.loader))
    for parameter in (path, *others):
        assert re.search(rf"^{parameter.name} : ", text, re.M)
    for heading in ("Parameters", "Returns", "Raises", "References"):
        assert f"\n{heading}\n---" in text


@pytest.mark.parametrize(
    "name", ["deap", "amigos", "mahnob-hci", "seed-vii", "wesad", "ceap-360vr", "case"]
)
def test_development_people_are_the_drawn_half(name):
    spec = CORPORA[name]
    people = sys.modules[spec.read.__module__].PEOPLE  # in the order of their numbers
    drawn = np.random.default_rng(20261120).permutation(sorted(people))[: len(people) // 2]
    assert spec.development == tuple(sorted(drawn.tolist(), key=people.index))


# Where it is looked for


@SPECS
def test_corpus_that_is_nowhere_names_all_four_places_and_how_to_get_it(
    name, home, tmp_path, monkeypatch
):
    spec = CORPORA[name]
    monkeypatch.setattr(_corpus, "REPOSITORY_DATA", tmp_path / "repository")
    with pytest.raises(DatasetError, match=f"{spec.folder} was not found") as caught:
        load_corpus(name)
    assert "the variable EDAEMO_DATA: not set" in str(caught.value)
    monkeypatch.setenv("EDAEMO_DATA", str(tmp_path / "environment"))
    with pytest.raises(DatasetError) as caught:
        getattr(edaemo.datasets, spec.loader)()
    said = str(caught.value)
    assert f"searched for {spec.like!r}, in this order:" in said
    folders = [tmp_path / "environment", tmp_path / "repository", home]
    places = [str(folder / spec.folder) for folder in folders]
    found = [said.index(place) for place in ["path=: not given", *places]]
    assert found == sorted(found)
    for place in places:
        assert f"{place}.zip" in said
        assert f"{place}/{spec.folder}.zip" in said
    for words in ("EDAEMO_DATA", "user's cache", SOURCES[name], spec.how_to_get):
        assert words in said


@SPECS
def test_path_without_the_corpus_says_what_is_there_and_looks_nowhere_else(name, tmp_path):
    spec = CORPORA[name]
    load = getattr(edaemo.datasets, spec.loader)
    place = write(tmp_path / "photos", {"a.jpg": b"", "b.jpg": b""})
    with pytest.raises(DatasetError) as caught:
        load(place)
    said = str(caught.value)
    assert f"photos' does not hold {spec.folder}: no folder or zip archive there" in said
    assert spec.like in said
    assert "It holds a.jpg, b.jpg." in said
    assert spec.how_to_get in said
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match=r"empty' does not hold .* The folder is empty"):
        load(tmp_path / "empty")
    with pytest.raises(DatasetError, match=r"nothing' does not hold .* does not exist"):
        load(tmp_path / "nothing")
    with pytest.raises(DatasetError, match=r"empty\.zip' does not hold"):
        load(zipped(tmp_path / "empty.zip", {}))
    (tmp_path / "text.zip").write_text("hello")
    with pytest.raises(DatasetError, match=r"text\.zip is not a readable zip"):
        load(tmp_path / "text.zip")


@small()
def test_corpus_is_found_in_each_place(corpus, home, tmp_path, monkeypatch):
    files = contents(corpus.place)
    expected = corpus.load(corpus.place, **corpus.settings)
    repository, environment = tmp_path / "repository", tmp_path / "environment"
    monkeypatch.setattr(_corpus, "REPOSITORY_DATA", repository)
    monkeypatch.setenv("EDAEMO_DATA", str(environment))
    folder = corpus.spec.folder
    zipped(home / folder / f"{folder}.zip", files)
    found = [load_corpus(corpus.spec, **corpus.settings)]
    write(repository / folder, files)
    found.append(load_corpus(corpus.spec.name, **corpus.settings))
    zipped(environment / f"{folder}.zip", files)
    found.append(corpus.load(**corpus.settings))
    packed = home / folder / f"{folder}.zip"  # at any depth, archives count as folders
    one_place = isinstance(corpus.spec.marker, str)
    assert [study.report["source"] for study in found] == [
        str(packed if one_place else packed.parent),
        str(repository / folder),
        str(environment / f"{folder}.zip"),
    ]
    for study in found:
        assert_same(study, expected)


@pytest.mark.parametrize("form", ["deep", "one archive", "several archives"])
@small(ANY_DEPTH)
def test_corpus_is_read_unpacked_or_not(corpus, form, tmp_path):
    place = as_downloaded(form, contents(corpus.place), corpus.archives, tmp_path / "laid")
    expected = corpus.load(corpus.place, **corpus.settings)
    assert_same(corpus.load(place, **corpus.settings), expected)
    assert_same(corpus.load(str(place), **corpus.settings), expected)


@pytest.mark.parametrize("within", ["", "some folder/of mine/"])
@small(["hku956", "induced-stress"])
def test_path_may_be_a_zip_with_or_without_its_own_folder(corpus, within, tmp_path):
    files = {within + name: content for name, content in contents(corpus.place).items()}
    archive = zipped(tmp_path / "corpus.zip", files)
    expected = corpus.load(corpus.place, **corpus.settings)
    assert_same(corpus.load(archive, **corpus.settings), expected)
    assert_same(corpus.load(str(archive), **corpus.settings), expected)


@small(ANY_DEPTH)
def test_half_an_archive_is_named(corpus, tmp_path):
    archive = zipped(tmp_path / "rest.zip", {"a.csv": b"0" * 1000, "b.csv": b"1" * 1000})
    write(corpus.place, {"rest.zip": archive.read_bytes()[:100]})
    (found,) = problems_of(corpus.load, corpus.place, **corpus.settings)
    assert re.search(r"rest\.zip is not a readable zip archive", found)


# What comes back


@small()
def test_study_has_the_fields_of_the_contract(corpus):
    spec, hku = corpus.spec, load_hku956()
    study = corpus.load(corpus.place, **corpus.settings)
    assert set(hku) <= set(study)
    assert study.name == spec.name
    assert study.artificial is False
    assert (study.licence, study.citation) == (spec.licence, spec.citation)
    for text in (study.licence, study.citation, study.DESCR):
        assert len(text) > 50
    assert study.DESCR.startswith(spec.title)
    for text in (spec.description.strip(), study.licence, study.citation):
        assert text in study.DESCR
    assert study.sampling_rate > 0
    assert study.rating_range == spec.rating_range
    signals = set(corpus.settings.get("signals", ("eda",)))
    assert set(study.units) == signals
    assert all(study.units.values())
    if "channels" in study:
        assert set(study.channels) == signals
    assert signals <= set(study.trials)
    assert list(study.targets)
    people = {*study.trials["subject"], *study.report["left_out"]["subject"]}
    named = isinstance(spec.development, tuple) and spec.development
    assert set(study.development) <= set(spec.development if named else people)


@small()
def test_trials_ratings_and_targets_are_aligned_and_of_the_same_types(corpus):
    hku, study = load_hku956(), corpus.load(corpus.place, **corpus.settings)
    assert set(hku.trials) - set(study.trials) == (set() if corpus.spec.has_eda else {"eda"})
    assert isinstance(study.trials.index, pd.RangeIndex)
    assert len(study.trials) > 0
    for aligned in (study.ratings, *study.targets.values()):
        assert aligned.index.equals(study.trials.index)
    for name in ("subject", "stimulus", "trial", "duration"):
        assert study.trials[name].dtype == hku.trials[name].dtype
    assert not study.trials.duplicated(["subject", "stimulus", "trial"]).any()
    if corpus.spec.has_eda:
        assert {(eda.dtype, eda.ndim) for eda in study.trials["eda"]} == {(np.dtype(np.float64), 1)}
    if study.music is not None:
        assert set(study.music.index) == set(study.trials["stimulus"])
        assert study.music.index.name == "stimulus"
    folds = [*SubjectKFold(2).split(study.trials, groups=study.trials["subject"])]
    assert len(folds) == 2


@small()
def test_report_counts_what_was_read_and_left_out(corpus):
    hku, study = load_hku956(), corpus.load(corpus.place, **corpus.settings)
    report = study.report
    assert report["source"] == str(corpus.place)
    assert report["trials_kept"] == len(study.trials)
    assert list(report["left_out"]) == list(hku.report["left_out"])
    recorded = report["left_out"]["reason"] != "no recording"
    assert report["trials"] == report["trials_kept"] + recorded.sum()
    assert report["people"] >= study.trials["subject"].nunique()
    assert report["notes"]
    assert ("window" in report) == corpus.spec.has_eda
    assert ("cache" in report) == (corpus.spec.reader is not None)


@small()
def test_development_people_can_be_selected(corpus):
    study = corpus.load(corpus.place, **corpus.settings)
    there = set(study.development) & set(study.trials["subject"])
    for people, expected in [
        ("development", there),
        ("evaluation", set(study.trials["subject"]) - there),
    ]:
        if expected:
            assert set(select_people(study, people).trials["subject"]) == expected
        else:
            with pytest.raises(ValueError, match=f"no {people} people"):
                select_people(study, people)


@small(CACHED)
def test_second_load_comes_from_the_cache_and_is_the_same(corpus, home, monkeypatch):
    first = corpus.load(corpus.place, **corpus.settings)
    assert first.report["cache"].startswith(
        f"read from the original files, kept in {home / 'parquet'}"
    )
    kept = [len(pd.read_parquet(entry)) for entry in entries(home)]
    assert len(kept) == (1 if first.music is None else 2)
    assert len(first.trials) in kept

    def read(*args):
        raise AssertionError("the originals were read")

    monkeypatch.setattr(sys.modules[corpus.spec.read.__module__], "_read", read)
    second = corpus.load(corpus.place, **corpus.settings)
    assert second.report["cache"] == f"from {home / 'parquet'}"
    assert_same(first, second)
    for field in ("units", "channels", "sampling_rate"):
        assert first.get(field) == second.get(field)
    if "signals" in corpus.settings:
        fewer = {**corpus.settings, "signals": corpus.settings["signals"][:1]}
        with pytest.raises(AssertionError, match="were read"):
            corpus.load(corpus.place, **fewer)


@small(CACHED)
def test_what_is_wrong_is_not_kept(corpus, home):
    known_by = [name for name in contents(corpus.place) if corpus.spec.marker.search(name)]
    file = corpus.place / known_by[0]
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2] + b"\xff\x00")
    assert problems_of(corpus.load, corpus.place, **corpus.settings)
    assert entries(home) == []


def test_warning_is_of_the_line_that_called(small_deap):
    (small_deap / "participant_ratings.csv").unlink()
    for call in (load_deap, partial(load_corpus, "deap")):
        with pytest.warns(UserWarning, match="order of presentation is not known") as caught:
            call(small_deap, allow_partial=True)
        assert [warning.filename for warning in caught] == [__file__]


def test_generated_studies_alone_are_artificial(tmp_path):
    made = make_music_listening(4, 10, 5, sampling_rate=4, duration=20)
    assert made.artificial is True
    renamed = Bunch(**{**made, "name": "hku956"})
    assert select_people(renamed, "evaluation").artificial is True
    write(tmp_path / "P01", session())
    assert load_e4(tmp_path / "P01").artificial is False
    (tmp_path / "a.csv").write_text("eda\n" + "1\n2\n" * 8)
    row = {"subject": ["a"], "stimulus": ["s"], "file": ["a.csv"]}
    own = read_trials(pd.DataFrame(row), ratings=(), sampling_rate=4, folder=tmp_path)
    assert own.artificial is False


# Settings that make no sense


@SPECS
@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("path", 5),
        ("window", "start"),
        ("window", (5, 5)),
        ("window", (25, 0)),
        ("allow_partial", "no"),
        ("cache", None),
        ("signals", "eda"),
        ("sampling_rate", 128),
    ],
)
def test_bad_setting_is_one_error_that_names_it_before_anything_is_read(
    name, parameter, value, tmp_path
):
    spec = CORPORA[name]
    load = getattr(edaemo.datasets, spec.loader)
    settings = {"path": tmp_path / "nothing", parameter: value}
    known = parameter in spec.settings or parameter == "path"
    expected = ValueError if known else TypeError
    with pytest.raises(expected, match=parameter) as caught:
        load(**settings)
    assert not isinstance(caught.value, DatasetError)
    with pytest.raises(expected, match=parameter) as caught:
        load_corpus(spec, **settings)
    assert not isinstance(caught.value, DatasetError)
    if known and parameter != "window":
        assert spec.loader in str(caught.value)


def test_corpus_that_is_not_registered_is_an_error_with_the_nearest_name():
    with pytest.raises(DatasetError, match="Unknown corpus 'deep': did you mean 'deap'"):
        load_corpus("deep")
    with pytest.raises(TypeError, match="must be a CorpusSpec or the name of one, got 5"):
        load_corpus(5)
