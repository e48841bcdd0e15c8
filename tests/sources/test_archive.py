"""Archives and downloads: nothing lands outside, nothing stays half-written, nothing is taken unchecked."""

import hashlib
import http.server
import io
import tarfile
import threading
import zipfile

import numpy as np
import pytest
from PIL import Image

from components.faults import Fault
from components.sources import archive, download
from components.sources.archive import unpack
from components.sources.download import download as fetch_file
from components.sources.folder import FolderConfig, fetch_folder
from components.sources.formats import EXTENSIONS

PNG = io.BytesIO()
Image.fromarray(np.random.default_rng(0).integers(0, 255, (20, 40, 3)).astype(np.uint8)).save(PNG, "PNG")
NAMES = [f"set/train/{i}.png" for i in range(6)]


def make(path, names=NAMES, data=None):
    """An archive of the kind its name says, with a picture under each name."""
    data = PNG.getvalue() if data is None else data
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as file:
            for name in names:
                file.writestr(name, data)
        return path
    with tarfile.open(path, f"w:{path.suffix[1:].replace('tgz', 'gz')}" if path.suffix != ".tar" else "w") as file:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return path


def take(path, tmp_path, max_bytes=10**7):
    target = tmp_path / "out"
    target.mkdir(exist_ok=True)
    unpack(path, target, EXTENSIONS, max_bytes)
    return sorted(found.relative_to(target).as_posix() for found in target.rglob("*") if found.is_file())


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2"])
def test_pictures_come_out_and_nothing_else(tmp_path, suffix):
    path = make(tmp_path / f"x{suffix}", [*NAMES, "set/readme.txt", "set/.hidden.png"])
    assert take(path, tmp_path) == NAMES
    assert (tmp_path / "out" / NAMES[2]).read_bytes() == PNG.getvalue()


@pytest.mark.parametrize("suffix", [".zip", ".tar"])
@pytest.mark.parametrize("name", ["../evil.png", "/evil.png", "a/../../evil.png", "C:/evil.png", "..\\evil.png"])
def test_no_member_lands_outside(tmp_path, suffix, name):
    path = make(tmp_path / f"x{suffix}", [name])
    with pytest.raises(Fault, match=r"would land outside"):
        take(path, tmp_path)
    assert not list(tmp_path.rglob("evil.png"))


