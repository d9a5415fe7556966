"""Text exports of devices, with the lines that real exports have before and after the samples.

The layouts are those of public files: BioGraph Infiniti and BioTrace+ in the test data of PsPM, the
Q sensor in the parser of IGV, iMotions, MindWare, Consensys and EmbracePlus in scripts of studies.
"""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from test_recordings import EDA, TIME, N, read, stamps, write

from edaemo.datasets import DatasetError, FileOptions, choose_recordings, read_recording

BIOTRACE = [
    *("RAW Data export file (tab separated)", "", "", "Client:\tJohn,Sample", "Session:\tRest"),
    *("Date:\t22-02-2011", "Time:\t17:21:03", "Duration:\t100\tSeconds."),
    *("Output rate:\t4\tSamples/sec.", ""),
]
END = ["", "<end of exported RAW data>"]
BIOGRAPH = [
    *("Export Channel Data with rate of 4 samples per second.", ""),
    "Client: 999 - Test Test\tChannel Set: Test Channel Set.chs",
    "Session Date: 9/3/2010\t\tSession Time: 3:04:05 PM",
    *("Start Time: 00:00:00.000\t\tEnd Time: 00:01:40.000", ""),
    *("Time,SC-Pro/Flex - 1B", " ,2048"),
]
Q_SENSOR = [
    *("Log File Created by Q V1.0 - (c) 2010 Affectiva Inc.", "File Version: 1.01"),
    *("Firmware Version: 1.50", "UUID: AFQ441000BU", "Sampling Rate: 4"),
    "Start Time: 2011-03-22 08:52:57 Offset:-04",
    *("Z-axis | Y-axis | X-axis | Battery | °Celsius | EDA(uS)", "-" * 57),
]
LABCHART = [
    *("Interval=\t0.25 s", "ExcelDateTime=\t4.3E4\t01/01/2020", "TimeFormat=\tStartOfBlock"),
    *("DateFormat=\t", "ChannelTitle=\tGSR\tP", "Range=\t40 µS\t10.000 V"),
    *("UnitName=\tµS\tmmHg", "TopValue=\t*\t1.8", "BottomValue=\t*\t0"),
]


def each(form: str) -> list[str]:
    """Return a line for each sample: number i, time t (s), value x, clock time c."""
    return [
        form.format(i=i, t=t, x=x, c=c)
        for i, (t, x, c) in enumerate(
            zip(TIME.tolist(), EDA.tolist(), stamps("%H:%M:%S"), strict=True)
        )
    ]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("name", "lines"),
    [
        (
            "acqknowledge.txt",  # the name of the channel has as many cells as a line of samples
            [
                *("rest.acq", "250 msec/sample", "1 channels", "EDA, X, PPGED-R", "microsiemens"),
                *("sec,CH1,", f",{N},", *each("{t},{x},")),
            ],
        ),
        ("biotrace.txt", [*BIOTRACE, "4 SPS\t", "Sensor-E:SC/GSR\t", "", "", *each("{x}\t"), *END]),
        (
            "biotrace_seconds.txt",  # times are cut to whole seconds
            [*BIOTRACE, "TIME\tSensor-C:ECG/EKG\tSensor-E:SC/GSR", *each("{c}\t0.5\t{x}"), *END],
        ),
        ("biograph.txt", [*BIOGRAPH, *each("{t:.11f},{x}")]),
        (
            "mindware.txt",
            ["Sample Rate:\t4.0", "Time (s)\tMWMOBILEJ_Bio\tMWMOBILEJ_GSC", *each("{t}\t0.1\t{x}")],
        ),
        ("q.eda", [*Q_SENSOR, *each("-0.05,-0.1,-1.15,-1,27.4,{x}")]),
        ("labchart.txt", [*LABCHART, *each("{t}\t{x}\t1")]),
    ],
)
def test_lines_before_and_after_the_samples_are_not_samples(tmp_path, name, lines, ending):
    file = tmp_path / name
    file.write_bytes((ending.join(lines) + ending).encode())
    eda, rate, _ = read(file)
    assert_array_equal(eda, EDA)
    assert rate == 4.0
    assert [path.name for path, _ in choose_recordings([tmp_path])[0]] == [name]
    with pytest.raises(DatasetError, match="sampling_rate is 8 Hz"):
        read(file, sampling_rate=8)


def test_triggers_of_biotrace_and_comments_of_labchart_are_left_out(tmp_path):
    samples = each("{x}\t\t")
    samples[100] = f"{EDA[100]}\tTRIG 51103\t"
    file = write(tmp_path / "a.txt", [*BIOTRACE, "Sensor-E:SC/GSR\tEvents\t", "", *samples, *END])
    assert_array_equal(read(file)[0], EDA)
    samples = each("{t}\t{x}\t1")
    for at in (0, 100, N - 1):
        samples[at] += "\t#* song 1 starts"
    assert_array_equal(read(write(tmp_path / "b.txt", [*LABCHART, *samples]))[0], EDA)
    samples[50] += "\t7"
    with pytest.raises(DatasetError, match=r"line 60 has 4 columns, the header has 3"):
        read_recording(write(tmp_path / "b.txt", [*LABCHART, *samples]))
    blocks = [*LABCHART, *each("{t}\t{x}\t1")] * 2
    with pytest.raises(DatasetError, match=r"line 410 begins another block of LabChart"):
        read_recording(write(tmp_path / "c.txt", blocks))


