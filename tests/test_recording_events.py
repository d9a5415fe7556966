"""Events in the files of recordings: markers, annotations, presses; and trials cut by them."""

import struct
import zipfile
from pathlib import Path

import fastavro
import numpy as np
import pandas as pd
import pyedflib as edf
import pytest
from device_files import (
    EDA,
    MARKS,
    TIME,
    edf_bytes,
    write,
    write_biosemi,
    write_brainvision,
    write_xdf,
)
from numpy.testing import assert_allclose, assert_array_equal
from test_corpora import problems_of
from test_recordings import FILES, read, rows

from edaemo.datasets import DatasetError, read_events, read_recording, read_trials


def test_markers_of_xdf_have_onsets_from_the_first_sample(tmp_path):
    events = read_events(write_xdf(tmp_path / "a.xdf"))
    assert_allclose(events["onset"], [-10, 20.5, 50, 70])
    assert events["stimulus"].tolist() == ["start", "song 1", "song 2", "song 1"]
    assert events["duration"].tolist() == [0] * 4


def test_annotations_of_edf_have_onset_and_duration(tmp_path):
    for name, kind in (("a.edf", edf.FILETYPE_EDFPLUS), ("a.bdf", edf.FILETYPE_BDFPLUS)):
        with edf.EdfWriter(str(tmp_path / name), 1, file_type=kind) as file:
            digits = 2 ** (15 if name.endswith("edf") else 23)
            file.setSignalHeader(
                0,
                {
                    **{"label": "GSR", "dimension": "uS", "sample_frequency": 4},
                    **{"physical_min": 0, "physical_max": 10, "prefilter": "", "transducer": ""},
                    **{"digital_min": -digits, "digital_max": digits - 1},
                },
            )
            file.writeSamples([EDA])
            for onset, duration, text in ((20.5, 5, "Lied für  Elise"), (50, -1, "song 2")):
                file.writeAnnotation(onset, duration, text)
        events = read_events(tmp_path / name)
        assert events["onset"].tolist() == [20.5, 50]
        assert events["duration"].tolist() == [5, 0]
        assert events["stimulus"].tolist() == ["Lied für Elise", "song 2"]


def test_interruptions_of_edf_are_missing_samples_and_shift_the_events(tmp_path):
    starts = [0.5 + i + 7.25 * (i >= 10) for i in range(20)]
    texts = [b""] * 12 + [b"+21.5\x152\x14song\x14after\x14\0", *[b""] * 7]
    file = tmp_path / "a.edf"
    file.write_bytes(edf_bytes("EDF+D", starts, texts))
    eda, rate, (said,) = read(file)
    assert rate == 4.0
    assert len(eda) == 109
    assert_allclose(eda[:40], EDA[:40], atol=1e-4)
    assert np.isnan(eda[40:69]).all()
    assert_allclose(eda[69:], EDA[40:80], atol=1e-4)
    assert "29 missing samples" in said
    assert read_events(file).to_numpy().tolist() == [[21, 2, "after"], [21, 2, "song"]]
    file.write_bytes(edf_bytes("EDF+C", [float(i) for i in range(20)], texts))
    assert_allclose(read_recording(file)[0], EDA[:80], atol=1e-4)
    untimed = edf_bytes("EDF+D", starts, texts).replace(
        b"EDF Annotations", b"Other           "[:15]
    )
    file.write_bytes(untimed)
    with pytest.raises(
        DatasetError, match=r"a\.edf: the recording is interrupted .* no annotations"
    ):
        read_recording(file)
    for bad in (b"+1\0", b"1x\x14song\x14\0"):
        file.write_bytes(edf_bytes("EDF+C", [0.0], [bad]))
        with pytest.raises(DatasetError, match=r"a\.edf: annotation in record 1"):
            read_events(file)


def test_triggers_of_biosemi_are_events(tmp_path):
    events = read_events(write_biosemi(tmp_path / "a.bdf"))
    assert events.to_numpy().tolist() == [[20, 0, "7"], [22.5, 0, "9"], [50, 0, "7"]]


def test_other_names_of_the_channel_of_triggers(tmp_path):
    """MNE leaves out ASCII spaces around a name, and numbers two channels of one name."""
    content = write_biosemi(tmp_path / "a.bdf").read_bytes()
    other = tmp_path / "other.bdf"
    other.write_bytes(content.replace(b"Status ", b"Status\xa0"))
    assert read_events(other).empty
    assert_allclose(read(other)[0], EDA, atol=1e-5)
    twice = tmp_path / "twice.bdf"
    twice.write_bytes(content.replace(b"GSR   ", b"Status"))
    with pytest.raises(DatasetError, match=r"twice\.bdf: cannot be read by MNE"):
        read_events(twice)