def test_links_are_refused(tmp_path):
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE):
        with tarfile.open(tmp_path / "x.tar", "w") as file:
            info = tarfile.TarInfo("a.png")
            info.type, info.linkname = kind, "/etc/passwd"
            file.addfile(info)
        with pytest.raises(Fault, match=r"'a.png' is a link or a device"):
            take(tmp_path / "x.tar", tmp_path)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        entry = zipfile.ZipInfo("a.png")
        entry.external_attr = 0o120777 << 16
        file.writestr(entry, "/etc/passwd")
    with pytest.raises(Fault, match="is a link"):
        take(tmp_path / "x.zip", tmp_path)


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz", ".tar.xz", ".tar.bz2"])
def test_every_cut_is_noticed_and_leaves_nothing(tmp_path, suffix):
    path = make(tmp_path / f"x{suffix}")
    data = path.read_bytes()
    member = 512 + -(-len(PNG.getvalue()) // 512) * 512
    ends = {len(data) * i // 7 for i in range(7)}
    if suffix == ".tar":
        data = data[: 6 * member + 1024]
        ends = {0, 100, member, member + 100, member + 512, 3 * member, 6 * member, 6 * member + 512}
    for end in ends:
        path.write_bytes(data[:end])
        with pytest.raises(Fault, match=r"broken or truncated archive|holds no pictures"):
            fetch_folder(FolderConfig(name="folder", path=str(path)), tmp_path / "raw", tmp_path / "cache")
        assert not list((tmp_path / "raw").iterdir())


def test_bounds(tmp_path, monkeypatch):
    path = make(tmp_path / "x.zip")
    with pytest.raises(Fault, match=r"unpacks to more than fetch.max_gigabytes at 'set/train/1.png'"):
        take(path, tmp_path, max_bytes=len(PNG.getvalue()) + 10)
    monkeypatch.setattr(archive, "MAX_MEMBERS", 3)
    with pytest.raises(Fault, match="members"):
        unpack(path, tmp_path / "other", EXTENSIONS, 10**7)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_the_same_place_twice_is_refused(tmp_path):
    with pytest.raises(Fault, match="two members would be the same file"):
        take(make(tmp_path / "x.zip", ["a.png", "a.png"]), tmp_path)
    with pytest.raises(Fault, match="two members would be the same file"):
        take(make(tmp_path / "x.tar", ["b.png", "b.png/c.png"]), tmp_path)


def test_wrong_hash_and_wrong_kind_of_local_archive(tmp_path):
    path = make(tmp_path / "x.zip")
    with pytest.raises(Fault, match=r"x.zip: its sha256 is [0-9a-f]{64}, fetch.sha256 says 000"):
        fetch_folder(FolderConfig(name="folder", path=str(path), sha256="0" * 64), tmp_path / "raw", tmp_path)
    other = path.rename(tmp_path / "x.rar")
    with pytest.raises(Fault, match="is not an archive"):
        fetch_folder(FolderConfig(name="folder", path=str(other)), tmp_path / "raw", tmp_path)


class Server:
    """Serves one file; breaks off after `limit` bytes; knows ranges or not."""

    def __init__(self, data, limit=10**9, ranges=True, status=None):
        self.requests = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked = self.headers.get("Range")
                outer.requests.append(asked)
                start = int(asked[6:-1]) if asked and ranges else 0
                self.send_response(status or (206 if start else 200))
                self.send_header("Content-Length", str(len(data) - start))
                self.end_headers()
                self.wfile.write(data[start : start + limit])

            def log_message(self, *_):
                pass

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/set/x.zip"

    def __enter__(self):
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


DATA = bytes(np.random.default_rng(1).integers(0, 256, 10_000, dtype=np.uint8))
SHA = hashlib.sha256(DATA).hexdigest()


def test_download_goes_on_where_it_broke_off(tmp_path):
    with Server(DATA, limit=4000) as server:
        path = fetch_file(server.url, SHA, tmp_path, 10**6, wait=0.01)
        assert path.read_bytes() == DATA
        assert server.requests == [None, "bytes=4000-", "bytes=8000-"]
        assert fetch_file(server.url, SHA, tmp_path, 10**6) == path
        assert len(server.requests) == 3
    assert list(tmp_path.iterdir()) == [path]


def test_a_later_run_goes_on_too(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "_ATTEMPTS", 1)
    with Server(DATA, limit=6000) as server:
        with pytest.raises(Fault, match=r"ended after 6,000 of 10,000 bytes; run again to go on from 6,000"):
            fetch_file(server.url, SHA, tmp_path, 10**6)
        assert fetch_file(server.url, SHA, tmp_path, 10**6).read_bytes() == DATA


def test_a_server_without_ranges_starts_again(tmp_path):
    (tmp_path / f"{SHA[:16]}-x.zip.part").write_bytes(b"old")
    with Server(DATA, ranges=False) as server:
        assert fetch_file(server.url, SHA, tmp_path, 10**6).read_bytes() == DATA


def test_downloads_that_are_refused(tmp_path):
    with Server(DATA) as server:
        with pytest.raises(Fault, match=r"its sha256 is .* nothing was kept"):
            fetch_file(server.url, "0" * 64, tmp_path, 10**6)
        assert not list(tmp_path.iterdir())
        with pytest.raises(Fault, match="more than 5,000 bytes"):
            fetch_file(server.url, SHA, tmp_path, 5000)
    with Server(DATA, status=404) as server, pytest.raises(Fault, match="the server answers 404"):
        fetch_file(server.url, SHA, tmp_path, 10**6)
    for url in ("http://example.org/x.zip", "ftp://example.org/x.zip", "file:///etc/passwd"):
        with pytest.raises(Fault, match="is not https"):
            fetch_file(url, SHA, tmp_path, 10**6)
