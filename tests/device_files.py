"""Files of devices, written here by the descriptions of their formats."""

import struct
from pathlib import Path

import numpy as np
import pyedflib as edf

N = 400
TIME = np.arange(N) / 4
# Six digits after the point, as an E4 writes them.
EDA = np.round(2 + np.sin(TIME / 7), 6)


def write(path: Path, lines: list[str], *, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(("\n".join(lines) + "\n").encode(encoding))
    return path


def chunk(tag: int, content: bytes) -> bytes:
    """A chunk of XDF: size of the length, length, tag, content (specification 1.0)."""
    return b"\4" + struct.pack("<IH", len(content) + 2, tag) + content


def stream(number: int, header: str, samples: bytes, count: int) -> bytes:
    """The chunks of a stream of XDF: its header and its samples."""
    head = struct.pack("<I", number) + f"<?xml version='1.0'?><info>{header}</info>".encode()
    body = struct.pack("<I", number) + b"\4" + struct.pack("<I", count) + samples
    return chunk(2, head) + chunk(3, body)


def text_sample(time: float, label: str) -> bytes:
    """A sample of a stream of XDF that holds text: its time, and the text with its length."""
    text = label.encode()
    return struct.pack("<Bd", 8, time) + b"\4" + struct.pack("<I", len(text)) + text


def write_xdf(path: Path) -> Path:
    """EDA of 4 Hz from 1000 s on, and markers in a stream of text, by the specification 1.0."""
    kind = "<channel_count>1</channel_count><channel_format>{}</channel_format>"
    eda = f"<name>GSR</name><type>GSR</type><nominal_srate>4</nominal_srate>{kind}"
    marks = f"<name>M</name><type>Markers</type><nominal_srate>0</nominal_srate>{kind}"
    samples = [struct.pack("<Bdd", 8, 1000 + t, x) for t, x in zip(TIME, EDA, strict=True)]
    events = [(1020.5, "song 1"), (1050.0, "song 2"), (1070.0, "song 1"), (990.0, "start")]
    content = b"XDF:" + chunk(1, b"<?xml version='1.0'?><info><version>1.0</version></info>")
    content += stream(1, eda.format("double64"), b"".join(samples), N)
    content += stream(2, marks.format("string"), b"".join(text_sample(*e) for e in events), 4)
    path.write_bytes(content)
    return path


def edf_bytes(kind: str, starts: list[float], annotations: list[bytes]) -> bytes:
    """EDF+ by the specification: records of 1 s, 4 samples of GSR (µS) and 30 of annotations."""
    fields = [
        *(("0", 8), ("X X X X", 80), ("Startdate X X X X", 80), ("01.01.24", 8), ("10.00.00", 8)),
        *(("768", 8), (kind, 44), (str(len(starts)), 8), ("1", 8), ("2", 4)),
        *(("GSR", 16), ("EDF Annotations", 16), ("", 80), ("", 80), ("uS", 8), ("", 8)),
        *(("0", 8), ("-1", 8), ("10", 8), ("1", 8), ("-32768", 8), ("-32768", 8)),
        *(("32767", 8), ("32767", 8), ("", 80), ("", 80), ("4", 8), ("30", 8), ("", 32), ("", 32)),
    ]
    content = "".join(text.ljust(width) for text, width in fields).encode()
    for at, (start, more) in enumerate(zip(starts, annotations, strict=True)):
        digits = np.round(EDA[4 * at : 4 * at + 4] / 10 * 65535 - 32768).astype("<i2")
        lists = f"+{start:g}".encode() + b"\x14\x14\0" + more
        content += digits.tobytes() + lists.ljust(60, b"\0")
    return content


# The markers of a recording of BrainVision.
MARKS = [
    "Brain Vision Data Exchange Marker File, Version 1.0",
    *("[Common Infos]", "Codepage=UTF-8", "DataFile=a.eeg", "[Marker Infos]"),
    "Mk1=New Segment,,1,1,0,20240101100000000000",
    *("Mk2=Stimulus,S  1,83,8,0", "Mk3=Comment,song 2,201,1,0"),
]


def write_brainvision(folder: Path) -> Path:
    """Header, markers and samples, as Brain Products describes them (core format 1.0)."""
    header = [
        "Brain Vision Data Exchange Header File Version 1.0",
        *("[Common Infos]", "Codepage=UTF-8", "DataFile=a.eeg", "MarkerFile=a.vmrk"),
        *("DataFormat=BINARY", "DataOrientation=MULTIPLEXED", "NumberOfChannels=1"),
        *("SamplingInterval=250000", "[Binary Infos]", "BinaryFormat=INT_16"),
        *("[Channel Infos]", "Ch1=GSR,,0.0005,µS"),
    ]
    write(folder / "a.vmrk", MARKS)
    (folder / "a.eeg").write_bytes(np.round(EDA / 0.0005).astype("<i2").tobytes())
    return write(folder / "a.vhdr", header)


def write_biosemi(path: Path) -> Path:
    """EDA, and triggers 7, 9 and 7 in the channel Status.

    The trigger is in the lower 16 bits; the upper 8 are the state of the amplifier.
    """
    status = np.full(N, 0x180000)
    status[80:90] += 7
    status[90:95] += 9
    status[200] += 7
    with edf.EdfWriter(str(path), 2, file_type=edf.FILETYPE_BDF) as file:
        digits = {"digital_min": -(2**23), "digital_max": 2**23 - 1}
        usual = {"sample_frequency": 4, "prefilter": "", "transducer": "", **digits}
        gsr = {"label": "GSR", "dimension": "uS", "physical_min": 0, "physical_max": 10}
        file.setSignalHeader(0, {**usual, **gsr})
        ends = {"physical_min": -(2**23), "physical_max": 2**23 - 1}
        file.setSignalHeader(1, {**usual, **ends, "label": "Status", "dimension": "Boolean"})
        file.writeSamples([EDA, status.astype(float)])
    return path
