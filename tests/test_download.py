"""Corpora are downloaded on request only, from a server on this machine here, and checked."""

import dataclasses
import hashlib
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.parse import unquote

import pooch
import pytest
from test_datasets import HKU_ZIP, STRESS_ZIP, assert_same, original

from edaemo.datasets import (
    CORPORA,
    DatasetError,
    _corpus,
    _induced_stress,
    _oxazepam_scr,
    load_induced_stress,
    load_oxazepam_scr,
    load_stress_predict,
)
from edaemo.datasets._download import Download, download_corpus

FILES = {"a file.csv": b"1\n2\n", "folder/b.csv": b"3\n" * 5000, "c.csv": b"4\n"}
HOW = "Ask the authors."


class Server:
    """A server of files whose first answers for a path can be wrong."""

    def __init__(self, files):
        self.files, self.requests, self.broken = dict(files), [], {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                name = unquote(self.path.removeprefix("/v1/"))
                outer.requests.append(name)
                content = outer.files.get(name)
                failures = outer.broken.get(name, [])
                kind = failures.pop(0) if failures else ""
                if content is None or kind == "status":
                    self.send_error(404 if content is None else 503)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: len(content) // 2] if kind == "cut" else content)

            def log_message(self, *arguments):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1/"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def serve():
    servers = []

    def start(files):
        servers.append(Server(files))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache of the user, no other place with corpora, and no wait before a retry."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("EDAEMO_DATA", raising=False)
    monkeypatch.setattr(_corpus, "REPOSITORY_DATA", None)
    monkeypatch.setattr(pooch.core, "time", SimpleNamespace(sleep=lambda seconds: None))
    return tmp_path / "cache" / "edaemo"


@pytest.fixture
def sums(tmp_path):
    lines = [f"{digest}  {name}\n" for name, digest in sums_of(FILES).items()]
    (tmp_path / "sums").write_text("".join(lines))
    return tmp_path / "sums"


def fetch(url, sums):
    return download_corpus(Download(url, sums), "Small", "small", HOW)


def content_of(folder):
    files = (file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def read_archive(archive):
    with zipfile.ZipFile(archive) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def sums_of(files):
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


# ---------------------------------------------------------------- the corpora


def test_a_downloaded_corpus_is_the_bundled_one_and_is_downloaded_once(serve, monkeypatch):
    server = serve(read_archive(STRESS_ZIP))
    spec = _induced_stress.SPEC
    download = dataclasses.replace(spec.download, url=server.url)
    monkeypatch.setattr(_induced_stress, "SPEC", dataclasses.replace(spec, download=download))
    study = load_induced_stress(download=True)
    assert_same(study, load_induced_stress(STRESS_ZIP))
    assert sorted(server.requests) == sorted(server.files)
    assert_same(load_induced_stress(download=True), study)
    assert_same(load_induced_stress(), study)
    assert len(server.requests) == len(server.files)


def test_the_table_of_responses_is_downloaded(serve, monkeypatch):
    table = original("oxazepam_scr") / "SCR.csv"
    server = serve({"SCR.csv": table.read_bytes()})
    download = dataclasses.replace(_oxazepam_scr.DOWNLOAD, url=server.url)
    monkeypatch.setattr(_oxazepam_scr, "DOWNLOAD", download)
    found = load_oxazepam_scr(download=True)
    assert found.equals(load_oxazepam_scr(table.parent))
    assert found.equals(load_oxazepam_scr())


@pytest.mark.parametrize("load", [load_induced_stress, load_stress_predict, load_oxazepam_scr])
def test_nothing_is_downloaded_unasked(load, cache, monkeypatch):
    def connect(*arguments, **named):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr("socket.socket.connect", connect)
    with pytest.raises(DatasetError, match=r"(?s)was not found.*Or pass download=True\.$"):
        load()
    assert not cache.exists()


@pytest.mark.parametrize("load", [load_induced_stress, load_oxazepam_scr])
def test_a_path_and_a_download_are_an_error(load, tmp_path):
    with pytest.raises(ValueError, match="cannot be used with path="):
        load(tmp_path, download=True)


def test_the_expected_sums_are_those_of_the_bundled_originals():
    for spec, archive in [(CORPORA["hku956"], HKU_ZIP), (CORPORA["induced-stress"], STRESS_ZIP)]:
        assert spec.download.read_sums() == sums_of(read_archive(archive))


def test_stress_predict_is_downloaded_as_the_authors_publish_it():
    """Two kinds of files have other names in the copy next to this checkout."""
    published = {}
    for name, content in content_of(original("stress_predict")).items():
        person, _, file = name.rpartition("/")
        if file == "time.xlsx":
            published["Processed_data/Time_logs.xlsx"] = content
        elif file == "EDA.csv":
            published[f"Raw_data/{name}"] = content
        elif file == "tags.csv":
            published[f"Raw_data/{person}/tags_{person}.csv"] = content
    assert CORPORA["stress-predict"].download.read_sums() == sums_of(published)


# ---------------------------------------------------------------- a transfer


def test_all_files_arrive_under_their_names(serve, sums, cache):
    folder = fetch(serve(FILES).url, sums)
    assert folder == cache / "small"
    assert content_of(folder) == FILES


@pytest.mark.parametrize("kind", ["cut", "status"])
def test_a_broken_transfer_is_tried_again(kind, serve, sums):
    server = serve(FILES)
    server.broken = {"folder/b.csv": [kind, kind]}
    assert content_of(fetch(server.url, sums)) == FILES
    assert server.requests.count("folder/b.csv") == 3


@pytest.mark.parametrize("kind", ["cut", "status"])
def test_a_transfer_that_stays_broken_is_one_error(kind, serve, sums, cache):
    server = serve(FILES)
    server.broken = {"folder/b.csv": [kind] * 100}
    with pytest.raises(DatasetError, match=r"^Small: http.*/b\.csv cannot be downloaded") as e:
        fetch(server.url, sums)
    assert HOW in str(e.value)
    assert ("the server answered 503" in str(e.value)) == (kind == "status")
    assert not (cache / "small").exists()


def test_a_wrong_content_is_an_error_and_is_not_kept(serve, sums, cache):
    server = serve({**FILES, "c.csv": b"5\n"})
    with pytest.raises(DatasetError, match=r"^Small: http.*/c\.csv has another content than expec"):
        fetch(server.url, sums)
    assert not (cache / "small").exists()
    assert b"5\n" not in content_of(cache).values()


def test_the_next_call_continues_with_the_missing_files(serve, sums):
    first = serve({**FILES, "c.csv": b"5\n"})
    with pytest.raises(DatasetError):
        fetch(first.url, sums)
    second = serve(FILES)
    assert content_of(fetch(second.url, sums)) == FILES
    assert second.requests == ["c.csv"]


def test_a_missing_file_is_an_error(serve, sums):
    server = serve({name: FILES[name] for name in ("a file.csv", "c.csv")})
    with pytest.raises(
        DatasetError, match=r"/b\.csv cannot be downloaded: the server answered 404"
    ):
        fetch(server.url, sums)


def test_no_connection_is_one_error(serve, sums):
    server = serve(FILES)
    server.close()
    with pytest.raises(DatasetError, match=r"^Small: http.* cannot be downloaded: .*refused"):
        fetch(server.url, sums)


def test_without_pooch_the_error_names_the_extra(serve, sums, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(DatasetError, match=r"needs pooch: pip install edaemo\[download\]"):
        fetch(serve(FILES).url, sums)


def test_a_cache_that_cannot_be_written_is_an_error(serve, sums, cache):
    cache.parent.mkdir()
    cache.write_text("a file")
    with pytest.raises(DatasetError, match=r"^Small cannot be stored in "):
        fetch(serve(FILES).url, sums)
