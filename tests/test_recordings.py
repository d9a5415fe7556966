"""Recordings as devices and spreadsheets write them: times, units, dialects, and what is EDA."""

import struct
import subprocess
import sys
import warnings
import zipfile
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from device_files import EDA, TIME, N, chunk, stream, write
from numpy.testing import assert_allclose, assert_array_equal
from scipy.io import savemat

from edaemo.datasets import (
    DatasetError,
    FileOptions,
    RecordingWarning,
    choose_recordings,
    read_file_trials,
    read_recording,
    read_trials,
)

# Files that other libraries wrote, with the samples WRITTEN at 4 Hz.
FILES = Path(__file__).parent / "files" / "recordings"
WRITTEN = np.round(2 + np.sin(np.arange(80) / 28), 6)

RATE = 4


def rows(*columns: object, sign: str = ",") -> list[str]:
    return [sign.join(map(str, cells)) for cells in zip(*columns, strict=True)]


def read(path: Path, **settings: object) -> tuple[np.ndarray, float, list[str]]:
    """Return the samples, the rate, and the warnings without the path."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        eda, rate = read_recording(path, **settings)
    assert {warning.category for warning in caught} <= {RecordingWarning}
    assert all(str(warning.message).startswith(f"{path}: ") for warning in caught)
    return eda, rate, [str(warning.message).removeprefix(f"{path}: ") for warning in caught]


def stamps(form: str, start: datetime = datetime(2024, 5, 31, 23, 59, 10)) -> list[str]:
    times = [start + timedelta(seconds=second) for second in TIME.tolist()]
    return [time.isoformat() if form == "iso" else time.strftime(form) for time in times]


class TestTimes:
    @pytest.mark.parametrize(
        ("name", "times"),
        [
            ("time", TIME),
            ("Time (s)", TIME),
            ("time_ms", (1000 * TIME).astype(int)),
            ("timestamp", (1000 * TIME).astype(int)),
            ("Timestamp [us]", (1e6 * TIME).astype(int)),
            ("t", TIME),
            ("min", TIME / 60),
            ("timestamp", 1_600_000_000 + TIME),
            ("unix_timestamp", (1.6e12 + 1000 * TIME).astype(int)),
            ("timestamp", (1.6e15 + 1e6 * TIME).astype(int)),
            ("datetime", stamps("iso")),
            ("Time", stamps("%H:%M:%S.%f")),  # passes midnight
            ("Timestamp", stamps("%Y/%m/%d %H:%M:%S.%f")),
            ("Time", stamps("%m/%d/%Y %I:%M:%S.%f %p")),
            ("Zeit", stamps("%d.%m.%Y %H:%M:%S.%f")),
        ],
    )
    def test_the_rate_is_that_of_the_times(self, tmp_path, name, times):
        file = write(tmp_path / "a.csv", [f"{name},eda,hr", *rows(times, EDA, [60] * N)])
        for given in (None, RATE):
            eda, rate, said = read(file, sampling_rate=given)
            assert (rate, said) == (4.0, [])
            assert_array_equal(eda, EDA)
        with pytest.raises(DatasetError, match=r"a\.csv: .*4 Hz.*sampling_rate is 8 Hz"):
            read_recording(file, sampling_rate=8)

    def test_a_gap_becomes_missing_samples(self, tmp_path):
        times = np.concatenate([TIME[:200], TIME[200:] + 60])
        eda, rate, said = read(write(tmp_path / "a.csv", ["time,eda", *rows(times, EDA)]))
        assert (len(eda), rate, (len(eda) - 1) / rate) == (640, 4.0, 159.75)
        assert_array_equal(np.flatnonzero(np.isnan(eda)), np.arange(200, 440))
        assert_array_equal(eda[440:], EDA[200:])
        assert said == [
            "the column 'time' has 1 gap, the longest of 60 s: 240 missing samples at 4 Hz."
        ]

    def test_a_gap_is_no_multiple_of_the_step(self, tmp_path):
        times = np.concatenate([TIME[:200], TIME[200:] + 10.1])
        file = write(tmp_path / "a.csv", ["time,eda", *rows(times, times)])  # eda is the time
        eda, rate, _ = read(file)
        grid = np.arange(len(eda)) / rate
        kept = np.isfinite(eda)
        assert_allclose(eda[kept], grid[kept], rtol=0, atol=0.13)  # the last sample is repeated
        assert_allclose(eda[kept][:-1], grid[kept][:-1], rtol=1e-9)
        assert_array_equal(grid[~kept], grid[(grid > times[199]) & (grid < times[200])])

    def test_small_jitter_is_resampled_to_the_true_times(self, tmp_path):
        jitter = np.random.default_rng(0).uniform(-0.03, 0.03, N)
        times = np.round(TIME + jitter - jitter[0], 4)
        eda, rate, (said,) = read(write(tmp_path / "a.csv", ["time,eda", *rows(times, times)]))
        assert rate == 4.0
        inside = slice(1, -1)
        assert_allclose(eda[inside], (np.arange(len(eda)) / 4)[inside], rtol=1e-9, atol=1e-9)
        assert "vary from 0.19" in said
        assert said.endswith("resampled to 4 Hz.")

    def test_rounded_times_leave_the_samples_as_they_are(self, tmp_path):
        times = [f"{i / 64:.3f}" for i in range(N)]
        eda, rate, said = read(write(tmp_path / "a.csv", ["time,eda", *rows(times, EDA)]))
        assert (rate, said) == (64.0, [])
        assert_array_equal(eda, EDA)
        times = [f"{i * 0.032:.3f}" for i in range(N)]
        assert read(write(tmp_path / "a.csv", ["time,eda", *rows(times, EDA)]))[1] == 31.25

    @pytest.mark.parametrize(
        ("times", "said"),
        [
            (TIME[::-1], "runs backwards"),
            (np.random.default_rng(0).permutation(TIME), "the rows are not in order"),
            (np.concatenate([TIME[:300], TIME[:100]]), "jumps back by 74.75 at sample 301"),
            (np.repeat(TIME[::2], 2), "repeats a time 200 times, first at sample 2"),
            (np.cumsum(np.random.default_rng(0).exponential(0.25, N)), "too irregular"),
            ([*TIME[:-1], ""], "sample 400 has no time"),
            ([*TIME[:-1], 1e9], "a gap of 1e+09 s"),
            (np.arange(N), "seconds, milliseconds or samples"),
            ([*stamps("iso")[:-1], "noon"], "sample 400 has 'noon' as 'time', which is not a time"),
        ],
    )
    def test_times_that_are_wrong_are_one_error(self, tmp_path, times, said):
        file = write(tmp_path / "a.csv", ["time,eda", *rows(times, EDA)])
        with pytest.raises(DatasetError) as raised:
            read_recording(file)
        assert str(raised.value).startswith(f"{file}: ")
        assert said in str(raised.value)

    def test_times_and_their_unit_can_be_given_or_ignored(self, tmp_path):
        file = write(tmp_path / "a.csv", ["when,time,eda", *rows(TIME, np.arange(N), EDA)])
        assert read(file, options=FileOptions(time="when"))[1] == 4.0
        assert read(file, options=FileOptions(time_unit="s"))[1] == 1.0
        assert read(file, options=FileOptions(time_unit="ms"))[1] == 1000.0
        eda, rate, _ = read(file, sampling_rate=32, options=FileOptions(time=None))
        assert rate == 32.0
        assert_array_equal(eda, EDA)
        with pytest.raises(DatasetError, match=r"no column of times is named 'then'"):
            read_recording(file, options=FileOptions(time="then"))

    def test_each_trial_has_its_own_times(self, tmp_path):
        names = ["b"] * 200 + ["a"] * 200
        times = np.concatenate([TIME[:200], TIME[:100], TIME[100:200] + 5])
        file = write(tmp_path / "a.csv", ["trial,time,eda", *rows(names, times, EDA)])
        with pytest.warns(RecordingWarning, match="20 missing samples at 4 Hz"):
            trials, rate = read_file_trials(file)
        assert ({name: len(eda) for name, eda in trials.items()}, rate) == ({"b": 200, "a": 220}, 4)
        assert_array_equal(trials["a"][120:], EDA[300:])


class TestDialects:
    @pytest.mark.parametrize("sign", [",", ";", "\t", " ", "|"])
    @pytest.mark.parametrize("decimal", [".", ","])
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
    def test_every_dialect_gives_the_same_numbers(self, tmp_path, sign, decimal, encoding):
        if sign == decimal:
            pytest.skip("no such dialect")
        cells = [[str(value).replace(".", decimal) for value in column] for column in (TIME, EDA)]
        lines = [sign.join(("time", "EDA_µS")), *rows(*cells, sign=sign)]
        file = write(tmp_path / "a.csv", lines, encoding=encoding)
        eda, rate, said = read(file)
        assert_array_equal(eda, EDA)
        assert rate == 4.0
        plain = (sign, decimal, encoding[:5]) == (",", ".", "utf-8")
        assert (said == []) == plain
        given = FileOptions(delimiter=sign, decimal=decimal, encoding=encoding)
        assert_array_equal(read(file, options=given)[0], EDA)

    def test_a_single_column_may_have_decimal_commas_and_quotes(self, tmp_path):
        commas = [str(value).replace(".", ",") for value in EDA]
        for lines in (["eda", *commas], commas, ["eda", *(f'"{cell}"' for cell in commas)]):
            eda, _, _ = read(write(tmp_path / "a.csv", lines), sampling_rate=4)
            assert_array_equal(eda, EDA)

    @pytest.mark.parametrize(
        ("name", "lines", "rate"),
        [
            (  # AcqKnowledge
                "acq.txt",
                [
                    *("rest.acq", "250 msec/sample", "1 channels", "GSR 100C", "microsiemens"),
                    *("min,CH1,", f",{N},"),
                    *(f"{t:.9f},{x}," for t, x in zip(TIME / 60, EDA, strict=True)),
                ],
                4,
            ),
            (  # AcqKnowledge without times, with the numbers of samples
                "untimed.txt",
                [
                    *("rest.acq", "250 msec/sample", "2 channels", "EDA100C", "microsiemens"),
                    *("Pulse", "Volts", "CH1\tCH2\t", f"{N}\t{N}\t"),
                    *(f"{x}\t0.5\t" for x in EDA),
                ],
                4,
            ),
            (  # iMotions, of a Shimmer
                "imotions.csv",
                [
                    *("#INFO,,,,", "#Study name,a,,,"),
                    "Timestamp,GSR RAW (no units),GSR CAL (kOhms),GSR CAL (µSiemens),GSR Quality",
                    *rows(1000 * TIME, [9000] * N, 1000 / EDA, EDA, [1] * N),
                ],
                4,
            ),
            (  # LabChart
                "chart.txt",
                [
                    *("Interval=\t0.25 s", "ExcelDateTime=\t4.3E4\t01/01/2020"),
                    *("TimeFormat=\tStartOfBlock", "DateFormat=\t"),
                    *("ChannelTitle=\tGSR\tP", "Range=\t40 µS\t10.000 V"),
                    *("UnitName=\t*\tmmHg", "TopValue=\t*\t1.8"),
                    *rows(TIME + 432, EDA, [1] * N, sign="\t"),
                ],
                4,
            ),
            (  # Affectiva Q sensor
                "q.csv",
                [
                    *("Log File Created by Q Live", "File Version: 1.01", "Sampling Rate: 8"),
                    *("Z-axis,Y-axis,X-axis,Battery,°Celsius,EDA(uS)", "-" * 57),
                    *rows([-0.1] * N, [0.2] * N, [0.9] * N, [-1] * N, [28.5] * N, EDA),
                ],
                8,
            ),
            (  # Consensys of Shimmer
                "shimmer.csv",
                [
                    '"sep=\t"',
                    "S_Timestamp_Unix_CAL\tS_GSR_Range_CAL\tS_GSR_Skin_Conductance_CAL",
                    "ms\tno_units\tuS",
                    *rows(1.6e12 + 1000 * TIME, [2] * N, EDA, sign="\t"),
                ],
                4,
            ),
            (  # a header with units in the next line
                "units.csv",
                ["time;EDA", "s;µS", *rows(TIME, EDA, sign=";")],
                4,
            ),
            (
                "spaced.txt",
                ["# subject 3", "", "time  skin conductance"[:4] + "  eda"]
                + [f"  {t}   {x}" for t, x in zip(TIME, EDA, strict=True)],
                4,
            ),
        ],
    )
    def test_lines_before_the_samples_are_understood(self, tmp_path, name, lines, rate):
        eda, found, _ = read(write(tmp_path / name, lines))
        assert_array_equal(eda, EDA)
        assert found == rate

    def test_opensignals_gives_microsiemens_by_the_transfer_function(self, tmp_path):
        head = (
            '# {"00:07:80": {"sensor": ["ECG", "EDA"], "column": ["nSeq", "I1", "A2", "A3"], '
            '"device": "bitalino_rev", "sampling rate": 100, "label": ["A2", "A3"], '
            '"resolution": [4, 1, 10, 10]}}'
        )
        readings = 40 + np.arange(N) % 300
        lines = [f"{i % 16}\t1\t500\t{reading}\t" for i, reading in enumerate(readings)]
        file = write(tmp_path / "o.txt", ["# OpenSignals Text File Format", head, "# End", *lines])
        eda, rate, _ = read(file)
        # EDA(µS) = (ADC / 2^n) · VCC / 0.132 with VCC = 3.3 V and n = 10, so 1024 are 25 µS.
        assert_allclose(eda, readings * 25 / 1024, rtol=1e-12)
        assert rate == 100.0
        # The first BITalino has another transfer function, 1 / (1 - ADC / 2^n).
        lines = ["# OpenSignals Text File Format", head.replace("bitalino_rev", "bitalino"), *lines]
        with pytest.raises(DatasetError, match=r"transfer function of the device: pass device="):
            read_recording(write(tmp_path / "first.txt", lines))

    def test_volts_of_labchart_are_refused(self, tmp_path):
        head = ["Interval=\t0.25 s", "ChannelTitle=\tGSR", "Range=\t10.000 V", "UnitName=\t*"]
        file = write(tmp_path / "a.txt", [*head, *rows(TIME, EDA, sign="\t")])
        with pytest.raises(DatasetError, match=r"'GSR' is in V, which is not a conductance"):
            read_recording(file)

    @pytest.mark.parametrize("lines", [["0", *map(str, EDA)], [",0", *rows(range(N), EDA)]])
    def test_a_number_that_names_a_column_is_no_sample(self, tmp_path, lines):
        eda, _, said = read(write(tmp_path / "a.csv", lines), sampling_rate=4)
        assert_array_equal(eda, EDA)
        assert "'0', was taken for a header" in said[0]

    def test_start_of_an_e4_in_milliseconds_or_with_a_decimal_comma(self, tmp_path):
        commas = [str(value).replace(".", ",") for value in EDA]
        for lines in (
            ["1600000000000", "4", *map(str, EDA)],
            ["1600000000,000", "4,000", *commas],
        ):
            eda, rate, _ = read(write(tmp_path / "EDA.csv", lines))
            assert_array_equal(eda, EDA)
            assert rate == 4.0

    def test_skipped_rows_are_those_given(self, tmp_path):
        file = write(tmp_path / "a.csv", ["1,2", "3,4", "time,eda", *rows(TIME, EDA)])
        assert_array_equal(read(file, options=FileOptions(skip_rows=2))[0], EDA)

    @pytest.mark.parametrize("suffix", ["xlsx", "ods"])
    def test_sheets_give_the_numbers_of_their_cells(self, suffix):
        pytest.importorskip("python_calamine")
        file = FILES / f"sheets.{suffix}"  # see WRITTEN.md
        eda, rate, said = read(file)
        assert_allclose(eda, WRITTEN, rtol=1e-9)
        assert rate == 4.0
        assert said == ["converted from kiloohm, the unit in the file, to microsiemens."]
        with pytest.raises(DatasetError, match=r"no sheet is named 'x': \['info', 'signal'\]"):
            read_recording(file, options=FileOptions(sheet="x"))

    def test_a_workbook_with_a_password_is_one_error(self):
        pytest.importorskip("python_calamine")
        with pytest.raises(
            DatasetError, match=r"password\.xlsx: the workbook has a password\. Save"
        ):
            read_recording(FILES / "password.xlsx")


class TestMatlab:
    """Files written by scipy, with the fields that the manuals of Ledalab and PsPM describe."""

    def test_ledalab_has_conductance_and_time(self, tmp_path):
        data = {"conductance": EDA, "time": TIME + 3, "timeoff": 0, "event": np.zeros(0)}
        savemat(tmp_path / "a.mat", {"data": data})
        eda, rate, said = read(tmp_path / "a.mat")
        assert_array_equal(eda, EDA)
        assert (rate, said) == (4.0, [])

    def test_pspm_has_channels_with_headers(self, tmp_path):
        cells = np.empty((3, 1), dtype=object)
        for i, (kind, unit, rate, values) in enumerate(
            (("ecg", "mV", 100, np.ones(9)), ("scr", "uS", 4, EDA), ("marker", "events", 1, [1.0]))
        ):
            header = {"chantype": kind, "units": unit, "sr": rate}
            cells[i, 0] = {"header": header, "data": np.reshape(values, (-1, 1))}
        savemat(tmp_path / "a.mat", {"data": cells, "infos": {"duration": 100}})
        eda, rate, _ = read(tmp_path / "a.mat")
        assert_array_equal(eda, EDA)
        assert rate == 4.0
        cells[1, 0]["header"]["chantype"] = "resp"
        savemat(tmp_path / "a.mat", {"data": cells[:1]})
        with pytest.raises(DatasetError, match=r"no channel is EDA.*\['ecg'\]"):
            read_recording(tmp_path / "a.mat")

    def test_other_files_are_one_error(self, tmp_path):
        savemat(tmp_path / "a.mat", {"data": np.ones(9)})
        with pytest.raises(DatasetError, match=r"neither a struct of Ledalab nor a cell of PsPM"):
            read_recording(tmp_path / "a.mat")
        savemat(tmp_path / "a.mat", {"other": np.ones(9)})
        with pytest.raises(DatasetError, match=r"a\.mat: .*lacks the variables \['data'\]"):
            read_recording(tmp_path / "a.mat")


class TestPhysiologicalFiles:
    """EDF and BDF files written by pyEDFlib."""

    def write(self, path: Path, label: str, unit: str, values: np.ndarray, highest: float) -> Path:
        edf = pytest.importorskip("pyedflib")
        kind, digits = (edf.FILETYPE_BDF, 23) if path.suffix == ".bdf" else (edf.FILETYPE_EDF, 15)
        with edf.EdfWriter(str(path), 2, file_type=kind) as file:
            for i, (name, dimension, rate) in enumerate((("ECG", "mV", 64), (label, unit, 4))):
                header = {
                    **{"label": name, "dimension": dimension, "sample_frequency": rate},
                    **{"physical_min": 0, "physical_max": highest if i else 5},
                    **{"digital_min": -(2**digits), "digital_max": 2**digits - 1},
                    **{"prefilter": "", "transducer": ""},
                }
                file.setSignalHeader(i, header)
            file.writeSamples([np.ones(N * 16), values])
        return path

    def test_a_channel_is_read_at_its_own_rate_and_in_its_unit(self, tmp_path):
        pytest.importorskip("mne")
        for name, unit, values, highest in (
            ("a.edf", "uS", EDA, 10),
            ("b.bdf", "kOhm", 1e3 / EDA, 2000),
            ("c.edf", "nS", 1e3 * EDA, 5000),
        ):
            file = self.write(tmp_path / name, "GSR", unit, values, highest)
            eda, rate, _ = read(file)
            assert rate == 4.0
            assert_allclose(eda, EDA, rtol=0, atol=4 * 10 / 2**16)  # steps of 16 bits

    @pytest.mark.parametrize("unit", ["µS", "uS"])
    def test_brainvision_is_read_in_the_unit_of_its_header(self, tmp_path, unit):
        """Files by hand, of the format that Brain Products describes (core format 1.0)."""
        pytest.importorskip("mne")
        header = [
            "Brain Vision Data Exchange Header File Version 1.0",
            *("[Common Infos]", "Codepage=UTF-8", "DataFile=a.eeg", "MarkerFile=a.vmrk"),
            *("DataFormat=BINARY", "DataOrientation=MULTIPLEXED", "NumberOfChannels=2"),
            *("SamplingInterval=250000", "[Binary Infos]", "BinaryFormat=INT_16"),
            *("[Channel Infos]", "Ch1=Fz,,0.1,µV", f"Ch2=GSR,,0.0005,{unit}"),
        ]
        file = write(tmp_path / "a.vhdr", header)
        marks = ["Brain Vision Data Exchange Marker File, Version 1.0", "[Common Infos]"]
        write(tmp_path / "a.vmrk", [*marks, "DataFile=a.eeg", "[Marker Infos]"])
        digits = np.stack([np.arange(N), np.round(EDA / 0.0005)], axis=1).astype("<i2")
        (tmp_path / "a.eeg").write_bytes(digits.tobytes())
        eda, rate, _ = read(file)
        assert rate == 4.0
        assert_allclose(eda, digits[:, 1] * 0.0005, rtol=1e-9)
        assert_allclose(read(file, column="Fz", unit="microsiemens")[0], np.arange(N) * 0.1)

    def test_files_without_eda_list_their_channels_and_truncated_ones_are_named(self, tmp_path):
        pytest.importorskip("mne")
        file = self.write(tmp_path / "a.edf", "Resp", "mV", EDA, 10)
        with pytest.raises(DatasetError, match=r"no channel is EDA.*\['ECG', 'Resp'\]"):
            read_recording(file)
        file.write_bytes(file.read_bytes()[:-100])
        with pytest.raises(DatasetError, match=r"may be truncated"):
            read_recording(file)
        file.write_bytes(b"0       nothing")
        with pytest.raises(DatasetError, match="not an EDF or BDF file"):
            read_recording(file)


class TestDeviceFiles:
    def test_acqknowledge_is_read_at_the_rate_and_in_the_unit_of_the_channel(self, tmp_path):
        pytest.importorskip("bioread")
        eda, rate, _ = read(FILES / "acqknowledge.acq")
        # Its samples are 4 interleaved channels of 16 bits from byte 19328 on; EDA is the third,
        # and its scale is 0.00152587890625.
        content = (FILES / "acqknowledge.acq").read_bytes()
        words = np.frombuffer(content, "<i2", count=4 * 7901, offset=19328).reshape(-1, 4)
        assert_allclose(eda, words[:, 2] * 0.00152587890625, rtol=1e-12)
        assert rate == 1000.0
        other = {"column": "ECG (.05 - 150 Hz)", "unit": "microsiemens"}
        ecg = read(FILES / "acqknowledge.acq", **other)[0]
        assert_allclose(ecg / words[:, 0], ecg[0] / words[0, 0], rtol=1e-9)
        for name, part in (("half.acq", content[:40_000]), ("bad.acq", b"EDA" * 1000)):
            (tmp_path / name).write_bytes(part)
            with pytest.raises(DatasetError, match=rf"{name}: .*(truncated|damaged)"):
                read_recording(tmp_path / name)

    def test_xdf_has_streams_with_times(self, tmp_path):
        """A file by hand, of the specification of XDF 1.0."""
        pytest.importorskip("pyxdf")
        times = 1000 + TIME + 60 * (TIME >= 50)  # a gap of 60 s
        rows = [struct.pack("<Bdd", 8, time, x) for time, x in zip(times, EDA, strict=True)]
        kind = "<channel_count>1</channel_count><channel_format>double64</channel_format>"
        named = (
            "<channels><channel><label>GSR</label><unit>microsiemens</unit></channel></channels>"
        )
        header = (
            "<name>Shimmer</name><type>GSR</type><nominal_srate>4</nominal_srate>"
            f"{kind}<desc>{named}</desc>"
        )
        other = f"<name>Marks</name><type>Marks</type><nominal_srate>0</nominal_srate>{kind}"
        content = b"XDF:" + chunk(1, b"<?xml version='1.0'?><info><version>1.0</version></info>")
        content += stream(1, header, b"".join(rows), N)
        content += stream(2, other, struct.pack("<Bdd", 8, 1000.0, 1.0), 1)
        file = tmp_path / "a.xdf"
        file.write_bytes(content)
        eda, rate, (said,) = read(file)
        assert (len(eda), rate) == (640, 4.0)
        assert_array_equal(eda[:200], EDA[:200])
        assert_array_equal(eda[440:], EDA[200:])
        assert np.isnan(eda[200:440]).all()
        assert "time stamps" in said
        assert "240 missing samples" in said
        for bad in (b"EDA" * 100, content[:-5], content[:60], content + b"\0"):
            file.write_bytes(bad)
            with pytest.raises(DatasetError, match=r"a\.xdf: the file is damaged or of another"):
                read_recording(file)

    def test_avro_of_an_embraceplus(self, tmp_path):
        """Files of fastavro, with the fields that Empatica describes."""
        fastavro = pytest.importorskip("fastavro")
        signal = [
            {"name": "timestampStart", "type": "long"},
            {"name": "samplingFrequency", "type": "float"},
            {"name": "values", "type": {"type": "array", "items": "float"}},
        ]
        fields = [
            {"name": name, "type": {"type": "record", "name": name, "fields": signal}}
            for name in ("eda", "temperature")
        ]
        raw = {"name": "rawData", "type": {"type": "record", "name": "RawData", "fields": fields}}
        schema = {"type": "record", "name": "Top", "fields": [raw]}
        start = {"timestampStart": 1_700_000_000_000_000}
        record = {
            "eda": {**start, "samplingFrequency": 4.0, "values": EDA.tolist()},
            "temperature": {**start, "samplingFrequency": 0.0, "values": []},
        }
        file = tmp_path / "a.avro"
        with file.open("wb") as out:
            fastavro.writer(out, schema, [{"rawData": record}])
        content = file.read_bytes()
        eda, rate, _ = read(file)
        assert_array_equal(eda, EDA.astype(np.float32))
        assert rate == 4.0
        assert [path.name for path, _ in choose_recordings([tmp_path])[0]] == ["a.avro"]
        with file.open("wb") as out:
            fastavro.writer(out, {"type": "record", "name": "T", "fields": signal[:1]}, [start] * 2)
        with pytest.raises(DatasetError, match=r"a\.avro: .*2 records .*\['timestampStart'\]"):
            read_recording(file)
        for bad in (b"Obj", content[:-20], content[:200]):
            file.write_bytes(bad)
            with pytest.raises(DatasetError, match=r"a\.avro: the file is damaged"):
                read_recording(file)

    def test_hdf5_of_opensignals_is_converted_by_the_device(self, tmp_path):
        """A file of h5py, with the groups that PLUX's biosignalsnotebooks reads."""
        h5py = pytest.importorskip("h5py")
        readings = (1000 + np.arange(N)).astype(np.uint16)
        for device, resolution, scale in (
            ("biosignalsplux", [16, 16], 3 / 0.12 / 2**16),
            ("bitalino_rev", [10, 6], 3.3 / 0.132 / 2**6),
        ):
            with h5py.File(tmp_path / "a.h5", "w") as file:
                group = file.create_group("00:07:80:3B:46:61")
                group.attrs.update({"device": device, "sampling rate": 100})
                group.attrs.update({"channels": [1, 4], "resolution": resolution})
                for number, sensor in ((1, "ECG"), (4, "EDA")):
                    data = group.create_dataset(f"raw/channel_{number}", data=readings[:, None])
                    data.attrs["sensor"] = sensor
            eda, rate, _ = read(tmp_path / "a.h5")
            assert_allclose(eda, readings * scale, rtol=1e-12)
            assert rate == 100.0
        (tmp_path / "c.h5").write_bytes((tmp_path / "a.h5").read_bytes()[:-500])
        with pytest.raises(DatasetError, match=r"c\.h5: the file is damaged"):
            read_recording(tmp_path / "c.h5")
        with h5py.File(tmp_path / "b.h5", "w") as file:
            file.create_group("results")
        with pytest.raises(DatasetError, match=r"b\.h5: this is not a file of OpenSignals"):
            read_recording(tmp_path / "b.h5")

    def test_a_library_that_is_missing_is_named_with_its_extra(self, tmp_path, monkeypatch):
        for name, library, extra in (
            ("a.acq", "bioread", "acqknowledge"),
            ("a.xdf", "pyxdf", "xdf"),
            ("a.avro", "fastavro", "avro"),
            ("a.h5", "h5py", "hdf5"),
        ):
            monkeypatch.setitem(sys.modules, library, None)
            (tmp_path / name).write_bytes(b"anything")
            with pytest.raises(DatasetError, match=rf"pip install edaemo\[{extra}\]"):
                read_recording(tmp_path / name)


