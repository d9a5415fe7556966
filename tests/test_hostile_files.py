"""Files made to crash, hang or fill the memory: each is one error, and the process goes on."""

import hashlib
import io
import json
import operator
import os
import pickle
import signal
import struct
import sys
import tracemalloc
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import safetensors.numpy
from scipy.io import savemat
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import edaemo
from edaemo import CvxEDATransformer, MusicFeatureUnion, _child_process
from edaemo._child_process import ChildError, call_in_child
from edaemo._safe_file import ARRAYS, HEAD, FileError, read_archive, write_archive
from edaemo._whole_file import safe_name
from edaemo.cli import _compare, main
from edaemo.cli._output import to_csv
from edaemo.datasets import DatasetError, read_events, read_recording, read_trials
from edaemo.datasets._matlab import read_matlab
from edaemo.datasets._numbers import read_number
from edaemo.datasets._recordings import read_columns
from edaemo.datasets._units import to_microsiemens
from edaemo.datasets._unpickle import read_pickled_arrays
from edaemo.decomposition import find_decomposition
from edaemo.estimators import CNNClassifier
from edaemo.features import EDAFeatureExtractor
from edaemo.persistence import FORMAT
from edaemo.preprocessing import decompose_files


def unpickle(content):
    return read_pickled_arrays(io.BytesIO(content))


def doubled(levels, tail):
    """A pickle of a tuple that holds twice a tuple that holds twice …: 2**levels elements."""
    body = b"K\x01\x85q\x00" + b"".join(b"h\x00h\x00\x86q\x00" for _ in range(levels))
    return b"\x80\x02}" + body + tail


HOSTILE_PICKLES = {
    "tuple in a tuple, 100,000 times": b"\x80\x02}U\x01aK\x01" + b"\x85" * 99_000 + b"s.",
    "key of 2**60 elements": doubled(60, b"K\x01s."),
    "value of 2**60 elements": b"\x80\x02}U\x01a" + doubled(60, b"s.")[3:],
    "dict in a dict, 10,000 times": (
        b"\x80\x02}q\x00q\x01" + b"h\x00U\x01a}q\x00s" * 10_000 + b"h\x01."
    ),
    "dict in itself": b"\x80\x02}q\x00U\x01ah\x00s.",
    "one dict in two places, doubled 60 times": (
        b"\x80\x02}q\x00" + b"}U\x01ah\x00sU\x01bh\x00sq\x00" * 60 + b"."
    ),
    "list": b"\x80\x02}U\x01a]s.",
    "number of 200,000 digits": b"}U\x01aI" + b"9" * 200_000 + b"\ns.",
    "text of 9e18 bytes": b"\x80\x04\x8d" + b"\xff" * 7 + b"\x7f.",
    "shape of 9e18 elements": (
        b"\x80\x02}U\x01acnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01\x8a\x08"
        + b"\xff" * 7
        + b"\x7f\x85cnumpy\ndtype\nU\x02f8K\x00K\x01\x87R\x89U\x00tbs."
    ),
    "array without a state": (
        b"\x80\x02}U\x01acnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87Rs."
    ),
    "operations that never end": b"\x80\x02" + b"N" * 5_000_000 + b".",
    "name of 1 MB": b"c" + b"a" * 1_000_000 + b"\nb\n.",
    "text of 1 MB encoded 50,000 times": (
        b"\x80\x02}X"
        + (2**20).to_bytes(4, "little")
        + b"a" * 2**20
        + b"q\x00"
        + b"c_codecs\nencode\nh\x00X\x06\x00\x00\x00latin1\x86R" * 2000
        + b"."
    ),
    "key that is an array": b"\x80\x02}cnumpy\nndarray\nK\x01s.",
    "nothing on the stack": b"\x80\x02.",
}


@pytest.mark.parametrize("name", HOSTILE_PICKLES)
def test_a_pickle_that_attacks_the_unpickler_is_one_short_error(name):
    with pytest.raises(ValueError) as caught:
        unpickle(HOSTILE_PICKLES[name])
    assert len(str(caught.value)) < 250
    assert type(caught.value).__name__ in ("ValueError", "_RefusedError")


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("dtype", ["<f8", ">f4", "<i2", ">u4", "<f2", "i1"])
def test_arrays_of_any_protocol_equal_what_was_pickled(protocol, dtype):
    rng = np.random.default_rng(0)
    arrays = {
        "C": rng.integers(0, 100, size=(3, 4, 5)).astype(dtype),
        "Fortran": np.asfortranarray(rng.integers(0, 100, size=(7, 300)).astype(dtype)),
        "one": np.array([39, 92, 10], dtype),  # a quote, a backslash and an end of line
    }
    arrays["again"] = arrays["one"]
    read = unpickle(pickle.dumps(arrays, protocol))
    assert read.keys() == arrays.keys()
    for key, array in arrays.items():
        assert read[key].dtype == array.dtype
        np.testing.assert_array_equal(read[key], array)


