"""The node's cache: bounded, each file fetched and verified once, whoever dies meanwhile."""

import hashlib
import multiprocessing
import os
import subprocess
import sys
import threading
import time

import pytest

from components.faults import Fault
from components.shards.cache import local_shard
from components.storage import remote
from components.storage.node_cache import Damaged, local_copy, open_copy


def put(root, name, size=100_000):
    """A random object: its address, sha256 and size."""
    data = os.urandom(size)
    remote.write(root / name, data)
    return root / name, hashlib.sha256(data).hexdigest(), size


def kept(cache):
    return {path.name for path in cache.iterdir() if not path.name.startswith(".")}


def test_a_shard_arrives_whole_after_a_503_and_a_cut_and_is_fetched_once(root, proxy, cache, monkeypatch):
    monkeypatch.setattr("components.storage.node_cache._RANGE", 40_000)
    location, sha256, size = put(root, "a.tar")
    proxy.trouble("GET", "a.tar", status=503)
    proxy.trouble("GET", "a.tar", after=12_345)
    for _ in range(3):
        path = local_shard(location, sha256, size)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    ranges = [request.range for request in proxy.asked("GET", "a.tar")]
    # The 503 and the cut each cost one more request for the first 40,000 bytes, and nothing else.
    assert ranges == ["bytes=0-39999"] * 3 + ["bytes=40000-79999", "bytes=80000-99999"]
    assert not proxy.asked("HEAD")


def test_a_local_shard_is_checked_where_it_lies(tmp_path, cache):
    path = tmp_path / "a.tar"
    path.write_bytes(b"abc")
    digest = hashlib.sha256(b"abc").hexdigest()
    assert local_shard(path, digest, 3) == path
    path.write_bytes(b"abd")
    with pytest.raises(Fault, match=r"a\.tar: bytes 0-3 do not have the sha256"):
        local_shard(path, digest, 3)
    assert not cache.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: b"X" + data[1:], "bytes 0-100000 do not have the sha256 of the manifest"),
        (lambda data: data[:-1], "has bytes 0-99999, the manifest says 0-100000"),
        (None, "not found, though a manifest names it"),
    ],
)
def test_an_object_that_is_not_the_manifests_is_refused_by_name_and_not_kept(root, cache, change, message):
    location, sha256, size = put(root, "a.tar")
    if change is None:
        remote.remove(location)
    else:
        remote.write(location, change(remote.read(location)))
    for _ in range(2):
        with pytest.raises(Damaged, match=f"{location}: {message}"):
            local_copy(location, sha256, size)
    assert kept(cache) == set()


def test_the_bound_holds_and_what_was_used_longest_ago_goes(root, cache, monkeypatch):
    monkeypatch.setenv("PIX2PIPE_CACHE_GB", "0.00025")
    a, b, c = (put(root, f"{name}.tar") for name in "abc")
    first = open_copy(*a)
    local_copy(*b)
    time.sleep(0.01)
    local_copy(*a)
    local_copy(*c)  # b goes: a was used after it
    assert kept(cache) == {a[1], c[1]}
    local_copy(*b)
    assert kept(cache) == {b[1], c[1]}
    with os.fdopen(first, "rb") as file:  # a is still readable for him who has it open
        assert hashlib.sha256(file.read()).hexdigest() == a[1]
    big = put(root, "big.tar", 250_001)
    with pytest.raises(Fault, match=r"big\.tar: has 250,001 bytes, more than the cache .*; raise PIX2PIPE_CACHE_GB"):
        local_copy(*big)
    for bad in ("many", "0", "-1", "nan"):
        monkeypatch.setenv("PIX2PIPE_CACHE_GB", bad)
        with pytest.raises(Fault, match=f"PIX2PIPE_CACHE_GB={bad}: not a number of gigabytes above 0"):
            local_copy(*big)


def test_processes_and_threads_fetch_a_shard_once(root, proxy, cache):
    location, sha256, size = put(root, "a.tar")
    proxy.trouble("GET", "a.tar", delay=1.0)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        others = pool.starmap_async(local_copy, [(location, sha256, size)] * 2, chunksize=1)
        threads = [threading.Thread(target=local_copy, args=(location, sha256, size)) for _ in range(3)]
        for thread in threads:
            thread.start()
        paths = set(others.get(timeout=120))
        for thread in threads:
            thread.join()
    assert paths == {cache / sha256}
    assert len(proxy.asked("GET", "a.tar")) == 1


def test_the_bound_holds_while_many_fetch(root, cache, monkeypatch):
    """Six threads want five shards where there is room for two: each gets what it wants, the bound is never passed."""
    monkeypatch.setenv("PIX2PIPE_CACHE_GB", "0.0002")
    shards = [put(root, f"{i}.tar") for i in range(5)]
    wrong, most = [], 0

    def use(order):
        for i in order:
            with os.fdopen(open_copy(*shards[i]), "rb") as file:
                if hashlib.sha256(file.read()).hexdigest() != shards[i][1]:
                    wrong.append(i)

    threads = [threading.Thread(target=use, args=([(start + i) % 5 for i in range(5)],)) for start in range(6)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        sizes = []
        for path in list(cache.glob("*")):
            try:
                sizes.append(path.stat().st_size)
            except FileNotFoundError:
                sizes = []
                break
        most = max(most, sum(sizes))
        time.sleep(0.002)
    assert not wrong
    assert 100_000 <= most <= 200_000
    assert len(kept(cache)) == 2


def test_a_killed_fetch_blocks_nobody_and_its_room_is_taken_back(root, proxy, cache, monkeypatch):
    a, b = put(root, "a.tar"), put(root, "b.tar")
    proxy.trouble("GET", "a.tar", delay=600)
    code = (
        "from components.storage.home import located; from components.storage.node_cache import local_copy; "
        f"local_copy(located('{a[0]}'), '{a[1]}', {a[2]})"
    )
    fetching = subprocess.Popen([sys.executable, "-c", code])
    while not proxy.asked("GET", "a.tar"):
        assert fetching.poll() is None
        time.sleep(0.02)
    waiting = threading.Thread(target=local_copy, args=a)
    waiting.start()
    time.sleep(0.3)
    assert waiting.is_alive()
    fetching.kill()
    fetching.wait()
    waiting.join(timeout=60)
    assert kept(cache) == {a[1]}
    (cache / f"{'0' * 64}.partial").write_bytes(bytes(100_000))  # of another that died
    monkeypatch.setenv("PIX2PIPE_CACHE_GB", "0.0002")
    local_copy(*b)
    assert kept(cache) == {a[1], b[1]}
