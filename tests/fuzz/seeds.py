"""Whole files of every format, which the fuzzer damages."""

from __future__ import annotations

import io
import pickle
import shutil
import sys
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from fastavro import parse_schema, writer
from pyedflib import highlevel
from scipy.io import savemat
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from skorch.callbacks import Callback

import edaemo
from edaemo.estimators import CNNClassifier
from edaemo.evaluation import FoldRecord, ResultStore

sys.path.append(str(Path(__file__).parents[1]))
from device_files import edf_bytes, write_biosemi, write_brainvision, write_xdf

FILES = Path(__file__).parents[1] / "files"
# Folder among the seeds of a reader, with files that are not damaged and lie next to the damaged.
COMPANIONS = "companions"
EVENTS = "onset\tduration\ttrial_type\n1.5\t3\tsong 1\n9\t2.25\tsong 2\n"
EDA = np.round(5 + np.sin(np.arange(200) / 15), 3)
ROWS = np.random.default_rng(0).normal(size=(20, 16))
LABELS = ["calm", "tense"] * 10


def write_models(folder: Path) -> None:
    """Write models with a network, with trees and with frames."""
    network = CNNClassifier(n_filters=4, max_epochs=1, random_state=0)
    models = {
        "network": make_pipeline(StandardScaler(), network),
        "tree": make_pipeline(StandardScaler(), DecisionTreeClassifier(max_depth=2)),
        "boosted": HistGradientBoostingClassifier(max_iter=2),
    }
    for name, model in models.items():
        edaemo.save(model.fit(ROWS, LABELS), folder / name)
    music = pd.DataFrame({"tempo": [100.0, 90.0], "mode": [0, 1]}, index=["a", "b"])
    edaemo.save(edaemo.MusicFeatureUnion(music=music), folder / "music")