def test_markers_of_brainvision_are_counted_in_samples_from_one(tmp_path):
    file = write_brainvision(tmp_path)
    assert read_events(file).to_numpy().tolist() == [[20.5, 2, "S 1"], [50, 0.25, "song 2"]]
    assert read(file)[2] == []
    write(tmp_path / "a.vmrk", [*MARKS, "Mk4=New Segment,,301,1,0,20240101110000000000"])
    assert "interrupted after 75 s" in read(file)[2][0]


def test_event_markers_of_acqknowledge():
    content = (FILES / "acqknowledge.acq").read_bytes()
    # Its two markers, "Segment 1" and "Segment 2"; each begins with the number of a sample.
    at = struct.pack("<i", 3881)
    assert content.count(at) == 1
    assert content.index(at) < content.index(b"Segment 2") < content.index(at) + 100
    events = read_events(FILES / "acqknowledge.acq")
    assert events.to_numpy().tolist() == [[0, 0, "Segment 1"], [3.881, 0, "Segment 2"]]


def test_presses_of_an_embraceplus_and_of_an_e4(tmp_path):
    numbers = {"type": "array", "items": "long"}
    signal = [
        {"name": "timestampStart", "type": "long"},
        {"name": "samplingFrequency", "type": "float"},
        {"name": "values", "type": {"type": "array", "items": "float"}},
    ]
    eda = {"name": "eda", "type": {"type": "record", "name": "Eda", "fields": signal}}
    pressed = [{"name": "tagsTimeMicros", "type": numbers}]
    tags = {"name": "tags", "type": {"type": "record", "name": "Tags", "fields": pressed}}
    raw = {"type": "record", "name": "RawData", "fields": [eda, tags]}
    schema = {"type": "record", "name": "Top", "fields": [{"name": "rawData", "type": raw}]}
    start = 1_700_000_000_000_000
    record = {
        "eda": {"timestampStart": start, "samplingFrequency": 4.0, "values": EDA.tolist()},
        "tags": {"tagsTimeMicros": [start + 20_500_000, start + 50_000_000]},
    }
    with (tmp_path / "a.avro").open("wb") as out:
        fastavro.writer(out, schema, [{"rawData": record}])
    session = {
        "EDA.csv": ["1600000000.0", "4.0", *map(str, EDA)],
        "tags.csv": ["1600000020.50", "1600000050.00"],
    }
    for name, lines in session.items():
        write(tmp_path / "P1" / name, lines)
    with zipfile.ZipFile(tmp_path / "P1.zip", "w") as archive:
        for name in session:
            archive.write(tmp_path / "P1" / name, f"P1/{name}")
    for name in ("a.avro", "P1/tags.csv", "P1/EDA.csv", "P1.zip"):
        events = read_events(tmp_path / name)
        assert_allclose(events["onset"], [20.5, 50], atol=1e-6)
        assert events["stimulus"].tolist() == ["", ""]
    (tmp_path / "P1" / "EDA.csv").unlink()
    with pytest.raises(DatasetError, match=r"tags\.csv: the session must hold one EDA\.csv"):
        read_events(tmp_path / "P1" / "tags.csv")


def test_a_format_without_events_is_one_error(tmp_path):
    write(tmp_path / "a.csv", ["time,eda", *rows(TIME, EDA)])
    with pytest.raises(DatasetError, match=r"lacks the columns \['onset'\]"):
        read_events(tmp_path / "a.csv")
    pd.DataFrame({"eda": EDA}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DatasetError, match=r"a\.parquet: files of this format have no events"):
        read_events(tmp_path / "a.parquet")