def test_a_pickle_of_python_2_in_text_is_read():
    # What Python 2.7 writes for {"a": numpy.array([39, 10], "<i2")} in protocol 0.
    content = (
        b"(dp0\nS'a'\np1\ncnumpy.core.multiarray\n_reconstruct\np2\n(cnumpy\nndarray\np3\n(I0\ntp4\n"
        b"S'b'\np5\ntp6\nRp7\n(I1\n(L2L\ntp8\ncnumpy\ndtype\np9\n(S'i2'\np10\nI0\nI1\ntp11\nRp12\n"
        b"(I3\nS'<'\np13\nNNNI-1\nI-1\nI0\ntp14\nbI00\nS\"'\\x00\\n\\x00\"\np15\ntp16\nbs."
    )
    np.testing.assert_array_equal(unpickle(content)["a"], np.array([39, 10], "<i2"))


# Libraries written in C, in a child process


def test_the_child_follows_the_current_folder(tmp_path, monkeypatch):
    assert call_in_child(operator.add, 0, 2, 3) == 5  # the child is running
    deleted = tmp_path / "deleted"
    for folder in (tmp_path, deleted):
        folder.mkdir(exist_ok=True)
        monkeypatch.chdir(folder)
        assert call_in_child(os.getcwd, 0) == str(folder)
    deleted.rmdir()
    assert call_in_child(operator.add, 0, 2, 3) == 5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ((os.abort,), "the library ended its process"),
        ((os._exit, 3), "the library ended its process, status 3"),
        ((sys.exit, 0), "SystemExit"),
        ((operator.mul, b"a", 10**10), "it needs more memory"),
        ((operator.getitem, {}, "absent"), "KeyError: 'absent'"),
        ((sum, range(10**12)), "it took more than 1 s and was ended"),
    ],
)
def test_a_call_that_ends_its_process_is_an_error_and_the_next_one_works(
    call, message, monkeypatch
):
    if call[0] is sum and not hasattr(signal, "SIGXCPU"):
        pytest.skip("this system does not limit the time of the processor")
    monkeypatch.setattr(_child_process, "SECONDS", 1)
    with pytest.raises(ChildError, match=message):
        call_in_child(call[0], 0, *call[1:])
    assert call_in_child(operator.add, 0, 2, 3) == 5


def test_errors_of_values_keep_their_type_and_long_ones_are_cut():
    with pytest.raises(ValueError, match="invalid literal for int"):
        call_in_child(int, 0, "five")
    with pytest.raises(ChildError, match="TypeError: data type") as caught:
        call_in_child(np.dtype, 0, "x" * 10**6)
    assert len(str(caught.value)) < 250


def test_a_call_is_ended_after_a_time_on_the_clock(monkeypatch):
    monkeypatch.setattr(_child_process, "PATIENCE", 0.1)
    with pytest.raises(ChildError, match="it took more than"):
        call_in_child(signal.pause, 0)


def test_the_child_imports_nothing_from_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "statistics.py").write_text("raise SystemExit('this code ran')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")
    monkeypatch.setattr(_child_process, "_child", None)
    code = call_in_child(eval, 0, "__import__('statistics').mean([1, 3])")
    assert code == 2


def matlab_file():
    content = io.BytesIO()
    cells = np.empty((1, 2), object)
    cells[0, 0], cells[0, 1] = np.arange(12.0).reshape(3, 4), np.arange(5)
    savemat(content, {"data": cells})
    return content.getvalue()