def test_seconds_that_repeat_need_a_rate_that_explains_them(tmp_path):
    file = write(tmp_path / "a.csv", ["time,eda", *each("{c},{x}")])
    with pytest.raises(DatasetError, match=r"repeats a time 300 times.*pass --sampling-rate"):
        read_recording(file)
    eda, rate, _ = read(file, sampling_rate=4)
    assert_array_equal(eda, EDA)
    assert rate == 4.0
    lost = [*each("{c},{x}")[:100], *each("{c},{x}")[110:]]
    with pytest.raises(DatasetError, match="repeats a time"):
        read_recording(write(tmp_path / "a.csv", ["time,eda", *lost]), sampling_rate=4)


@pytest.mark.parametrize("unit", ["", " (microSiemens)", " (u Siemens)"])
def test_rows_of_other_sensors_are_not_samples(tmp_path, unit):
    """iMotions merges the rows of all sensors by their times."""
    resistance = " (kOhms)" if unit else ""
    lines = [
        *("#HEADER,", "#Study name,abc", "#DATA,"),
        f"Row,Timestamp,EventSource,GSR RAW,GSR Resistance CAL{resistance},"
        f"GSR Conductance CAL{unit},Joy",
    ]
    for i in range(N):
        lines.append(f"{2 * i},{250 * i},Shimmer,9000,{1000 / EDA[i]},{EDA[i]},")
        lines.append(f"{2 * i + 1},{250 * i + 33.4},FACET,,,,0.5")
        lines += [f"{2 * i + 1},{250 * i + 70.1},Event,,,,"] * (i % 3 == 0)
    eda, rate, said = read(write(tmp_path / "a.csv", lines))
    assert_array_equal(eda, EDA)
    assert rate == 4.0
    assert said[-1].startswith("534 of 934 rows have no sample of the EDA, and times of their own")
    few = [line for line in lines if "FACET" not in line]
    eda, rate, said = read(write(tmp_path / "b.csv", few))
    assert_array_equal(eda, EDA)
    assert said[-1].startswith("134 of 534 rows")


def test_missing_samples_at_their_times_stay(tmp_path):
    """An EmbracePlus has one value in each minute, and a reason where it has none."""
    cells = ["" if 100 <= i < 350 else str(x) for i, x in enumerate(EDA)]
    lines = [
        "timestamp_unix,timestamp_iso,participant_full_id,eda_scl_usiemens,missing_value_reason"
    ]
    for i, x in enumerate(cells):
        when = f"2024-05-01T{i // 60:02d}:{i % 60:02d}:00Z"
        reason = "" if x else "device_not_worn_correctly"
        lines.append(f"{1_714_521_600_000 + 60_000 * i},{when},1-1-001,{x},{reason}")
    file = write(tmp_path / "digital_biomarkers" / "1-1-001_2024-05-01_eda.csv", lines)
    other = [line.replace("eda_scl_usiemens", "pulse_rate_bpm") for line in lines]
    write(tmp_path / "digital_biomarkers" / "1-1-001_2024-05-01_pulse-rate.csv", other)
    eda, rate, said = read(file)
    assert_array_equal(eda, [float(x or "nan") for x in cells])
    assert (rate, said) == (1 / 60, [])
    found, left_out = choose_recordings([tmp_path])
    assert [path for path, _ in found] == [file]
    assert [path.name for path in left_out] == ["1-1-001_2024-05-01_pulse-rate.csv"]


def test_the_script_of_empatica_writes_microseconds(tmp_path):
    start = 1_714_521_600_000_000
    lines = ["unix_timestamp,eda", *(f"{start + 250_000 * i},{x}" for i, x in enumerate(EDA))]
    eda, rate, said = read(write(tmp_path / "eda.csv", lines))
    assert_array_equal(eda, EDA)
    assert (rate, said) == (4.0, [])


def test_consensys_has_one_sensor_in_several_units(tmp_path):
    name = "Shimmer_40AC_GSR"
    head = [
        '"sep=\t"',
        f"Shimmer_40AC_Timestamp_Unix_CAL\t{name}_Range_CAL\t{name}_Skin_Conductance_CAL\t"
        f"{name}_Skin_Resistance_CAL\t",
        "ms\tno_units\tuS\tkOhms\t",
    ]
    lines = [f"{1.6e12 + 250 * i}\t2.0\t{x}\t{1000 / x}\t" for i, x in enumerate(EDA)]
    eda, rate, _ = read(write(tmp_path / "a.csv", [*head, *lines]))
    assert_array_equal(eda, EDA)
    assert rate == 4.0
    raw = [
        f"Shimmer_40AC_Timestamp_Unix_CAL\t{name}_RAW",
        "ms\tno_units",
        # Range 1 (287 kOhm) and a reading of 1 V, which is (1 / 0.5 - 1) / 287 kOhm.
        *(f"{1.6e12 + 250 * i}\t{(1 << 14) + 1365}" for i in range(N)),
    ]
    file = write(tmp_path / "raw.csv", raw)
    with pytest.raises(DatasetError, match="no unit without the transfer function of the device"):
        read_recording(file)
    eda, rate, _ = read(file, options=FileOptions(device="shimmer3"))
    np.testing.assert_allclose(eda, np.full(N, 1 / 0.287))
    assert rate == 4.0


def test_a_resistance_without_a_unit_is_not_taken_for_microsiemens(tmp_path):
    file = write(tmp_path / "a.csv", ["time,Skin Resistance", *each("{t},{x}")])
    with pytest.raises(DatasetError, match="'Skin Resistance' is a resistance by its name"):
        read_recording(file)
    np.testing.assert_allclose(read(file, unit="megaohm")[0], 1 / EDA, rtol=1e-12)