class TestUnits:
    @pytest.mark.parametrize(
        ("unit", "header", "values"),
        [
            ("siemens", "S", EDA * 1e-6),
            ("nanosiemens", "nS", EDA * 1000),
            ("ohm", "Ohm", 1e6 / EDA),
            ("kiloohm", "kOhms", 1e3 / EDA),
            ("megaohm", "MOhm", 1 / EDA),
            ("microsiemens", "µmho", EDA),
        ],
    )
    def test_the_unit_is_the_given_one_or_that_of_the_header(self, tmp_path, unit, header, values):
        file = write(tmp_path / "a.csv", ["time,gsr", *rows(TIME, values)])
        assert_allclose(read(file, unit=unit)[0], EDA, rtol=1e-12)
        file = write(tmp_path / "b.csv", [f"time,gsr ({header})", *rows(TIME, values)])
        assert_allclose(read(file)[0], EDA, rtol=1e-12)

    def test_what_is_no_resistance_is_missing(self, tmp_path):
        file = write(tmp_path / "a.csv", ["eda", "500", "0", "-3", "250"])
        eda, _, _ = read(file, sampling_rate=4, unit="kiloohm")
        assert_array_equal(eda, [2, np.nan, np.nan, 4])

    @pytest.mark.parametrize(
        ("values", "said"),
        [
            (EDA * 1e-6, "below 0.01 µS (median 2.18e-06); the unit may be siemens"),
            (1e3 / EDA, "the unit may be kiloohm"),
            (1e6 / EDA, "the unit may be ohm"),
            ((40 * EDA).astype(int), "the unit may be adc"),
        ],
    )
    def test_values_that_are_not_of_skin_are_doubted(self, tmp_path, values, said):
        file = write(tmp_path / "a.csv", ["time,eda", *rows(TIME, values)])
        (found,) = read(file)[2]
        assert said in found

    def test_readings_of_a_converter_need_its_device(self, tmp_path):
        file = write(tmp_path / "a.csv", ["eda", *map(str, [512] * 10)])
        settings = {"sampling_rate": 4, "unit": "adc"}
        with pytest.raises(DatasetError, match=r"device=.*bitalino_rev, biosignalsplux, shimmer3"):
            read_recording(file, **settings)
        eda = read(file, **settings, options=FileOptions(device="bitalino_rev"))[0]
        assert_allclose(eda, 12.5)
        eda = read(file, **settings, options=FileOptions(device="biosignalsplux"))[0]
        assert_allclose(eda, 512 / 65536 * 25)
        # Shimmer3, range 1 (287 kOhm), reading 1365: 1 V, so (1 / 0.5 - 1) / 287 kOhm. Range 0
        # (40.2 kOhm), reading 2730: 2 V. A reading of 682 is below 0.5 V: the circuit is open.
        readings = [*[(1 << 14) + 1365] * 10, 2730, (3 << 14) + 682]
        file = write(tmp_path / "b.csv", ["eda", *map(str, readings)])
        eda = read(file, **settings, options=FileOptions(device="shimmer3"))[0]
        assert_allclose(eda, [*[1 / 0.287] * 10, 3 / 0.0402, np.nan], rtol=1e-12)
        file = write(tmp_path / "c.csv", ["eda", *map(str, [2730] * 10)])
        with pytest.raises(DatasetError, match=r"c\.csv: no sample of the Shimmer3 holds a range"):
            read_recording(file, **settings, options=FileOptions(device="shimmer3"))

    def test_other_units_are_refused(self, tmp_path):
        file = write(tmp_path / "a.csv", ["time,eda (mV)", *rows(TIME, EDA)])
        with pytest.raises(DatasetError, match="is in mV, which is not a conductance"):
            read_recording(file)
        assert_array_equal(read(file, unit="microsiemens")[0], EDA)

    def test_codes_for_no_value_are_missing(self, tmp_path):
        file = write(tmp_path / "a.csv", ["time,eda", *rows(TIME, [*EDA[:-2], -9999, -9999])])
        eda, _, (said,) = read(file)
        assert_array_equal(np.flatnonzero(np.isnan(eda)), [N - 2, N - 1])
        assert said == "2 samples are -9999, a code for no value: missing."


