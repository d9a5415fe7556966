"""A corpus defined in this file, outside the package: one specification, one function, no more."""

import inspect
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_corpora import assert_same, entries, problems_of, write, zipped
from test_corpora import home as home  # a user without data or cache, for all tests

from edaemo.benchmark import STUDIES, evaluate
from edaemo.cli import main
from edaemo.datasets import (
    CORPORA,
    CorpusContent,
    CorpusSpec,
    DatasetError,
    Option,
    Reading,
    load_corpus,
    recognise,
    register_corpus,
)

# The corpus: a file for each listener. A line says what was heard and how it was rated, the next
# one is the skin conductance in nanosiemens, 4 samples a second.

PEOPLE = tuple(f"listener{number}" for number in range(1, 13))
_LISTENER = re.compile(r"(?:^|/)(listener\d+)\.diary$")


def read_song_diary(corpus, *, songs):
    found = corpus.match(_LISTENER)
    corpus.require(PEOPLE, [who for (who,) in found])
    reading = corpus.read(found.values(), [songs], lambda: _read(corpus, found, songs))
    corpus.raise_all()
    return CorpusContent.of(
        reading.columns, ("valence", "arousal"), notes=["Nanosiemens became microsiemens."]
    )


def _read(corpus, found, songs):
    rows = []
    for (who,), name in found.items():
        with corpus.collect():
            lines = corpus.read_lines(name)
            for trial, (said, samples) in enumerate(zip(lines[::2], lines[1::2], strict=True), 1):
                song, valence, arousal = said.split(";")
                if songs == "loud" and not song.startswith("loud"):
                    continue
                rows.append(
                    {
                        "subject": who,
                        "stimulus": song,
                        "trial": trial,
                        "eda": corpus.numbers(name, samples.split(",")) / 1000,
                        "valence": corpus.rating(name, valence, f"valence of {song}", (1, 9)),
                        "arousal": corpus.rating(name, arousal, f"arousal of {song}", (1, 9)),
                    }
                )
    return Reading.of_rows(rows, ("trial", "valence", "arousal"), {})


SPEC = CorpusSpec(
    name="song-diary",
    title="Song diary: skin conductance while listening to songs",
    description="12 people listened to 8 songs each. Nobody else did.",
    licence="CC BY 4.0 (with credit to the authors of this test).",
    citation="Nobody, N. A diary of songs. Journal of Tests 2026, 1, 1-2.",
    how_to_get="The song diary is written by a test.",
    marker=_LISTENER,
    like="listener1.diary",
    read=read_song_diary,
    units={"eda": "microsiemens"},
    sampling_rate=4.0,
    rating_range=(1.0, 9.0),
    development=PEOPLE[::2],
    stimuli="songs",
    options={"songs": Option("all", [str])},
    window=(0.0, 25.0),
    reader=1,
)

# Of files that a test writes, from here on.

N_SAMPLES = 120


def signal(number, trial):
    rng = np.random.default_rng([number, trial])
    return 2000 + 100 * number + np.cumsum(rng.integers(-9, 10, N_SAMPLES))


def ratings(number, trial):
    return (number * 17 + trial * 29) % 81 / 10 + 1, (number * 31 + trial * 13) % 81 / 10 + 1


def diary(number):
    lines = []
    for trial in range(1, 9):
        valence, arousal = ratings(number, trial)
        song = f"{'loud' if trial % 2 else 'soft'} song {(trial + number) % 8}"
        lines += [f"{song};{valence};{arousal}", ",".join(map(str, signal(number, trial)))]
    return "\n".join(lines) + "\n"


FILES = {f"{who}.diary": diary(number) for number, who in enumerate(PEOPLE, start=1)}


@pytest.fixture
def registered():
    register_corpus(SPEC)
    yield SPEC
    del CORPORA[SPEC.name]


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path / "mine", FILES)


def test_corpus_is_loaded_by_its_specification_without_being_registered(folder):
    study = load_corpus(SPEC, folder)
    assert len(study.trials) == 12 * 8
    assert {eda.shape for eda in study.trials["eda"]} == {(100,)}
    for row, rated in zip(study.trials.itertuples(), study.ratings.itertuples(), strict=True):
        number = int(row.subject.removeprefix("listener"))
        assert rated[1:] == ratings(number, row.trial)
        assert row.eda.tolist() == (signal(number, row.trial)[:100] / 1000).tolist()
        assert row.duration == 30.0
    assert (study.name, study.artificial, study.units) == (
        *("song-diary", False),
        {"eda": "microsiemens"},
    )
    assert study.development == PEOPLE[::2]
    assert (study.sampling_rate, study.rating_range) == (4.0, (1.0, 9.0))
    assert study.targets["arousal"].equals(study.ratings["arousal"])
    assert study.report["notes"] == ["Nanosiemens became microsiemens."]
    assert [study.report[what] for what in ("people", "trials", "songs", "masked_samples")] == [
        *(12, 96, 16, 0),
    ]
    assert study.report["people_without_recording"] == []
    for text in (SPEC.title, SPEC.description, SPEC.licence, SPEC.citation):
        assert text in study.DESCR


