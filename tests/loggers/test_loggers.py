"""The examples of docs/loggers.md, run as they stand: what the loggers wrote is read back.

``make test-loggers`` runs these tests in an environment of their own.
"""

import base64
import hashlib
import json
import re
import struct
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "loggers.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE))
# Warnings of the data, and of libraries that are not ours.
pytestmark = pytest.mark.filterwarnings("default")


def find_blocks(text: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    """The names that the first example of the page defines."""
    names: dict[str, Any] = {}
    exec(find_blocks(PAGE)[0], names)
    return names


@pytest.fixture
def names(data, tmp_path, monkeypatch) -> dict[str, Any]:
    """These names, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return dict(data)


def read_scalars(folder: Path) -> dict[str, list[float]]:
    """Return the scalars of an event file, as TensorBoard reads them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder)).Reload()
    return {tag: [e.value for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_tensorboard_reads_the_losses_of_a_fit(names):
    exec(find_blocks(EXAMPLES["TensorBoard"])[0], names)
    scalars = read_scalars(Path("runs/rtcan"))
    history = names["model"].net_.history
    for tag, name in (("Loss/train_loss", "train_loss"), ("Loss/valid_loss", "valid_loss")):
        assert len(scalars[tag]) == 4
        np.testing.assert_allclose(scalars[tag], history[:, name], rtol=1e-6)


def test_tensorboard_reads_the_losses_of_each_fold(names, monkeypatch):
    _, module, example = find_blocks(EXAMPLES["TensorBoard"])
    Path("fold_board.py").write_text(module)
    monkeypatch.syspath_prepend(Path.cwd())
    try:
        exec(example, names)
    finally:
        sys.modules.pop("fold_board", None)
    from edaemo.benchmark import ResultStore

    with ResultStore("s.sqlite") as store:
        folds = store.folds()
    stored = [
        audit["losses"]["train_loss"] for audit in folds.loc[folds["pipeline"] == "mine", "audit"]
    ]
    written = [read_scalars(folder)["train_loss"] for folder in Path("runs").iterdir()]
    assert len(stored) == len(written) == 2
    np.testing.assert_allclose(sorted(written), sorted(stored), rtol=1e-6)


def test_wandb_writes_the_losses_without_a_network(names, monkeypatch):
    monkeypatch.setenv("WANDB_SILENT", "true")
    exec(find_blocks(EXAMPLES["Weights & Biases"])[0], names)
    names["wandb"].teardown()  # its process writes the end of the file
    (file,) = Path("wandb").glob("offline-run-*/*.wandb")
    losses = read_wandb(file)
    np.testing.assert_allclose(losses, names["model"].net_.history[:, "train_loss"], rtol=1e-6)


def read_wandb(file: Path) -> list[float]:
    """Return the losses in the records of an offline run."""
    from wandb.proto.wandb_internal_pb2 import Record

    losses = []
    for content in read_log(file.read_bytes()):
        record = Record()
        record.ParseFromString(content)
        for item in record.history.item:
            if "train_loss" in (item.key, *item.nested_key):
                losses.append(json.loads(item.value_json))
    return losses


def read_log(content: bytes) -> Iterator[bytes]:
    """Yield the records of a log in the format of LevelDB, after seven bytes of W&B."""
    place, record, size = 7, b"", 32768  # of a block
    while place < len(content):
        if size - place % size < 7:  # too small for a header
            place += size - place % size
            continue
        _checksum, length, kind = struct.unpack_from("<IHB", content, place)
        record += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield record
            record = b""


def test_mlflow_reads_the_losses_and_the_parameters(names):
    exec(find_blocks(EXAMPLES["MLflow"])[0], names)
    from mlflow.tracking import MlflowClient

    client = MlflowClient("sqlite:///mlflow.sqlite")
    run = client.get_run(names["run"].info.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"max_epochs": "4", "random_state": "0"}
    for name in ("train_loss", "valid_loss"):
        points = client.get_metric_history(run.info.run_id, name)
        assert [point.step for point in points] == [1, 2, 3, 4]
        values = [point.value for point in points]
        np.testing.assert_allclose(values, names["model"].net_.history[:, name])


def test_optuna_prunes_a_trial_that_is_behind(names):
    exec(find_blocks(EXAMPLES["Optuna, with pruning"])[0], names)
    trials = names["search"].trials
    assert len(trials) == 5
    states = [trial.state.name for trial in trials]
    assert states[:2] == ["COMPLETE", "PRUNED"]
    assert set(states) == {"COMPLETE", "PRUNED"}
    # The median of one earlier trial is its best loss up to this epoch.
    epoch, loss = list(trials[1].intermediate_values.items())[-1]
    assert loss > trials[0].intermediate_values[epoch]
    assert len(trials[0].intermediate_values) == 4 > len(trials[1].intermediate_values)
    assert names["search"].best_value == min(
        trial.value for trial in trials if trial.state.name == "COMPLETE"
    )


class Hub(BaseHTTPRequestHandler):
    """The end points of the Hub that upload and download one small file: its documented API."""

    files: ClassVar[dict[str, bytes]] = {}
    commit = "0" * 40
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: object) -> None:
        """Print nothing."""

    def answer(self, status: int, content: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def answer_json(self, **content: object) -> None:
        self.answer(200, json.dumps(content).encode(), Content_Type="application/json")

    def do_POST(self) -> None:
        body = self.read_body()
        if self.path == "/api/repos/create":
            self.answer_json(url="http://127.0.0.1/me/rtcan", name="me/rtcan", id="me/rtcan")
        elif "/preupload/" in self.path:
            asked = json.loads(body)["files"]
            kept = {"uploadMode": "regular", "shouldIgnore": False}
            self.answer_json(files=[{"path": file["path"], **kept} for file in asked])
        elif "/commit/" in self.path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    value = line["value"]
                    self.files[value["path"]] = base64.b64decode(value["content"])
            address = "http://127.0.0.1/me/rtcan/commit/0"
            self.answer_json(success=True, commitOid=self.commit, commitUrl=address)
        else:
            self.answer(404, b"")

    def read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def do_GET(self) -> None:
        found = re.fullmatch(r"/me/rtcan/resolve/[^/]+/(.+)", self.path)
        if found and found[1] in self.files:
            content = self.files[found[1]]
            tag = f'"{hashlib.sha1(content).hexdigest()}"'
            self.answer(200, content, ETag=tag, X_Repo_Commit=self.commit)
        elif self.path.startswith("/api/models/me/rtcan"):
            siblings = [{"rfilename": name} for name in self.files]
            self.answer_json(id="me/rtcan", sha=self.commit, siblings=siblings)
        else:
            self.answer(404, b"", X_Error_Code="EntryNotFound")

    do_HEAD = do_GET


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Iterator[type[Hub]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    # huggingface_hub reads these when it is imported.
    assert not [name for name in sys.modules if name.startswith("huggingface_hub")]
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_TOKEN", "hf_test")
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    try:
        yield Hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_signed_model_goes_to_the_hub_and_back(names, hub):
    exec(find_blocks(EXAMPLES["Hugging Face Hub"])[0], names)
    assert hub.files["model.edaemo"] == Path("model.edaemo").read_bytes()
    assert Path(names["path"]).read_bytes() == hub.files["model.edaemo"]
    assert Path(names["path"]) != Path("model.edaemo")
    X = names["X"]
    np.testing.assert_array_equal(names["loaded"].predict_proba(X), names["model"].predict_proba(X))
    # A file that somebody else put there is refused.
    import edaemo

    other = names["Ed25519PrivateKey"].generate()
    edaemo.save(names["model"], "model.edaemo", key=other)
    names["api"].upload_file(
        path_or_fileobj="model.edaemo", path_in_repo="other.edaemo", repo_id="me/rtcan"
    )
    path = names["hf_hub_download"]("me/rtcan", "other.edaemo")
    with pytest.raises(ValueError, match="signed"):
        edaemo.load(path, trusted_keys=[names["key"].public_key()])