class TestWhatIsEDA:
    def test_only_files_with_eda_in_a_folder_are_recordings(self, tmp_path):
        e4 = ["1600000000.0", "4.0", *map(str, EDA)]
        good = {
            "P01_EDA.csv": e4,
            "P02.csv": ["time,Skin Conductance", *rows(TIME, EDA)],
            "P03.csv": ["a,b_uS", *rows(TIME, EDA)],
            "EDA/7.csv": [*map(str, EDA)],
            "P04.txt": ["time;gsr", *rows(TIME, EDA, sign=";")],
        }
        bad = {
            "labels.csv": ["label", "1", "0", "1"],
            "tags.csv": ["1600000001.25", "1600000009.5"],
            "systolic_peaks.csv": ["systolic_peaks", "1600000001250", "1600000001900"],
            "P01_TEMP.csv": ["1600000000.0", "4.0", *["33.1"] * 20],
            "P01_HR.csv": ["1600000000.0", "1.0", *["70.5"] * 20],
            "P01_BVP.csv": ["1600000000.0", "64.0", *["-3.5"] * 20],
            "events.csv": ["onset,duration,trial_type", "1,2,song"],
            "times.csv": ["time", *map(str, TIME)],
        }
        for name, lines in {**good, **bad, "readme.txt": ["EDA of four people"]}.items():
            write(tmp_path / name, lines)
        found, left_out = choose_recordings([tmp_path])
        assert sorted(relative.as_posix() for _, relative in found) == sorted(good)
        assert sorted(path.name for path in left_out) == sorted(bad)
        assert "['systolic_peaks']" in left_out[tmp_path / "systolic_peaks.csv"]
        chosen, _ = choose_recordings([tmp_path], column="label")
        assert "labels.csv" in [relative.name for _, relative in chosen]

    def test_the_only_column_of_a_file_asked_for_is_taken_and_said(self, tmp_path):
        file = write(tmp_path / "a.csv", [*map(str, EDA)])
        assert read(file, sampling_rate=4)[2] == [
            "the column has no name: it was taken for EDA because the file was asked for."
        ]

    def test_candidates_are_listed_with_their_ranges(self, tmp_path):
        file = write(tmp_path / "a.csv", ["time,eda left,eda right", *rows(TIME, EDA, 2 * EDA)])
        with pytest.raises(DatasetError, match=r"eda left \(1 to 3\); eda right \(2 to 6"):
            read_recording(file)

    def test_a_session_of_an_e4_may_be_a_zip_archive(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "P01.zip", "w") as archive:
            archive.writestr("EDA.csv", "\n".join(["1600000000.0", "4.0", *map(str, EDA)]))
            archive.writestr("tags.csv", "1600000010.0\n1600000030.0\n")
        eda, _, _ = read(tmp_path / "P01.zip")
        assert_array_equal(eda, EDA)
        with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
            archive.writestr("notes.txt", "EDA")
        found, _ = choose_recordings([tmp_path])
        assert [relative.name for _, relative in found] == ["P01.zip"]
        (tmp_path / "P01").mkdir()
        write(tmp_path / "P01" / "EDA.csv", ["1600000000.0", "4.0", *map(str, EDA)])
        found, _ = choose_recordings([tmp_path])
        assert [relative.as_posix() for _, relative in found] == ["P01/EDA.csv"]
        trials, _ = read_file_trials(tmp_path / "P01.zip", tags="consecutive")
        assert_array_equal(trials["1"], EDA[40:120])

    def test_tables_of_people_have_other_names_and_dialects(self, tmp_path):
        write(tmp_path / "a.csv", ["time,eda", *rows(TIME, EDA)])
        lines = ["Participant;Song;file;valence", "p1;x;a.csv;4,5"]
        table = write(tmp_path / "trials.csv", lines, encoding="cp1252")
        with pytest.raises(DatasetError, match=r"columns=\{'Participant': 'subject', 'Song': 'st"):
            read_trials(table)
        study = read_trials(table, columns={"Participant": "subject", "Song": "stimulus"})
        assert study.ratings["valence"].tolist() == [4.5]
        assert study.sampling_rate == 4.0

    def test_an_error_of_many_files_is_given_once(self, tmp_path):
        table = pd.DataFrame({"subject": "a", "stimulus": range(20), "valence": 1})
        table["file"] = [f"{i}.csv" for i in range(20)]
        for name in table["file"]:
            write(tmp_path / name, ["eda", "1.5", "2.5"])
        with pytest.raises(DatasetError, match=r"1 problem.*\n.*20 files \(.*sampling rate") as one:
            read_trials(table, folder=tmp_path)
        assert str(one.value).count("sampling rate") == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"time,eda\n0,1.5\n0.25,1.6\n0.5", "line 4 has 1 columns, the header has 2"),
        (b"time,eda\n0,1.5\n0.25,\x00\x00\n", "NUL bytes"),
        (b"time,eda\n0,1.5\n" + b"0.25,1.6\n" * 40_000 + b"1,\x00\n", "line 40003 has NUL bytes"),
        (b"\x1f\x8b\x08\x00rest", "a gzip archive: unpack it"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "password-protected"),
        (b"# device 7\n# rest\ntime,eda\n", "no samples after its header in line 3"),
        (b"eda," * 200_000, "line 1 is longer than 256 KiB"),
    ],
)
def test_files_that_are_damaged_are_one_error(tmp_path, content, said):
    file = tmp_path / "a.csv"
    file.write_bytes(content)
    with pytest.raises(DatasetError) as raised:
        read_recording(file, sampling_rate=4)
    assert str(raised.value).startswith(f"{file}: ")
    assert said in str(raised.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"time_unit": "years"},
        {"device": "toaster"},
        {"decimal": ";"},
        {"delimiter": "::"},
        {"skip_rows": -1},
        {"encoding": "klingon"},
    ],
)
def test_options_that_make_no_sense_are_errors(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        FileOptions(**settings)


def test_the_command_reports_what_it_found_and_left_out(tmp_path):
    settled = ["0.000000", "0.8", "1.7", *map(str, EDA)]
    write(tmp_path / "in" / "P01" / "EDA.csv", ["1600000000.0", "4.0", *settled])
    write(tmp_path / "in" / "labels.csv", ["label", "1", "0"])
    command = [sys.executable, "-m", "edaemo.cli", "decompose", tmp_path / "in", tmp_path / "out"]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=True)
    assert "EDA.csv: the first sample is 0." in done.stdout
    assert "EDA.csv: the sensor settles during the first 0.75 s." in done.stdout
    assert "Left out 1 file without EDA" in done.stdout
    assert "labels.csv: no column is EDA" in done.stdout
    quality = pd.read_csv(tmp_path / "out" / "P01" / "EDA.csv")["quality"]
    assert quality.tolist() == [0.0] * 3 + [1.0] * N