class TestTrials:
    """Trials are cut at the events that a table names."""

    def write(self, folder: Path, lines: list[str]) -> Path:
        write_xdf(folder / "a.xdf")
        return write(folder / "trials.csv", lines)

    def test_each_row_is_the_event_with_its_label(self, tmp_path):
        table = self.write(
            tmp_path,
            [
                "subject,file,events,stimulus,valence",
                *("a,a.xdf,a.xdf,song 2,4", "a,a.xdf,a.xdf,song 1,5", "a,a.xdf,a.xdf,song 1,6"),
            ],
        )
        study = read_trials(table, window=(0, 10))
        assert_allclose(study.trials["start"], [20.5, 50, 70])
        assert study.trials["stimulus"].tolist() == ["song 1", "song 2", "song 1"]
        assert study.ratings["valence"].tolist() == [5, 4, 6]
        assert "events" not in study.trials
        assert study.report["unused_events"] == 1
        for eda, first in zip(study.trials["eda"], (82, 200, 280), strict=True):
            assert_array_equal(eda, EDA[first : first + 40])

    def test_rows_of_one_label_follow_the_column_trial(self, tmp_path):
        table = self.write(
            tmp_path,
            [
                "subject,file,events,stimulus,trial,valence",
                *("a,a.xdf,a.xdf,song 1,9,4", "a,a.xdf,a.xdf,song 1,2,5"),
            ],
        )
        study = read_trials(table, window=(0, 10))
        assert_allclose(study.trials[["trial", "start"]], [[2, 20.5], [9, 70]])
        assert study.ratings["valence"].tolist() == [5, 4]

    def test_without_stimuli_each_event_is_a_trial(self, tmp_path):
        table = self.write(tmp_path, ["subject,file,events,group", "a,a.xdf,a.xdf,x"])
        with pytest.warns(UserWarning, match=r"1 of 4 trials are not inside .*a\.xdf at -10 s"):
            study = read_trials(table, window=(0, 10), ratings=(), classes=("group",))
        assert study.trials["stimulus"].tolist() == ["song 1", "song 2", "song 1"]
        assert_allclose(study.trials["start"], [20.5, 50, 70])
        assert study.targets["group"].tolist() == ["x"] * 3

    def test_tables_of_bids_and_presses_are_events_too(self, tmp_path):
        write(tmp_path / "a.csv", ["time,eda", *rows(TIME, EDA)])
        lines = ["onset duration trial_type", "20.5 5 song 1".replace("song ", "s"), "50 n/a s2"]
        write(tmp_path / "events.tsv", [line.replace(" ", "\t") for line in lines])
        head = "subject,file,events,stimulus,valence"
        table = write(tmp_path / "t.csv", [head, "a,a.csv,events.tsv,s1,4"])
        study = read_trials(table)
        assert study.trials[["start", "stop"]].to_numpy().tolist() == [[20.5, 25.5]]
        write(tmp_path / "EDA.csv", ["1600000000.0", "4.0", *map(str, EDA)])
        write(tmp_path / "tags.csv", ["1600000020.50", "1600000050.00"])
        presses = ["a,EDA.csv,tags.csv,y,1", "a,EDA.csv,tags.csv,x,2"]
        table = write(tmp_path / "t.csv", [head, *presses])
        study = read_trials(table, window=(0, 5))
        assert study.trials["stimulus"].tolist() == ["y", "x"]
        assert study.trials["start"].tolist() == [20.5, 50]

    def test_one_error_lists_what_does_not_fit(self, tmp_path):
        write(tmp_path / "b.csv", ["time,eda", *rows(TIME, EDA)])
        table = self.write(
            tmp_path,
            [
                "subject,file,events,stimulus,valence",
                *("a,a.xdf,a.xdf,song 1,5", "b,b.csv,b.csv,song 1,5", "c,c.xdf,c.xdf,song 1,5"),
            ],
        )
        said = problems_of(read_trials, table, window=(0, 5))
        assert len(said) == 3
        assert "1 rows of the table have the stimulus 'song 1', but the file has 2" in said[0]
        assert "b.csv lacks the columns ['onset']" in said[1]
        assert "c.xdf: this file does not exist" in said[2]
        line = "a,a.xdf,a.xdf,sonk 2,5"
        table = write(table, ["subject,file,events,stimulus,valence", line])
        with pytest.raises(DatasetError, match=r"no event has this label: did you mean 'song 2'"):
            read_trials(table, window=(0, 5))
        table = write(table, ["subject,file,events,valence", *["a,a.xdf,a.xdf,5"] * 2])
        with pytest.raises(DatasetError, match="is the file of 2 rows: add the column stimulus"):
            read_trials(table, window=(0, 5))
        table = write(table, ["subject,file,events,valence", "a,a.xdf,a.xdf,5"])
        with pytest.raises(DatasetError, match=r"4 events have a duration of 0.*Pass window="):
            read_trials(table)


def test_the_time_before_an_event_is_kept(tmp_path):
    write_xdf(tmp_path / "a.xdf")
    lines = ["subject,file,events,stimulus,valence", "a,a.xdf,a.xdf,song 2,4"]
    study = read_trials(write(tmp_path / "t.csv", lines), window=(-5, 5), baseline=2)
    assert_array_equal(study.trials["eda"][0], EDA[180:220])
    assert_array_equal(study.trials["eda_before"][0], EDA[172:180])
