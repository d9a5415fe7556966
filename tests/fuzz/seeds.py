"""Whole files of every format, which the fuzzer damages."""

from __future__ import annotations

import io
import pickle
import shutil
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

FILES = Path(__file__).parents[1] / "files"
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
    """Write tables of trials, whose recordings are not there."""
    text = "subject,stimulus,file,valence\nanna,song 1,a.csv,4\nanna,song 2,b.csv,7\n"
    (folder / "trials.csv").write_text(text)
    (folder / "events.csv").write_text("subject;file;onset;duration;stimulus\na;a.csv;1,5;3;b\n")


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
    raw = {"type": "record", "name": "rawData", "fields": [{"name": "eda", "type": eda}]}
    schema = {"type": "record", "name": "a", "fields": [{"name": "rawData", "type": raw}]}
    signal = {"timestampStart": 0, "samplingFrequency": 4.0, "values": EDA.tolist()}
    content = io.BytesIO()
    writer(content, parse_schema(schema), [{"rawData": {"eda": signal}}], codec="deflate")
    (folder / "a.avro").write_bytes(content.getvalue())


def write_edf(folder: Path) -> None:
    """Write an EDF file of one channel."""
    header = highlevel.make_signal_header("EDA", dimension="uS", sample_frequency=4)
    highlevel.write_edf(str(folder / "a.edf"), [EDA], [header])


SEEDS: dict[str, Callable[[Path], None]] = {
    "model": write_models,
    "checkpoint": write_checkpoint,
    "store": write_store,
    "pickle": write_pickles,
    "MATLAB": write_matlab,
    "workbook": write_workbooks,
    "parquet": write_parquet,
    "csv": write_csv,
    "table": write_table,
    "E4": write_e4,
    "zip": write_zip,
    "HDF5": write_hdf5,
    "avro": write_avro,
    "EDF": write_edf,
}


def write_seeds(folder: Path, readers: Iterable[str]) -> None:
    """Write the files of each reader to a folder of its name."""
    for name in readers:
        (folder / name).mkdir(parents=True, exist_ok=True)
        SEEDS[name](folder / name)