# Each of these bytes made scipy 1.17 read or write outside of its memory, or fail within.
@pytest.mark.parametrize(("place", "value"), [(144, 5), (193, 255), (225, 1), (225, 128), (376, 0)])
def test_a_changed_byte_of_a_matlab_file_is_no_crash(place, value):
    content = bytearray(matlab_file())
    content[place] = value
    try:
        read_matlab(bytes(content), ["data"])
    except ValueError as error:
        assert str(error).startswith("is truncated or is not a MATLAB file")
    read = read_matlab(matlab_file(), ["data"])["data"]
    np.testing.assert_array_equal(read[0, 0], np.arange(12.0).reshape(3, 4))


def test_a_workbook_with_a_far_cell_is_one_error(tmp_path):
    sheet = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    package = "http://schemas.openxmlformats.org/package/2006"
    with zipfile.ZipFile(tmp_path / "far.xlsx", "w") as workbook:
        workbook.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{package}/content-types"><Override PartName="/xl/workbook.xml" '
            f'ContentType="{sheet}.sheet.main+xml"/></Types>',
        )
        workbook.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{package}/relationships"><Relationship Id="rId1" '
            f'Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        )
        workbook.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>'
            '<sheet name="a" sheetId="1" r:id="rId1"/></sheets></workbook>',
        )
        workbook.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{package}/relationships"><Relationship Id="rId1" '
            f'Type="{office}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        )
        workbook.writestr(
            "xl/worksheets/sheet1.xml",
            f'<worksheet xmlns="{main}"><sheetData><row r="1"><c r="A1"><v>1</v></c></row>'
            '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData></worksheet>',
        )
    with pytest.raises(DatasetError, match=r"far\.xlsx: this is not a readable workbook: "):
        read_recording(tmp_path / "far.xlsx")


