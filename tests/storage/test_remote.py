"""Objects are whole or not there, whatever the network does; a store that stays away is one line."""

import os
import subprocess
import sys
import time

import pytest

from components.faults import Fault
from components.storage import remote
from components.storage.files import (
    atomic_path,
    exists,
    listed,
    put_file,
    read_json,
    read_range,
    remove,
    remove_folder,
    sha256_file,
    write_json,
    write_text,
)
from components.storage.home import located


def test_files_of_a_root_behave_as_files_of_a_disk(root, tmp_path):
    (tmp_path / "local.txt").write_text("0123456789")
    for folder in (root, tmp_path / "folder"):
        write_json(folder / "a/b.json", {"x": [1]})
        write_text(folder / "a/c.txt", "0123456789")
        assert read_json(folder / "a/b.json") == {"x": [1]}
        assert read_range(folder / "a/c.txt", 2, 5) == b"234"
        assert read_range(folder / "a/c.txt", 8, 50) == b"89"
        assert listed(folder / "a") == {"b.json": 23, "c.txt": 10}
        assert sha256_file(folder / "a/c.txt").startswith("84d89877")
        put_file(tmp_path / "local.txt", folder / "d.txt")
        assert exists(folder / "d.txt")
        remove(folder / "d.txt")
        remove(folder / "d.txt")
        assert not exists(folder / "d.txt")
        with pytest.raises(ZeroDivisionError), atomic_path(folder / "e.txt") as temporary:
            temporary.write_text(f"half {1 / 0}")
        assert not exists(folder / "e.txt")
        with pytest.raises(Fault, match=r"e\.txt: not found; run the stage that writes it"):
            read_json(folder / "e.txt")
        remove_folder(folder / "a")
        assert listed(folder / "a") == {}


def test_another_fsspec_root_is_one_too(tmp_path):
    folder = located("memory://elsewhere/x")
    write_json(folder / "a/b.json", {"x": 1})
    assert read_json(folder / "a/b.json") == {"x": 1}
    assert listed(folder) == {"a/b.json": 13}
    remove_folder(folder)
    assert listed(folder) == {}


@pytest.mark.parametrize("trouble", [{"status": 503}, {"status": 500}, {"after": 700}, {"after": 0}])
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_fault_that_passes_costs_one_more_request(root, proxy, method, trouble):
    data = os.urandom(2000)
    if method == "GET":
        remote.write(root / "object", data)
    proxy.trouble(method, "object", **trouble)
    if method == "PUT":
        remote.write(root / "object", data)
        assert len(proxy.asked("PUT", "object")) == 2
    assert remote.read(root / "object", 0, 2000) == data
    assert len(proxy.asked("GET", "object")) == (2 if method == "GET" else 1)


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_fault_that_stays_is_one_line_that_names_the_object(root, proxy, monkeypatch, method):
    """The clients' own patience is cut short here, to one try each; what is left is ours: three tries."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(remote, "_PAUSES_S", (0.1, 0.2))
    impatient = type(root)(str(root), skip_instance_cache=True)
    impatient.fs.retries = 1
    proxy.trouble(method, "object", times=10**6, status=503)
    began = time.perf_counter()
    with pytest.raises(Fault) as caught:
        remote.read(impatient / "object", 0, 9) if method == "GET" else remote.write(impatient / "object", b"x")
    assert time.perf_counter() - began < 20
    assert str(caught.value) == f"{root}/object: Reduce your request rate.; see that the store answers and run again"
    assert len(proxy.asked(method, "object")) == 3


def test_a_kill_during_an_upload_leaves_the_old_object(root, proxy):
    write_text(root / "log", "old")
    proxy.trouble("PUT", "log", times=10**6, delay=30)
    code = "from components.storage.home import located; from components.storage.files import write_text; " + (
        f"write_text(located('{root}') / 'log', 'n' * 10**6)"
    )
    writer = subprocess.Popen([sys.executable, "-c", code])
    while len(proxy.asked("PUT", "log")) < 2:
        assert writer.poll() is None
        time.sleep(0.02)
    writer.kill()
    writer.wait()
    assert remote.read(root / "log") == b"old"