class Copy(Callback):
    """Copies the checkpoint of the first epoch, which the end of the fit removes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_epoch_begin(self, net: object, **kwargs: object) -> None:
        """Copy the file, if there is one."""
        if self.path.with_suffix(".made").exists():
            shutil.copy(self.path.with_suffix(".made"), self.path)


def write_checkpoint(folder: Path) -> None:
    """Write the checkpoint of a fit."""
    path = folder / "checkpoint"
    made = path.with_suffix(".made")
    CNNClassifier(
        n_filters=4, max_epochs=3, random_state=0, checkpoint=made, callbacks=[Copy(path)]
    ).fit(ROWS, LABELS)


def write_store(folder: Path) -> None:
    """Write a store of one fold."""
    predictions = {
        "row": [0, 1],
        "subject": ["a", "b"],
        "stimulus": ["s", "s"],
        "trial": [0, 0],
        "label": [0, 1],
        "predicted": [1, 1],
        "probability": [[0.4, 0.6], [0.25, 0.75]],
    }
    names = ("study", "people", "target", "threshold", "pipeline", "protocol")
    record = FoldRecord(
        key="k",
        **dict.fromkeys(names, "a"),
        repeat=0,
        fold=0,
        settings={"seed": 0},
        versions={"edaemo": "1"},
        classes=(0, 1),
        test_subjects=("a", "b"),
        scores={"accuracy": 0.5},
        predictions=predictions,
    )
    with ResultStore(folder / "store.sqlite") as store:
        store.add(record)


def write_pickles(folder: Path) -> None:
    """Write pickles of arrays in three protocols."""
    tree = {"signal": {"wrist": {"EDA": EDA[:40, None]}}, "label": np.arange(9), "subject": "S2"}
    for protocol in (0, 2, 5):
        (folder / f"{protocol}.pkl").write_bytes(pickle.dumps(tree, protocol))


def write_matlab(folder: Path) -> None:
    """Write files of Ledalab and PsPM, with and without compression."""
    for compressed in (False, True):
        ledalab = {"conductance": EDA[:40], "time": np.arange(40) / 4}
        savemat(folder / f"ledalab-{compressed}.mat", {"data": ledalab}, do_compression=compressed)
        header = {"chantype": "scr", "units": "microsiemens", "sr": 10.0}
        cells = np.empty((1, 1), object)
        cells[0, 0] = {"data": EDA[:40, None], "header": header}
        savemat(folder / f"pspm-{compressed}.mat", {"data": cells}, do_compression=compressed)


def write_workbooks(folder: Path) -> None:
    """Copy a workbook of Excel and one of OpenDocument."""
    for suffix in (".xlsx", ".ods"):
        shutil.copy(FILES / "recordings" / f"sheets{suffix}", folder)


def table() -> pd.DataFrame:
    """Return a recording with times."""
    return pd.DataFrame({"time": np.arange(200) / 4, "eda": EDA, "trial": "a"})


def write_parquet(folder: Path) -> None:
    """Write a recording as parquet, as `edaemo decompose` does."""
    table().to_parquet(folder / "a.parquet", write_page_checksum=True)


def write_csv(folder: Path) -> None:
    """Write recordings as text, in several dialects."""
    table().to_csv(folder / "comma.csv", index=False)
    table().to_csv(folder / "german.csv", index=False, sep=";", decimal=",", encoding="utf-16")
    table()["eda"].to_csv(folder / "column.txt", index=False)
    shutil.copy(folder / "comma.csv", folder / "mac.csv")
    text = (folder / "mac.csv").read_bytes().replace(b"\n", b"\r")
    (folder / "mac.csv").write_bytes(b"# Sampling rate: 4 Hz\r" + text)


def write_table(folder: Path) -> None:
    """Write tables of trials, of events in recordings, and of recordings with files of events."""
    companions = folder / COMPANIONS
    companions.mkdir()
    for name in ("a.csv", "b.csv"):
        table().to_csv(companions / name, index=False)
    (companions / "a.tsv").write_text(EVENTS)
    rated = "anna,song 1,a.csv,1,4\nanna,song 2,b.csv,2,7\n"
    (folder / "trials.csv").write_text(f"subject,stimulus,file,trial,valence\n{rated}")
    onsets = "a;a.csv;1,5;3;b;4\na;a.csv;9;3;c;5\nd;b.csv;9;3;c;5\n"
    (folder / "onsets.csv").write_text(f"subject;file;onset;duration;stimulus;arousal\n{onsets}")
    named = "a\ta.csv\ta.tsv\tsong 1\t4\na\ta.csv\ta.tsv\tsong 2\t5\n"
    (folder / "named.tsv").write_text(f"subject\tfile\tevents\tstimulus\tvalence\n{named}")
    each = pd.DataFrame({"subject": ["a"], "file": "a.csv", "events": "a.tsv", "arousal": 4})
    each.to_parquet(folder / "each.parquet", write_page_checksum=True)


def write_events(folder: Path) -> None:
    """Write tables of events, and the button presses of an E4."""
    (folder / "events.tsv").write_text(EVENTS)
    (folder / "german.csv").write_text("onset;stimulus\n1,5;Stück\n2;b\n", encoding="latin-1")
    (folder / "tags.csv").write_text("1544027345.00\n1544027360.25\n")
    write_e4(folder)
    (folder / COMPANIONS).mkdir()
    (folder / "EDA.csv").rename(folder / COMPANIONS / "EDA.csv")


def write_e4(folder: Path) -> None:
    """Write the file of an E4."""
    lines = ["1544027337.0", "4.0", *map(str, EDA)]
    (folder / "EDA.csv").write_text("\n".join(lines) + "\n")


def write_zip(folder: Path) -> None:
    """Write a session of an E4 as a zip archive."""
    for name, compression in (("stored", zipfile.ZIP_STORED), ("packed", zipfile.ZIP_DEFLATED)):
        with zipfile.ZipFile(folder / f"{name}.zip", "w", compression) as archive:
            archive.writestr("EDA.csv", "1544027337.0\n4.0\n" + "\n".join(map(str, EDA)) + "\n")
            archive.writestr("tags.csv", "1544027345.0\n1544027360.0\n")


def write_hdf5(folder: Path) -> None:
    """Write a file of OpenSignals."""
    with h5py.File(folder / "a.h5", "w") as file:
        group = file.create_group("00:07:80:3B:46:61")
        group.attrs["sampling rate"] = 100
        group.attrs["channels"] = np.array([1])
        group.attrs["resolution"] = np.array([10])
        group.attrs["device"] = "bitalino_rev"
        samples = np.arange(100, 200, dtype=np.uint16)[:, None]
        group.create_dataset("raw/channel_1", data=samples).attrs["sensor"] = "EDA"


def write_avro(folder: Path) -> None:
    """Write a raw file of an EmbracePlus, with the field of the EDA."""
    fields = [
        {"name": "timestampStart", "type": "long"},
        {"name": "samplingFrequency", "type": "float"},
        {"name": "values", "type": {"type": "array", "items": "float"}},
    ]
    eda = {"type": "record", "name": "eda", "fields": fields}
    presses = {"name": "tagsTimeMicros", "type": {"type": "array", "items": "long"}}
    tags = {"type": "record", "name": "tags", "fields": [presses]}
    signals = [{"name": "eda", "type": eda}, {"name": "tags", "type": tags}]
    raw = {"type": "record", "name": "rawData", "fields": signals}
    schema = {"type": "record", "name": "a", "fields": [{"name": "rawData", "type": raw}]}
    signal = {"timestampStart": 0, "samplingFrequency": 4.0, "values": EDA.tolist()}
    content = io.BytesIO()
    record = {"eda": signal, "tags": {"tagsTimeMicros": [1_000_000, 20_500_000]}}
    writer(content, parse_schema(schema), [{"rawData": record}], codec="deflate")
    (folder / "a.avro").write_bytes(content.getvalue())


def write_edf(folder: Path) -> None:
    """Write an EDF file of one channel, an interrupted one with annotations, and one of BioSemi."""
    header = highlevel.make_signal_header("EDA", dimension="uS", sample_frequency=4)
    highlevel.write_edf(str(folder / "a.edf"), [EDA], [header])
    starts = [i + 2.0 * (i >= 10) for i in range(20)]
    annotated = [b"+3.5\x152\x14song\x14after\x14\0", *[b""] * 19]
    (folder / "annotated.edf").write_bytes(edf_bytes("EDF+D", starts, annotated))
    write_biosemi(folder / "biosemi.bdf")


def write_marked(folder: Path) -> None:
    """Write a recording of BrainVision twice: header and markers, with the files they name."""
    companions = folder / COMPANIONS
    companions.mkdir()
    write_brainvision(companions)
    for name in ("b.vhdr", "b.vmrk"):
        text = (companions / f"a{name[1:]}").read_text().replace("a.vmrk", "b.vmrk")
        (companions / name).write_text(text)
    (companions / "a.vhdr").rename(folder / "a.vhdr")
    (companions / "b.vmrk").rename(folder / "b.vmrk")


SEEDS: dict[str, Callable[[Path], object]] = {
    "model": write_models,
    "checkpoint": write_checkpoint,
    "store": write_store,
    "pickle": write_pickles,
    "MATLAB": write_matlab,
    "workbook": write_workbooks,
    "parquet": write_parquet,
    "csv": write_csv,
    "table": write_table,
    "events": write_events,
    "E4": write_e4,
    "zip": write_zip,
    "HDF5": write_hdf5,
    "avro": write_avro,
    "XDF": lambda folder: write_xdf(folder / "a.xdf"),
    "EDF": write_edf,
    "BrainVision": write_marked,
    "AcqKnowledge": lambda folder: shutil.copy(FILES / "recordings" / "acqknowledge.acq", folder),
}


def write_seeds(folder: Path, readers: Iterable[str]) -> None:
    """Write the files of each reader to a folder of its name."""
    for name in readers:
        (folder / name).mkdir(parents=True, exist_ok=True)
        SEEDS[name](folder / name)


def find_seeds(folder: Path) -> list[Path]:
    """Return the files of a reader that the fuzzer damages."""
    return sorted(path for path in folder.iterdir() if path.is_file())


def copy_companions(seeds: Path, place: Path) -> None:
    """Copy the files that are not damaged to a folder, which is made."""
    place.mkdir(parents=True, exist_ok=True)
    if (seeds / COMPANIONS).is_dir():
        shutil.copytree(seeds / COMPANIONS, place, dirs_exist_ok=True)