# Model files that take more memory, threads or files than they have bytes


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The members of a file with a network and a part of scikit-learn."""
    X = np.random.default_rng(0).normal(size=(20, 16))
    network = CNNClassifier(n_filters=8, max_epochs=1, random_state=0)
    model = make_pipeline(StandardScaler(), network).fit(X, [0, 1] * 10)
    path = tmp_path_factory.mktemp("saved") / "model.edaemo"
    edaemo.save(model, path)
    return read_archive(path, "model", FORMAT)


def refused(path, members):
    """Return the message of the error that loading a file with these members must end in."""
    write_archive(path, "model", FORMAT, members)
    tracemalloc.start()
    with pytest.raises(FileError) as caught:
        edaemo.load(path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 100 * 2**20
    return str(caught.value)


def edit_head(saved, change):
    head = json.loads(saved[HEAD])
    change(head["estimator"]["parameters"])
    return {**saved, HEAD: json.dumps(head).encode()}


def network_of(parameters):
    return parameters["steps"][1][1]["parameters"]


TOO_WIDE = {"$objects": ["a"] * 4, "shape": [4], "dtype": "<U500000000"}
RANGE = {"$range": [0, 10**9, 1], "name": None}


@pytest.mark.parametrize(
    ("parameter", "value", "said"),
    [
        ("class_weight", TOO_WIDE, "too wide for 4 texts"),
        ("class_weight", {**TOO_WIDE, "dtype": "(07,)f8,U1"}, "is not a dtype of texts"),
        ("class_weight", {"$frame": {"$dict": [["a", 1.0]]}, "index": RANGE}, "another length"),
        ("class_weight", {"$frame": 1.0, "index": RANGE, "columns": RANGE}, "another length"),
        ("n_threads", 3000, "n_threads=3000: use a number up to 256"),
        ("n_filters", 10**6, "size mismatch"),
        ("callbacks", [{"$schedule": "StepLR", "parameters": {"$dict": []}}], "has callbacks"),
    ],
)
def test_a_parameter_that_takes_too_much_is_refused(parameter, value, said, saved, tmp_path):
    def change(parameters):
        network_of(parameters)[parameter] = value

    assert said in refused(tmp_path / "m", edit_head(saved, change))


def test_one_array_is_not_copied_into_many_places(saved, tmp_path):
    array = {"$array": "0"}
    members = {**saved, ARRAYS: safetensors.numpy.save({"0": np.zeros(2**17)})}

    def change(parameters):
        network_of(parameters)["class_weight"] = {
            "$frame": [array] * 3000,
            "index": RANGE,
            "columns": RANGE,
        }

    assert "'0'" in refused(tmp_path / "m", edit_head(members, change))


def test_members_that_overlap_or_repeat_are_refused(tmp_path):
    write_archive(tmp_path / "m", "model", FORMAT, {HEAD: b"a" * 2**20})
    content = (tmp_path / "m").read_bytes()
    start = content.index(b"PK\x01\x02")
    end = content.index(b"PK\x05\x06")
    entry = content[start:end]
    other = entry.replace(HEAD.encode(), HEAD.encode().upper())
    for listed, said in (([entry] * 3000, "listed twice"), ([entry, other], "overlaps")):
        body = content[:start] + b"".join(listed)
        tail = struct.pack(
            "<4s4H2L",
            b"PK\x05\x06",
            0,
            0,
            len(listed),
            len(listed),
            len(entry) * len(listed),
            start,
        )
        comment = f"edaemo model {FORMAT} sha256 ".encode()
        data = body + tail + struct.pack("<H", len(comment) + 64) + comment
        (tmp_path / "m").write_bytes(data + hashlib.sha256(data).hexdigest().encode())
        with pytest.raises(FileError, match=f"edaemo did not write this file.*{said}"):
            read_archive(tmp_path / "m", "model", FORMAT)


def edit_part(saved, change):
    with zipfile.ZipFile(io.BytesIO(saved["part0.skops"])) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return {**saved, "part0.skops": content.getvalue()}


@pytest.mark.parametrize("count", ["1000000000", "1000000000000"])
def test_an_array_with_more_elements_than_bytes_is_refused(count, saved, tmp_path):
    def change(members):
        name = next(name for name in members if name.endswith(".npy"))
        header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({count},), }}\n".encode()
        members[name] = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header

    assert "has only" in refused(tmp_path / "m", edit_part(saved, change))


def test_an_array_that_many_parts_read_is_refused(saved, tmp_path):
    def change(members):
        schema = members["schema.json"].decode()
        name = next(name for name in members if name.endswith(".npy"))
        others = [other for other in members if other.endswith(".npy") and other != name]
        assert others
        for other in others:
            schema = schema.replace(other, name)
        members["schema.json"] = schema.encode()

    assert "two parts have the values" in refused(tmp_path / "m", edit_part(saved, change))


def test_what_save_refuses_load_refuses(tmp_path):
    music = pd.DataFrame({"tempo": [100.0]}, index=["a"])
    edaemo.save(MusicFeatureUnion(music=music), tmp_path / "m")
    members = read_archive(tmp_path / "m", "model", FORMAT)
    head = json.loads(members[HEAD])
    files = {"$dict": [["a", "/etc/passwd"]]}
    head["estimator"]["parameters"]["music"] = {"$tuple": [None, files]}
    said = refused(tmp_path / "m", {**members, HEAD: json.dumps(head).encode()})
    assert "music is an extractor with files" in said


def test_a_model_in_a_file_starts_no_compiler(saved, tmp_path):
    def change(parameters):
        network_of(parameters)["compile"] = True

    write_archive(tmp_path / "m", "model", FORMAT, edit_head(saved, change))
    with pytest.warns(UserWarning, match="which would start a compiler"):
        model = edaemo.load(tmp_path / "m")
    assert model[-1].compile is False and model[-1].net_.fuse is False


def test_a_model_of_too_many_processes_is_not_saved(tmp_path):
    model = CvxEDATransformer(4, n_jobs=3000)
    with pytest.raises(FileError, match="n_jobs=3000: use a number up to 256"):
        edaemo.save(model, tmp_path / "m")
    with pytest.raises(FileError, match="n_jobs=3000"):
        edaemo.save(RandomForestClassifier(n_jobs=3000).fit([[0], [1]], [0, 1]), tmp_path / "m")


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="a system without devices")
def test_a_device_is_not_read_as_a_model():
    with pytest.raises(FileError, match="a device or a pipe"):
        edaemo.load("/dev/zero")


# Files that exist, and names that are more than text


@pytest.fixture(scope="module")
def network():
    X = np.random.default_rng(0).normal(size=(20, 16))
    return CNNClassifier(n_filters=8, max_epochs=1, random_state=0).fit(X, [0, 1] * 10)


def test_descriptions_of_two_onnx_files_are_two_files(network, tmp_path):
    for name in ("model-v1.0", "model-v1.5", "model-v1.0"):  # its own files are replaced
        edaemo.export_onnx(network, tmp_path / name)
    names = [f"model-v1.{number}{end}" for number in "05" for end in ("", ".json")]
    assert sorted(os.listdir(tmp_path)) == names


@pytest.mark.parametrize("content", ['{"notes": 1}', "notes", "[]"])
def test_what_others_wrote_is_not_overwritten(content, network, tmp_path):
    for name in ("notes.json", "data.onnx"):
        (tmp_path / name).write_text(content)
        with pytest.raises(FileError, match=f"{name}: this file exists, and .* did not write it"):
            edaemo.export_onnx(network, (tmp_path / name).with_suffix(".onnx"))
    with pytest.raises(FileError, match=r"notes\.json: this file exists, and edaemo did not write"):
        edaemo.save(network, tmp_path / "notes.json")
    assert sorted(os.listdir(tmp_path)) == ["data.onnx", "notes.json"]
    assert (tmp_path / "notes.json").read_text() == (tmp_path / "data.onnx").read_text() == content


def test_a_failed_export_leaves_no_file(network, tmp_path):
    for name in ("m.onnx", "m.json"):
        folder = tmp_path / name
        folder.mkdir()
        with pytest.raises(FileError, match="cannot be written: it is a folder"):
            edaemo.export_onnx(network, tmp_path / "m.onnx")
        folder.rmdir()
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(os.name == "nt", reason="permissions and links of POSIX")
def test_save_keeps_the_permissions_and_the_link(network, tmp_path):
    (tmp_path / "real").mkdir()
    edaemo.save(network, tmp_path / "real" / "model")
    (tmp_path / "real" / "model").chmod(0o640)
    (tmp_path / "link").symlink_to("real/model")
    before = (tmp_path / "real" / "model").stat().st_mtime_ns
    edaemo.save(network, tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "model").stat().st_mtime_ns > before
    assert (tmp_path / "real" / "model").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("valence", "valence"),
        ("subject+stimulus", "subject+stimulus"),
        ("flat=0,lost_contact_share=0.5", "flat=0,lost_contact_share=0.5"),
        ("größe 2", "größe 2"),
        ("../../x", "%2E.%2F..%2Fx"),
        ("..", "%2E%2E"),
        (".", "%2E"),
        ("", "%"),
        ("a/b\\c", "a%2Fb%5Cc"),
        ("\x1b[2J", "%1B%5B2J"),
        ("100%", "100%25"),
        ("a\udcff", "a%ED%B3%BF"),
    ],
)
def test_a_name_becomes_one_part_of_a_path(name, safe):
    assert safe_name(name) == safe


def test_long_names_stay_different_and_fit_any_file_system():
    names = {safe_name("ä" * 200 + end) for end in "abc"}
    assert len(names) == 3
    assert max(len(name.encode()) for name in names) <= 150


def test_a_target_named_like_a_path_stays_in_the_folder(tmp_path):
    about = ("a", "../../x", "subject", "subject", None, np.nan)
    place = _compare.folder_of(about, tmp_path / "out")
    assert place == tmp_path / "out" / "a" / "%2E.%2F..%2Fx" / "subject"


def recording(path):
    rng = np.random.default_rng(0)
    values = 5 + np.cumsum(rng.normal(size=400) * 0.05)
    path.write_text("eda\n" + "\n".join(map(str, np.round(values, 4))) + "\n")
    return path


def with_names(folder):
    """Recordings with a plain name, a name that is not UTF-8, and an escape sequence."""
    names = [b"plain.csv", b"not-\xff-utf8.csv", b"red-\x1b[31m.csv"]
    return [recording(folder / os.fsdecode(name)) for name in names]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has names that are not UTF-8")
def test_names_that_are_not_text_are_predicted_and_control_no_terminal(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    signals = [pd.read_csv(file)["eda"].to_numpy() for file in with_names(tmp_path / "in")]
    trials = pd.DataFrame({"eda": [signals[0] + 1, *signals[1:]]})
    model = make_pipeline(EDAFeatureExtractor(4, preset="level"), LogisticRegression())
    edaemo.save(model.fit(trials, [0, 1, 1]), tmp_path / "m")
    for out in ([], ["--out", str(tmp_path / "table.csv")]):
        command = ["predict", str(tmp_path / "m"), str(tmp_path / "in"), "--sampling-rate", "4"]
        assert main([*command, *out]) == 0
        printed = capsys.readouterr()
        assert "\x1b" not in printed.out + printed.err
        text = (tmp_path / "table.csv").read_bytes() if out else printed.out.encode()
        files = pd.read_csv(io.BytesIO(text))["file"].map(lambda file: file.rpartition("/")[2])
        assert sorted(files) == ["not-\\udcff-utf8.csv", "plain.csv", "red-\\x1b[31m.csv"]


def test_a_cell_that_is_a_formula_is_text_in_a_table():
    table = pd.DataFrame({"file": ["=HYPERLINK(1)", "a=b", "@x", None], "x": [-1.5, 2, 3, 4]})
    read = pd.read_csv(io.StringIO(to_csv(table)))
    assert read["file"].tolist()[:3] == ["'=HYPERLINK(1)", "a=b", "'@x"]
    assert read["x"].tolist() == [-1.5, 2, 3, 4]


# Damage that no error tells, archives that unpack to gigabytes, lists of thousands of names


def test_a_flipped_bit_in_a_decomposition_never_changes_its_values(tmp_path):
    recording(tmp_path / "a.csv")
    plan = [(tmp_path / "a.csv", tmp_path / "a.parquet")]
    read = partial(read_recording, sampling_rate=4.0)
    (outcome,) = decompose_files(plan, read, method="highpass")
    assert outcome.error is None
    columns = ["eda", "phasic", "tonic"]
    expected, rate = read_columns(tmp_path / "a.parquet", columns)
    content, rng = (tmp_path / "a.parquet").read_bytes(), np.random.default_rng(0)
    n_refused = 0
    for _ in range(60):
        damaged = bytearray(content)
        damaged[rng.integers(len(damaged))] ^= 1 << rng.integers(8)
        (tmp_path / "b.parquet").write_bytes(damaged)
        try:
            found = read_columns(tmp_path / "b.parquet", columns)
        except DatasetError:
            n_refused += 1
            continue
        np.testing.assert_array_equal(found[0], expected)
        assert found[1] == rate
    assert n_refused > 30  # without checksums of the pages it is half of that


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (b"\xff" * 8, "the name in its header is not text"),
        (b"x" * 8, r"File name in directory .* and header .* differ"),
    ],
    ids=["not text", "other name"],
)
def test_a_damaged_name_in_an_archive_is_one_short_error(name, said, tmp_path):
    place = tmp_path / "session.zip"
    with zipfile.ZipFile(place, "w") as archive:
        archive.writestr("EDA.csv", "1500000000\n4\n" + "\n".join(["1.0"] * 400))
        archive.writestr("tags.csv", "1500000010\n" * 3)
    content = bytearray(place.read_bytes())
    header = content.index(b"tags.csv")
    content[header : header + len(name)] = name
    for signature, flags in ((b"PK\x03\x04", 7), (b"PK\x01\x02", 9)):
        content[content.rindex(signature) + flags] |= 0x08  # the name is in UTF-8
    place.write_bytes(content)
    with pytest.raises(DatasetError, match=said) as caught:
        read_events(place)
    assert len(str(caught.value)) < 600


def test_an_archive_that_unpacks_to_gigabytes_is_refused(tmp_path):
    with (
        zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("EDA.csv", "w") as file,
    ):
        for _ in range(300):
            file.write(b"\0" * 2**20)
    assert (tmp_path / "a.zip").stat().st_size < 2**21
    with pytest.raises(DatasetError, match=r"a\.zip is not read: unpacked, .* would have 0\.3 GB"):
        read_recording(tmp_path / "a.zip")


def test_errors_list_some_of_many_columns_and_problems(tmp_path):
    for count, message in ((1000, "and 970 more"), (50_000, "50000 columns, and may have 10000")):
        names = ",".join(f"column{i}" for i in range(count))
        (tmp_path / "wide.csv").write_text(f"{names}\n{','.join('1' * count)}\n")
        with pytest.raises(DatasetError, match=message) as caught:
            read_trials(tmp_path / "wide.csv")
        assert len(str(caught.value)) < 2000
    (tmp_path / "long.csv").write_text("subject,stimulus,file,valence\n" + ",,,\n" * 5000)
    with pytest.raises(DatasetError, match=r"and \d+ more") as caught:
        read_trials(tmp_path / "long.csv")
    assert len(str(caught.value)) < 5000


@pytest.mark.parametrize("text", ["1_000", "1_0.5"])
def test_a_number_with_underscores_is_a_text(text, tmp_path):
    assert read_number(text) is None
    (tmp_path / "a.csv").write_text(f"eda\n1\n{text}\n3\n")
    with pytest.raises(DatasetError, match=f"line 3 does not hold a number: '{text}'"):
        read_recording(tmp_path / "a.csv", sampling_rate=4)


@pytest.mark.parametrize("method", ["cvxeda", "highpass", "bandpass", "median", "smooth"])
@pytest.mark.parametrize(
    "y",
    [np.full(60, 1e300), np.full(60, -1e200), 1e300 * np.sin(np.arange(60.0))],
    ids=["constant", "negative", "sine"],
)
def test_huge_recordings_are_decomposed_without_a_warning(y, method):
    parts = find_decomposition(method).decompose(y, 4.0)
    np.testing.assert_allclose(parts.phasic + parts.tonic + parts.residual, y, rtol=1e-6)


@pytest.mark.parametrize("weight", [0, -1.0, np.inf, np.nan])
def test_a_class_weight_that_is_not_positive_is_one_error(weight):
    X = np.random.default_rng(0).normal(size=(20, 60))
    settings = {"n_chans": 1, "channels": (8, 8, 8, 8), "max_epochs": 1, "random_state": 0}
    model = edaemo.RTCANClassifier(class_weight={0: 1.0, 1: weight}, **settings)
    with pytest.raises(ValueError, match=r"for class .*1.*: it must be a positive finite number"):
        model.fit(X, [0, 1] * 10)


def test_trials_of_another_length_than_those_of_fit_are_told():
    def trials(seconds):
        rng = np.random.default_rng(0)
        signals = [5 + np.cumsum(rng.normal(size=4 * seconds) * 0.05) for _ in range(3)]
        return pd.DataFrame({"eda": pd.Series(signals, dtype=object)})

    extractor = EDAFeatureExtractor(4).fit(trials(25))
    extractor.transform(trials(40))
    for seconds in (75, 10):
        message = rf"row 0 has {seconds} s, but the trials of fit had 25 to 25 s \(3 of 3 trials\)"
        with pytest.warns(UserWarning, match=message):
            extractor.transform(trials(seconds))


@pytest.mark.parametrize("name", ["y" * 5000 + ".csv", "a\0b.csv"])
def test_a_name_that_no_file_can_have_is_one_error(name, tmp_path):
    with pytest.raises(DatasetError, match="cannot be read"):
        read_recording(name)
    table = pd.DataFrame({"subject": ["a"], "stimulus": ["b"], "file": [name], "valence": [4]})
    table.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(DatasetError):
        read_trials(tmp_path / "t.csv")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without pipes")
def test_a_pipe_is_not_read_as_a_recording(tmp_path):
    os.mkfifo(tmp_path / "a.csv")
    with pytest.raises(DatasetError, match=r"a\.csv: this is a device or a pipe"):
        read_recording(tmp_path / "a.csv")


@pytest.mark.parametrize("bits", [-3, 0, 10**9])
def test_a_converter_that_does_not_exist_is_one_error(bits):
    with pytest.raises(ValueError, match="bits, which does not exist"):
        to_microsiemens(np.array([1.0, 2.0]), "adc", device="bitalino_rev", bits=bits)


@pytest.mark.parametrize("shape", [b"(07,)", b"(7", b"(" * 500, b"('a',)"])
def test_a_wrong_header_of_an_array_is_refused(shape, saved, tmp_path):
    def change(members):
        name = next(name for name in members if name.endswith(".npy"))
        header = b"{'descr': '<f8', 'fortran_order': False, 'shape': " + shape + b"}\n"
        members[name] = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header

    assert "edaemo did not write this file" in refused(tmp_path / "m", edit_part(saved, change))


def test_a_text_whose_lines_end_in_different_ways_is_one_error(tmp_path):
    path = tmp_path / "mixed.csv"
    rows = "".join(f"{i / 4},{5 + i / 100},a\r" for i in range(80))
    path.write_bytes(b"eda\n" + b"5.0\n" * 140 + b",a\r" + rows.encode())
    with pytest.raises(DatasetError, match=r"mixed\.csv: "):
        read_recording(path, sampling_rate=4)


def test_a_long_name_of_a_column_is_not_repeated_in_an_error(tmp_path):
    table = tmp_path / "trials.csv"
    table.write_text(f"subject,file,stimulus{'9' * 6000},valence\np1,a.csv,s,3\n")
    with pytest.raises(DatasetError, match="lacks the columns") as caught:
        read_trials(table)
    assert len(str(caught.value)) < 1000
