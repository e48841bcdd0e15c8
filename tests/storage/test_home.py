"""PIX2PIPE_ROOT: what it names is used, and what cannot be used is one line in seconds."""

import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from upath import UPath

from components.storage.home import LOCAL, located, shared
from tests.storage.s3 import BUCKET, free_port

REPOSITORY = Path(__file__).parents[2]


def said(environment):
    """What `shared()` says in a fresh process, and how many seconds it took after its imports."""
    code = (
        "import time; from components.faults import Fault\n"
        "from components.storage.home import shared; began = time.time()\n"
        "try: shared()\n"
        "except Fault as fault: print(fault)\n"
        "print(time.time() - began)"
    )
    kept = {name: value for name, value in (os.environ | environment).items() if value is not None}
    done = subprocess.run(
        [sys.executable, "-c", code], env=kept, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=True
    )
    *line, seconds = done.stdout.splitlines()
    assert len(line) == 1, done.stdout
    return line[0], float(seconds)


def test_unset_is_the_projects_own_folder_and_loads_no_client(monkeypatch):
    monkeypatch.delenv("PIX2PIPE_ROOT", raising=False)
    assert shared() is LOCAL
    code = (
        "import sys, pipelines.train, pipelines.generate, pipelines.shard; from components.storage.home import shared; "
        + ("shared(); sys.exit(bool({'s3fs', 'aiobotocore', 'botocore'} & sys.modules.keys()))")
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=False).returncode == 0


def test_a_folder_is_a_plain_path(tmp_path, monkeypatch):
    for value in (str(tmp_path / "nfs"), f"file://{tmp_path}/nfs"):
        monkeypatch.setenv("PIX2PIPE_ROOT", value)
        assert shared() == tmp_path / "nfs"
        assert type(shared()) is type(Path())
    assert (tmp_path / "nfs").is_dir()
    assert located("some/folder").is_absolute()


def test_a_bucket_is_probed_once_a_process(root, proxy, monkeypatch):
    monkeypatch.setenv("PIX2PIPE_ROOT", f"{root}/")
    assert isinstance(shared(), UPath)
    assert str(shared() / "runs") == f"{root}/runs"
    assert [request.method for request in proxy.requests] == ["PUT"]


def test_what_cannot_be_used_is_said(root, monkeypatch):
    silent = socket.create_server(("127.0.0.1", 0))
    cases = [
        ({"PIX2PIPE_ROOT": "foo://x"}, "PIX2PIPE_ROOT=foo://x: Unsupported filesystem: 'foo'; give a folder"),
        ({"PIX2PIPE_ROOT": "gs://x/y"}, "PIX2PIPE_ROOT=gs://x/y: Please install gcsfs"),
        (
            {"PIX2PIPE_ROOT": "s3://nobody-made-it/x"},
            "PIX2PIPE_ROOT=s3://nobody-made-it/x: there is no such bucket",
        ),
        (
            {"PIX2PIPE_ROOT": f"s3://{BUCKET}/x", "AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None},
            f"PIX2PIPE_ROOT=s3://{BUCKET}/x: Unable to locate credentials; see the credentials and the endpoint",
        ),
        (
            {"PIX2PIPE_ROOT": f"s3://{BUCKET}/x", "AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"},
            f"PIX2PIPE_ROOT=s3://{BUCKET}/x: Could not connect to the endpoint URL",
        ),
        (
            {
                "PIX2PIPE_ROOT": f"s3://{BUCKET}/x",
                "AWS_ENDPOINT_URL": f"http://127.0.0.1:{silent.getsockname()[1]}",
            },
            f"PIX2PIPE_ROOT=s3://{BUCKET}/x: no answer within 15 s; see the credentials and the endpoint",
        ),
        ({"PIX2PIPE_ROOT": "/proc/nowhere"}, "PIX2PIPE_ROOT=/proc/nowhere: "),
    ]
    with silent, ThreadPoolExecutor(len(cases)) as pool:
        answers = list(pool.map(said, [environment for environment, _ in cases]))
    for (_, expected), (line, seconds) in zip(cases, answers, strict=True):
        assert line.startswith(expected)
        assert seconds < 30


def test_without_s3fs_the_extra_is_named(tmp_path, monkeypatch):
    (tmp_path / "s3fs.py").write_text("raise ImportError('no s3fs here')")
    line, _ = said({"PIX2PIPE_ROOT": "s3://x/y", "PYTHONPATH": f"{tmp_path}{os.pathsep}{REPOSITORY}"})
    assert line.startswith("PIX2PIPE_ROOT=s3://x/y: Install s3fs to access S3")
    assert line.endswith('pip install "pix2pipe[s3]"')