def test_settings_options_archives_and_cache_are_those_of_all_corpora(
    folder, tmp_path, home, monkeypatch
):
    loud = load_corpus(SPEC, folder, songs="loud", window="end")
    assert set(loud.trials["trial"]) == {1, 3, 5, 7}
    assert loud.trials["eda"][0][-1] == signal(1, 1)[-1] / 1000
    packed = zipped(
        tmp_path / "diary.zip", {f"deep/down/{name}": one for name, one in FILES.items()}
    )
    first = load_corpus(SPEC, folder)
    assert_same(load_corpus(SPEC, packed), first)
    assert len(entries(home)) == 3  # of all and of the loud songs; archives are told by CRC-32

    def read(*args):
        raise AssertionError("the originals were read")

    monkeypatch.setitem(globals(), "_read", read)
    assert_same(load_corpus(SPEC, folder), first)
    with pytest.raises(TypeError, match=r"load_corpus\('song-diary'\): unknown setting 'song'"):
        load_corpus(SPEC, folder, song="loud")
    with pytest.raises(ValueError, match=r"'songs' parameter of load_corpus\('song-diary'\)"):
        load_corpus(SPEC, folder, songs=5)


def test_a_part_and_bad_files_are_told_in_one_error(folder):
    (folder / "listener3.diary").unlink()
    write(folder, {"listener5.diary": diary(5).replace(";", ";99", 1)})
    found = problems_of(lambda place: load_corpus(SPEC, place), folder)
    assert [line.split(":")[0].split(", outside")[0] for line in found] == [
        "listener3 are missing",
        f"listener5.diary has 99{ratings(5, 1)[0]} as valence of loud song 6",
    ]
    write(folder, {"listener5.diary": diary(5)})
    part = load_corpus(SPEC, folder, allow_partial=True)
    assert part.trials["subject"].nunique() == 11
    assert part.report["people_without_recording"] == ["listener3"]


def test_registered_corpus_is_found_by_name_and_by_its_files(registered, folder, monkeypatch, home):
    assert recognise(folder) is SPEC
    with pytest.raises(DatasetError) as caught:
        load_corpus("song-diary")
    for words in ("path=: not given", "EDAEMO_DATA", str(home / "song-diary.zip"), SPEC.how_to_get):
        assert words in str(caught.value)
    monkeypatch.setenv("EDAEMO_DATA", str(folder.parent))
    folder.rename(folder.parent / "song-diary")
    assert_same(load_corpus("song-diary"), load_corpus(SPEC, folder.parent / "song-diary"))


