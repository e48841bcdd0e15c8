"""Files are whole or not there, and a disk that refuses is said in one line."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from components.faults import Fault
from components.storage.files import atomic_folder, atomic_path, faults_of_the_disk, read_json, sha256_json, write_json
from components.training import log

FULL = Path("/dev/full")


def test_an_error_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})

    def stop_half_way() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        stop_half_way()
    assert read_json(path) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_the_old_folder_and_nothing_beside_it(tmp_path):
    path = tmp_path / "set"
    with atomic_folder(path) as folder:
        (folder / "a").write_text("whole")
        assert not path.exists()

    def stop_half_way() -> None:
        with atomic_folder(path) as folder:
            (folder / "b").write_text("half")
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        stop_half_way()
    assert {file.name: file.read_text() for file in path.iterdir()} == {"a": "whole"}
    assert list(tmp_path.iterdir()) == [path]


def test_a_kill_in_the_middle_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    code = f"""
        import os, signal
        from pathlib import Path
        from components.storage.files import atomic_path
        with atomic_path(Path({str(path)!r})) as temporary:
            temporary.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
    """
    root = Path(__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=root, check=False)
    assert done.returncode == -signal.SIGKILL
    assert read_json(path) == {"a": 1}


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_no_space_left_is_one_line_that_names_the_file(tmp_path):
    with (
        pytest.raises(Fault, match=r"out\.bin: no space left on this disk; free some and run again"),
        faults_of_the_disk(tmp_path / "out.bin"),
        FULL.open("wb", buffering=0) as file,
    ):
        file.write(b"x")
    written = log.Log(tmp_path, 0)
    written.path.unlink()
    written.path.symlink_to(FULL)
    with pytest.raises(Fault, match=r"log\.jsonl: no space left"):
        written.append({"step": 1})


def test_what_is_no_file_is_refused_before_it_is_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "link.json").symlink_to("nowhere")
    for name in ("pipe.json", "folder.json", "link.json"):
        with pytest.raises(Fault, match=name):
            read_json(tmp_path / name)
    (tmp_path / "file").write_text("x")
    with pytest.raises(Fault, match=r"file.*remove the file"):
        write_json(tmp_path / "file/a.json", {})
    with pytest.raises(Fault, match=r"folder\.json.*remove the folder"):
        write_json(tmp_path / "folder.json", {})


def test_what_is_missing_or_no_json_says_what_to_do(tmp_path):
    with pytest.raises(Fault, match="not found; run the stage that writes it"):
        read_json(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(Fault, match=r"bad\.json: not JSON"):
        read_json(tmp_path / "bad.json")


def test_a_hash_does_not_depend_on_the_order_of_keys():
    assert (
        sha256_json({"a": 1, "b": [1, 2]}) == sha256_json({"b": [1, 2], "a": 1}) != sha256_json({"a": 1, "b": [2, 1]})
    )
