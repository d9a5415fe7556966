"""``edaemo datasets list`` and ``edaemo datasets check``: what is where, and what is wrong."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_corpora import home as home  # a user without data or cache, for all tests
from test_corpora import write, write_pmemo_2019, zipped
from test_e4 import session
from test_seed_corpora import mahnob_session, muse_files

from edaemo.cli import main
from edaemo.datasets import CORPORA, _corpus, recognise

DATA = Path(__file__).parents[1] / "data"
HKU_ZIP = DATA / "hku956" / "hku956.zip"
STRESS_ZIP = DATA / "induced_stress" / "induced_stress.zip"
NAMES = [
    "amigos",
    "case",
    "ceap-360vr",
    "deap",
    "freihaut-goeritz",
    "hku956",
    "induced-stress",
    "mahnob-hci",
    "muse-car",
    "pmemo",
    "seed-vii",
    "stress-predict",
    "wesad",
]


def test_a_reader_that_closes_the_pipe_causes_no_traceback():
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "edaemo.cli", "datasets", "list"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert done.returncode == 141
    assert done.stderr == ""


@pytest.fixture
def run(capsys):
    """Return a function that runs the command and gives exit status, output and errors."""

    def ran(*arguments):
        capsys.readouterr()
        try:
            status = main(["datasets", *map(str, arguments)])
        except SystemExit as ended:
            status = ended.code
        said = capsys.readouterr()
        return status, said.out, said.err

    return ran


def rows_of(out):
    """What is counted → how much, of the first table."""
    lines = [line[2:].split("  ", 1) for line in out.splitlines() if line.startswith("  ")]
    return {line[0]: line[1].strip() for line in lines if len(line) == 2}


# list


def test_list_shows_every_corpus_with_licence_citation_and_source(run):
    status, out, _ = run("list")
    assert status == 0
    parts = out.split("\n\n")
    assert [part.partition(":")[0] for part in parts[1:-1]] == NAMES
    of = dict(zip(NAMES, parts[1:-1], strict=True))
    assert list(CORPORA) == NAMES
    for name, part in of.items():
        rows, spec = rows_of(part), CORPORA[name]
        assert rows["licence"] == spec.licence
        assert rows["cite"] == spec.citation
        assert rows["available from"] == spec.how_to_get
        assert rows["loader"] == spec.loader
        assert part.startswith(f"{name}: {spec.title.partition(': ')[2]}\n")
    # Some of what the loaders' own pages say.
    assert "10.3390/app12189354" in of["hku956"]
    assert "CC BY-NC 4.0" in of["hku956"]
    assert "www.eecs.qmul.ac.uk/mmv/datasets/deap" in of["deap"]
    assert "load_e4 and read_trials" in parts[-1]


def test_list_shows_which_of_the_places_has_what(run, tmp_path, monkeypatch, home):
    zipped(tmp_path / "mine" / "deap.zip", {"data/s01.dat": "x"})
    write(home / "amigos", {"deep/Data_Preprocessed_P01.mat": "x"})
    (tmp_path / "mine" / "pmemo.zip").write_bytes(HKU_ZIP.read_bytes()[:1000])
    monkeypatch.setenv("EDAEMO_DATA", str(tmp_path / "mine"))
    _, out, _ = run("list")
    parts = dict(zip(NAMES, out.split("\n\n")[1:], strict=False))
    found = {name: rows_of(part)["found in"] for name, part in parts.items()}
    assert found["deap"] == f"the variable EDAEMO_DATA: {tmp_path / 'mine' / 'deap.zip'}"
    assert found["amigos"] == f"the user's cache: {home / 'amigos'}"
    assert found["hku956"] == f"the repository's own folder: {HKU_ZIP}"
    assert found["induced-stress"] == f"the repository's own folder: {STRESS_ZIP}"
    assert "pmemo.zip is not a readable zip archive" in found["pmemo"]
    assert found["seed-vii"] == "no place"
    places = out.split("\n\n")[0].splitlines()
    assert [line.split("  ")[1] for line in places[1:]] == [
        "path= (--path)",
        "the variable EDAEMO_DATA",
        "the repository's own folder",
        "the user's cache",
    ]
    assert str(tmp_path / "mine") in places[2]


def test_list_says_what_is_not_set(run, tmp_path, monkeypatch):
    monkeypatch.setattr(_corpus, "REPOSITORY_DATA", tmp_path / "gone")
    _, out, _ = run("list")
    assert rows_of(out.split("\n\n")[0])["the variable EDAEMO_DATA"] == "not set"
    assert out.count("no place") == len(NAMES)


# Which corpus it is

MARKERS = {
    "hku956": "3. AV_ratings.csv",
    "induced-stress": "Stress_Level_v1.csv",
    "pmemo": "PMEmo2019/EDA/12_EDA.csv",
    "deap": "data_preprocessed_python/s07.dat",
    "amigos": "Data_Preprocessed_P33/Data_Preprocessed_P33.mat",
    "mahnob-hci": "Sessions/2/Part_1_S_Trial1_emotion.bdf",
    "seed-vii": "SEED-VII/EEG_features/3.mat",
    "muse-car": "c1_muse_wild/feature_segments/label_aligned/egemaps/4.csv",
    "stress-predict": "Processed_data/Time_logs.xlsx",
    "freihaut-goeritz": "eda_4hz.npz",
    "wesad": "WESAD/S2/S2.pkl",
    "case": "data/interpolated/physiological/sub_3.csv",
    "ceap-360vr": "5_PhysioData/Raw/P1_Physio_RawData.json",
    "e4": "P01/EDA.csv",
}


@pytest.mark.parametrize("name", MARKERS)
def test_a_corpus_is_known_by_its_files(name, tmp_path):
    folder = write(tmp_path / "folder", {MARKERS[name]: "x"})
    assert recognise(folder).name == name
    assert recognise(zipped(tmp_path / "it.zip", {MARKERS[name]: "x"})).name == name


def test_every_known_corpus_is_recognised_by_the_file_that_is_named(tmp_path):
    for spec in CORPORA.values():
        if "." in spec.like:
            assert recognise(write(tmp_path / spec.name, {spec.like: "x"})) is spec


def test_folder_of_two_corpora_needs_to_be_told(run, tmp_path):
    write(tmp_path, {MARKERS["deap"]: "x", MARKERS["amigos"]: "x"})
    status, _, err = run("check", tmp_path)
    assert status == 2
    assert "holds amigos and deap: choose one with --study" in err
    status, out, _ = run("check", tmp_path, "--study", "amigos")
    assert status == 1
    assert "Data_Preprocessed_P33.mat" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere",), "does not exist"),
        (("empty",), "holds neither a known corpus nor a session of an E4"),
        (("empty/half.zip",), "half.zip is not a readable zip archive"),
        (("empty", "--study", "deep"), "Unknown study 'deep': did you mean 'deap'?"),
        ((HKU_ZIP, "--sampling-rate", "4"), "the files of hku956 contain it"),
    ],
)
def test_what_cannot_be_checked_is_an_error(arguments, said, run, tmp_path):
    write(tmp_path / "empty", {"half.zip": HKU_ZIP.read_bytes()[:1000]})
    status, out, err = run("check", tmp_path / arguments[0], *arguments[1:])
    assert (status, out) == (2, "")
    assert err.startswith("edaemo: error: ")
    assert said in err


def test_archive_that_is_cut_short_is_named_in_an_unknown_folder(run, tmp_path):
    write(tmp_path, {"half.zip": HKU_ZIP.read_bytes()[:1000]})
    _, _, err = run("check", tmp_path)
    assert "Unreadable archives:" in err
    assert "half.zip is not a readable zip archive" in err


# check


def test_check_counts_what_hku956_holds(run):
    status, out, err = run("check", HKU_ZIP)
    assert (status, err) == (0, "")
    rows = rows_of(out)
    assert rows["people"].startswith("30: hku1903, hku1904")
    assert (rows["stimuli"], rows["trials"]) == ("592", "956")
    assert rows["sampling rates"] == "eda 4 Hz"
    assert rows["seconds of a trial"] == "27 to 329"
    with zipfile.ZipFile(HKU_ZIP) as opened:
        names = [name for name in opened.namelist() if "/EDA/" in name]
        trials = [np.array(opened.read(name).split(), dtype=float) for name in names]
    assert rows["missing samples"] == f"0 of {sum(map(len, trials))}, in 0 trials"
    # docs/signal-quality.md: less than 0.01 µS from lowest to highest sample.
    flat = sum(np.ptp(trial) < 0.01 for trial in trials)
    assert rows["flat trials"].startswith(f"{flat}: ")
    assert rows["rating valence"] == "-9.5 to 9.9"
    assert "Errors" not in out
    assert "Left out" not in out


def test_check_says_what_is_wrong_and_counts_the_part_that_is_there(run, tmp_path):
    with zipfile.ZipFile(HKU_ZIP) as whole:
        whole.extractall(tmp_path)
    shutil.rmtree(tmp_path / "1. physiological_signals" / "hku1910")
    status, out, _ = run("check", tmp_path)
    assert status == 1
    rows = rows_of(out)
    assert rows["people"].startswith("29: ")
    assert rows["people without recording"] == "hku1910"
    assert rows["trials"] == "927"
    assert "29 of 30 people, 927 of 956 trials" in out
    (tmp_path / "3. AV_ratings.csv").write_text("a,b\n1,2\n")
    status, out, _ = run("check", tmp_path)
    assert status == 1
    assert "people" not in rows_of(out)
    assert "lacks the columns" in out


def test_check_says_what_is_left_out_and_why(run, tmp_path):
    root = write_pmemo_2019(tmp_path / "PMEmo2019")
    status, out, _ = run("check", root)
    assert status == 1  # four of 794 songs
    assert "4 of 794 songs have recordings" in out
    rows = rows_of(out)
    assert rows["trials"] == "8"
    assert rows["missing samples"] == "1 of 6400, in 1 trials"
    assert rows["flat, saturated"] == "not judged: the unit is not documented, not microsiemens"
    table = out.split("Left out by default:")[1].split("\n\n")[0]
    for line in (
        "constant                 1       110414 7",
        "no samples               1       100083 7",
        "shorter than the window  2       200440 10, 110414 10",
        "song without ratings     1       100083 999",
    ):
        assert (
            line in table or line.replace("200440 10, 110414 10", "110414 10, 200440 10") in table
        )
    assert "static_features.csv is not in" in out


def test_check_of_own_sessions_counts_flat_saturated_and_missing(run, tmp_path):
    good = session()["EDA.csv"].splitlines()
    stuck = good[:2] + ["5.0"] * 10 + good[12:]  # ten equal samples at the highest, 2.5 s
    stuck = [line if at != 3 + 60 else "" for at, line in enumerate(stuck)]
    write(tmp_path / "P01", session(presses=(0, 40), **{"EDA.csv": "\n".join(stuck) + "\n"}))
    flat = "\n".join(good[:2] + ["1.5"] * 400) + "\n"
    zipped(tmp_path / "P02.zip", session(presses=(0, 40, 80), **{"EDA.csv": flat}))
    status, out, _ = run("check", tmp_path)
    assert status == 0
    assert "e4 (recognised by EDA.csv)" in out
    rows = rows_of(out)
    assert rows["people"] == "2: P01, P02"
    assert rows["missing samples"] == "1 of 480, in 1 trials"
    assert rows["flat trials"] == "2: P02 trial 1, P02 trial 2"
    assert rows["saturated samples"] == "10 of 480, in 1 trials"
    assert rows["seconds of a trial"] == "40 to 40"


def test_check_of_an_own_table(run, tmp_path):
    (tmp_path / "x.csv").write_text("eda\n" + "1\n2\n" * 8)
    frame = {"subject": ["a"], "stimulus": ["s"], "file": ["x.csv"], "valence": [3], "arousal": [4]}
    pd.DataFrame(frame).to_csv(tmp_path / "trials.csv", index=False)
    status, out, _ = run("check", tmp_path / "trials.csv", "--sampling-rate", 4)
    assert status == 0
    assert rows_of(out)["seconds of a trial"] == "4 to 4"
    status, out, _ = run("check", tmp_path / "trials.csv")
    assert status == 1
    assert "does not contain its sampling rate" in out


def test_check_changes_nothing_in_the_folder(run, tmp_path):
    write(tmp_path / "P01", session())
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")}
    run("check", tmp_path / "P01")
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")} == before


def test_check_of_corpora_without_eda_and_with_emotions_in_words(run, tmp_path):
    write(tmp_path / "muse", muse_files())
    status, out, _ = run("check", tmp_path / "muse")
    assert status == 0
    assert "missing samples" not in out
    assert rows_of(out)["rating valence"].endswith(", 1 missing")
    for person in (1, 2):
        mahnob_session(tmp_path / "mahnob", person, 1)
    status, out, _ = run("check", tmp_path / "mahnob")
    assert status == 1
    assert "2 of 527 recordings" in out
    assert "All 2 of 2 trials are shorter than the window" in out
    rows = rows_of(out)
    assert rows["trials"] == "2"
    assert rows["rating emotion"] == "joy (2)"  # feltEmo 4


def test_a_table_is_checked_with_the_column_that_is_named(run, tmp_path):
    rows = "\n".join(f"{1 + i / 100},{2 + i / 100}" for i in range(40))
    (tmp_path / "one.csv").write_text(f"left,right\n{rows}\n")
    table = tmp_path / "trials.csv"
    table.write_text("subject,stimulus,file,arousal\na,s,one.csv,1\n")
    asked = ("check", table, "--sampling-rate", 4)
    status, out, err = run(*asked)
    assert status == 1
    assert "column" in out + err
    status, out, _ = run(*asked, "--column", "right")
    assert status == 0
    assert "eda 4 Hz" in out


def test_a_table_is_checked_with_the_options_that_its_errors_name(run, tmp_path):
    samples = "\n".join(f"{i / 4:g};{1000 + i}".replace(".", ",") for i in range(80))
    (tmp_path / "x.csv").write_text(f"s;eda (nS)\n{samples}\n")
    table = tmp_path / "events.csv"
    table.write_text("subject,stimulus,file,onset,mood\na,s,x.csv,2,calm\na,t,x.csv,9,tense\n")
    cut = ("check", table, "--window", 0, 5)
    for command, option in (
        (("check", table), "(--window)"),
        (cut, "(--classes)"),
        ((*cut, "--ratings", "mood"), "(--classes)"),
    ):
        status, out, _ = run(*command)
        assert status == 1
        assert option in out
    asked = (*cut, "--classes", "mood")
    status, out, _ = run(*asked)
    assert status == 0
    rows = rows_of(out)
    assert rows["target mood"] == "calm (1), tense (1)"
    assert (rows["trials"], rows["seconds of a trial"]) == ("2", "5 to 5")
    status, out, _ = run(*asked, "--decimal", ".")
    assert status == 1
    status, out, _ = run(*asked, "--time", "none", "--sampling-rate", 8)
    assert (status, rows_of(out)["sampling rates"]) == (0, "eda 8 Hz")
    status, _, err = run("check", HKU_ZIP, "--window", 0, 5)
    assert status == 2
    assert "Remove --window: it is for a table of trials" in err


def test_a_corpus_of_a_plugin_is_listed(run, tmp_path, monkeypatch):
    (tmp_path / "song_plugin.py").write_text(
        "from edaemo.datasets import CORPORA\n"
        "from dataclasses import replace\n"
        "spec = next(iter(CORPORA.values()))\n"
        "CORPORA['from-plugin'] = replace(spec, name='from-plugin')\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(CORPORA, "from-plugin", None)
    del CORPORA["from-plugin"]
    status, out, _ = run("list", "--plugin", "song_plugin")
    assert status == 0
    assert "from-plugin: " in out
    status, _, err = run("list", "--plugin", "no_such_plugin")
    assert status == 2
    assert "--plugin no_such_plugin" in err
