"""Temporary folders are gone when their processes are, however these ended, and nobody else's are touched."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from components.faults import Fault
from components.storage import scratch as module
from components.storage.scratch import scratch, scratch_root

HOLD = """
from components.storage.scratch import scratch
with scratch() as s:
    (s / "x").write_text("x")
    print(s, flush=True)
    input()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary ones of this test alone."""
    monkeypatch.setattr(module.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(module, "_LONGEST", 500)
    return scratch_root()


def test_a_folder_is_empty_and_gone_afterwards(temporary):
    with scratch() as first, scratch() as second:
        assert first != second
        assert not any(first.iterdir())
        (first / "x").write_text("x")
    assert list(temporary.iterdir()) == []


def test_what_a_killed_process_left_is_swept_and_what_is_in_use_is_not(temporary, tmp_path):
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    code = HOLD.replace("with scratch", "import components.storage.scratch as m; m._LONGEST = 500\nwith scratch")
    holders = [
        subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        for _ in range(2)
    ]
    dead, alive = (Path(holder.stdout.readline().strip()) for holder in holders)
    holders[0].send_signal(signal.SIGKILL)
    holders[0].wait()
    mine = tmp_path / "mine"
    mine.mkdir()
    with scratch():
        assert not dead.parent.exists()
        assert (alive / "x").exists()
    holders[1].communicate("\n", timeout=30)
    for holder in holders:
        holder.stdin.close()
        holder.stdout.close()
    assert list(temporary.iterdir()) == []
    assert mine.is_dir()


def test_a_folder_whose_lock_is_not_made_yet_is_left_for_a_minute(temporary):
    young, old = temporary / "young", temporary / "old"
    for folder in (young, old):
        folder.mkdir()
    os.utime(old, (time.time() - 100,) * 2)
    with scratch():
        assert young.exists()
        assert not old.exists()


def test_a_long_temporary_folder_is_not_taken(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "_LONGEST", 26)
    monkeypatch.setattr(module.tempfile, "tempdir", str(tmp_path / ("x" * 60)))
    assert scratch_root() == Path(f"/tmp/pix2pipe-{os.getuid()}")


def test_a_machine_without_a_temporary_folder_is_a_fault(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/proc/none"])
    with pytest.raises(Fault, match="TMPDIR"):
        scratch_root()
