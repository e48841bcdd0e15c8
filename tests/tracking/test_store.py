"""A store that is not there is one line, soon."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from components.faults import Fault
from components.tracking.live import LiveRun
from components.tracking.reachable import URI, shown
from components.tracking.store import open_store, tracking_uri, use_registry

ROOT = Path(__file__).parents[2]


def _unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_server_down(tmp_path: Path) -> None:
    uri = f"http://me:secret@127.0.0.1:{_unused_port()}"
    begin = time.monotonic()
    with pytest.raises(Fault, match=f"does not answer .*refused.*{URI}") as caught:
        open_store(uri, tmp_path, "x")
    assert time.monotonic() - begin < 10
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_server_that_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.tracking.reachable._ANSWER_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(Fault, match="does not answer"):
        open_store(f"http://127.0.0.1:{server.getsockname()[1]}", tmp_path, "x")


def test_a_store_mlflow_does_not_know(tmp_path: Path) -> None:
    with pytest.raises(Fault, match=r"MLflow at ftp://nobody"):
        open_store("ftp://nobody/x", tmp_path, "x")


@pytest.mark.parametrize("what", ["garbage", "half", "folder", "pipe", "link"])
def test_a_damaged_database_is_said_soon_and_stays_as_it_is(tmp_path: Path, what: str) -> None:
    path = tmp_path / ".pix2pipe/mlflow.db"
    path.parent.mkdir()
    if what == "half":
        with closing(sqlite3.connect(path)) as database, database:
            for number in range(200):
                database.execute(f"CREATE TABLE table_{number} (x)")
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif what == "garbage":
        path.write_bytes(b"no database" * 1000)
    elif what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("nowhere")
    before = path.read_bytes() if path.is_file() else None
    begin = time.monotonic()
    for make in (True, False):
        with pytest.raises(Fault, match=r"mlflow\.db") as caught:
            open_store(f"sqlite:///{path}", path.parent, "x", make=make)
        assert "\n" not in str(caught.value)
    if what in ("garbage", "half"):
        with pytest.raises(Fault, match=r"mlflow\.db"):
            use_registry(tmp_path)
        assert path.read_bytes() == before
    assert time.monotonic() - begin < 60  # MLflow itself tries for 102 seconds


@pytest.mark.filterwarnings("ignore:.*noload.*:DeprecationWarning")  # mlflow's own
def test_a_database_server_that_is_down_or_has_no_driver_is_said_soon(tmp_path: Path) -> None:
    begin = time.monotonic()
    with pytest.raises(Fault, match="does not answer") as caught:
        open_store(f"postgresql://me:secret@127.0.0.1:{_unused_port()}/x", tmp_path, "x")
    assert "secret" not in str(caught.value)
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(Fault, match="package"):
        open_store(f"mysql+pymysql://127.0.0.1:{server.getsockname()[1]}/x", tmp_path, "x")
    assert time.monotonic() - begin < 60  # MLflow itself tries for 102 seconds


@pytest.mark.filterwarnings("ignore:.*noload.*:DeprecationWarning")  # mlflow's own
def test_a_database_whose_making_was_killed_is_made_again(tmp_path: Path) -> None:
    code = """
        import os, signal, sys
        from pathlib import Path
        from sqlalchemy import Engine, event
        from components.tracking.store import open_store, tracking_uri, use_registry

        @event.listens_for(Engine, "after_cursor_execute")
        def kill(connection, cursor, statement, *_):
            if statement.strip().startswith("CREATE TABLE secrets"):  # of one of the last migrations
                os.kill(os.getpid(), signal.SIGKILL)

        home = Path(sys.argv[1])
        open_store(tracking_uri(home), home, "x")
    """
    environment = {name: value for name, value in os.environ.items() if name != URI} | {"PYTHONPATH": str(ROOT)}
    maker = subprocess.run([sys.executable, "-c", textwrap.dedent(code), str(tmp_path)], env=environment, check=False)
    assert maker.returncode == -signal.SIGKILL
    store = open_store(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path, "x")
    assert store.client.get_experiment(store.experiment_id).name == "x"
    assert {path.name for path in tmp_path.iterdir()} == {"mlflow.db", "mlflow.lock"}


def test_the_address_is_absolute_and_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(URI, raising=False)
    assert tracking_uri(Path(".pix2pipe")) == f"sqlite:///{tmp_path}/.pix2pipe/mlflow.db"
    monkeypatch.setenv(URI, "http://mlflow:5000")
    assert tracking_uri(Path(".pix2pipe")) == "http://mlflow:5000"
    assert shown("https://a:b@host:1/x") == "https://host:1/x"


def test_a_live_run_without_a_store_warns_once_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    live = LiveRun(f"http://127.0.0.1:{_unused_port()}", tmp_path, "x", "key", "name").start()
    for step in range(100):
        live.log(step, {"l1": 1.0})
    live.end()
    assert capsys.readouterr().err.count("no live metrics") == 1
    assert threading.active_count() == 1 or not live._thread.is_alive()


@pytest.mark.parametrize(
    ("uri", "text"),
    [
        ("sqlite:////home/me/mlflow.db", "sqlite:////home/me/mlflow.db"),
        ("http://me:secret@host:5000/x", "http://host:5000/x"),
        ("http://host:5000", "http://host:5000"),
    ],
)
def test_an_address_is_shown_as_it_is_but_for_its_password(uri: str, text: str) -> None:
    assert shown(uri) == text