def test_registered_corpus_is_listed_and_checked(registered, folder, monkeypatch, capsys):
    zipped(folder.parent / "song-diary.zip", FILES)
    monkeypatch.setenv("EDAEMO_DATA", str(folder.parent))
    assert main(["datasets", "list"]) == 0
    (part,) = (p for p in capsys.readouterr().out.split("\n\n") if p.startswith("song-diary:"))
    for text in (
        "song-diary: skin conductance while listening to songs",
        f"the variable EDAEMO_DATA: {folder.parent / 'song-diary.zip'}",
        "load_corpus('song-diary')",
        SPEC.licence,
        SPEC.citation,
        SPEC.how_to_get,
    ):
        assert text in part
    assert main(["datasets", "check", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "song-diary (recognised by listener1.diary)" in out
    assert re.search(r"people +12: listener1, ", out)
    assert re.search(r"seconds of a trial +30 to 30", out)
    (folder / "listener2.diary").unlink()
    assert main(["datasets", "check", str(folder), "--study", "song-diary"]) == 1
    out = capsys.readouterr().out
    assert "listener2 are missing: found 11 of 12 people" in out
    assert re.search(r"trials +88", out)


def test_registered_corpus_is_evaluated_by_name(registered, folder, tmp_path, monkeypatch, capsys):
    folder.rename(tmp_path / "song-diary")
    monkeypatch.setenv("EDAEMO_DATA", str(tmp_path))
    settings = {"targets": "arousal", "n_splits": 3, "n_jobs": 1}
    pipelines = ["logistic-eda", "majority"]
    table = evaluate(pipelines, "song-diary", store=tmp_path / "store", **settings)
    by_pipeline = table.set_index("pipeline")
    assert set(pipelines) <= set(by_pipeline.index)
    assert (by_pipeline["study"] == "song-diary").all()
    assert (by_pipeline["n_failed"] == 0).all()
    # The six people who are not for development, by their own thresholds.
    assert by_pipeline.loc["majority", "balanced_accuracy"] == 0.5
    arguments = ["--pipelines", "majority", "--folds", "2", "--jobs", "1", "--target", "arousal"]
    assert main(["compare", "song-diary", "--out", str(tmp_path / "out"), *arguments]) == 0
    said = "song-diary, arousal (by each person's own threshold): 6 evaluation people, 48 trials"
    assert said in capsys.readouterr().out


@pytest.mark.parametrize("command", [["compare"], ["reproduce", "table1"]])
def test_registered_corpus_is_in_the_help(command, registered, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "1000")
    with pytest.raises(SystemExit) as ended:
        main([*command, "--help"])
    assert ended.value.code == 0
    said = " ".join(capsys.readouterr().out.split())
    known = (
        "amigos, case, ceap-360vr, deap, freihaut-goeritz, hku956, induced-stress, mahnob-hci, "
        "muse-car, pmemo, seed-vii, stress-predict, wesad, song-diary"
    )
    assert f"studies: {known}, if you have the files" in said
    assert "hku956" in said.partition("(default: ")[2]


def test_studies_are_the_registered_corpora(registered):
    assert {"hku956", "song-diary", "seed-vii", "muse-car"} <= set(CORPORA)
    assert set(CORPORA) <= set(STUDIES)
    assert len(STUDIES) == len(list(STUDIES))


@pytest.mark.parametrize(
    ("changes", "pattern"),
    [
        ({"name": "deap"}, "A corpus 'deap' exists already"),
        ({"name": "e4"}, "A corpus 'e4' exists already"),
        ({"name": "generated"}, "A corpus 'generated' exists already"),
        ({"folder": "hku956"}, "hku956 uses the folder 'hku956' already"),
        ({"licence": " ", "citation": ""}, "lacks licence, citation"),
        ({"options": {"cache": Option(True, ["boolean"])}}, "cannot have options called cache"),
    ],
)
def test_what_cannot_be_registered_is_an_error(changes, pattern):
    given = {one: getattr(SPEC, one) for one in inspect.signature(CorpusSpec).parameters}
    before = dict(CORPORA)
    with pytest.raises(DatasetError, match=pattern):
        register_corpus(CorpusSpec(**{**given, **changes}))
    assert before == CORPORA


def test_artificial_is_what_the_specification_says(folder):
    given = {one: getattr(SPEC, one) for one in inspect.signature(CorpusSpec).parameters}
    assert load_corpus(CorpusSpec(**{**given, "artificial": True}), folder).artificial is True


def test_corpus_without_eda_is_not_cut_and_gives_its_own_duration(tmp_path):
    def read(corpus):
        cells = [np.ones((2, 3)), np.ones((2, 5))]
        trials = {
            **{"subject": ["a", "b"], "stimulus": ["x", "x"], "trial": np.array([1, 1])},
            **{"gaze": cells, "duration": np.array([3.0, 5.0])},
        }
        return CorpusContent(trials, {"valence": np.array([1.0, 2.0])})

    spec = CorpusSpec(
        **{"name": "gaze", "title": "Gaze", "description": "Eyes.", "licence": "None of its own."},
        **{"citation": "Nobody 2026.", "how_to_get": "Look.", "marker": "gaze.txt", "read": read},
        **{"units": {"gaze": "degrees"}, "sampling_rate": 1.0, "rating_range": (1, 9)},
        targets=("valence",),
    )
    study = load_corpus(spec, write(tmp_path / "gaze", {"gaze.txt": "x"}))
    assert [cell.shape for cell in study.trials["gaze"]] == [(2, 3), (2, 5)]
    assert study.trials["duration"].tolist() == [3, 5]
    assert study.targets["valence"].tolist() == [1, 2]
    assert isinstance(study.report["left_out"], pd.DataFrame)
    with pytest.raises(TypeError, match="unknown setting 'window'"):
        load_corpus(spec, window=None)
    with pytest.raises(TypeError, match="unknown setting 'cache'"):
        load_corpus(spec, cache=False)


def test_the_corpus_of_the_documentation_works(tmp_path):
    page = (Path(__file__).parents[1] / "docs" / "datasets.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (code,) = (block for block in blocks if "CorpusSpec(" in block)
    samples = ",".join(["0.5"] * 100 + ["7"])
    files = {f"listener{n}.csv": f"a,{n % 9 + 1},4,{samples}\n" for n in range(1, 13)}
    folder = write(tmp_path / "diary", files)
    assert SPEC.name not in CORPORA
    try:
        exec(code, {})
        study = load_corpus("song-diary", folder)
        assert [len(eda) for eda in study.trials["eda"]] == [100] * 12
        assert study.ratings["arousal"].tolist() == [4.0] * 12
        (folder / "listener4.csv").unlink()
        (found,) = problems_of(lambda place: load_corpus("song-diary", place), folder)
        assert "listener4 are missing" in found
    finally:
        CORPORA.pop("song-diary", None)
