"""A vote is kept once, whatever is sent again, by whom, and whenever the server is killed."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from components.faults import Fault
from components.study.client import Client
from components.study.config import Settings
from components.study.result import read_ballots
from components.study.simulate import running
from components.study.votes import Votes
from pipelines.cli import main
from tests.study.helpers import SMALL, make_study, write_generated

ROOT = Path(__file__).parents[3]
COUNT = "SELECT COUNT(*) FROM votes"


def counted(path: Path, query: str = COUNT) -> int:
    with closing(sqlite3.connect(path)) as database:
        return int(database.execute(query).fetchone()[0])


@pytest.fixture
def joined(browse: Callable[..., Client]) -> Callable[[int], Client]:
    """A client that has joined."""

    def join(port: int) -> Client:
        client = browse(port)
        assert client.post("/api/join").status == 200
        return client

    return join


def test_a_repeated_post_changes_nothing(tmp_path: Path, one, joined):
    study = make_study(tmp_path / "v.db", one)
    with running(study) as port:
        client = joined(port)
        assert client.post("/api/join").json()["position"] == 0
        assert client.vote(0, "left").status == 409  # not shown yet
        pair, _, _ = client.look()
        first = client.vote(0, "left").json()
        for side in ("left", "right", "right"):
            assert client.vote(0, side).json() == first
        assert client.state()["position"] == 1
        assert client.vote(1, "left").status == 409
        assert client.vote(7, "left").status == 409
        assert client.post("/api/shown", {"position": 0, "name": pair["name"]}).status == 409
    assert counted(study.votes.path) == 1
    assert counted(study.votes.path, "SELECT COUNT(*) FROM sessions") == 1
    row = next(vote for _, _, _, vote in study.votes.rows() if vote)
    assert row.side == "left"


def test_two_tabs_show_a_pair_once_and_vote_once(tmp_path: Path, one, joined, browse):
    study = make_study(tmp_path / "v.db", one)
    with running(study) as port:
        first = joined(port)
        second = browse(port, first.cookie)
        pairs = [tab.post("/api/pair").json() for tab in (first, second)]
        assert pairs[0]["left"] != pairs[1]["left"]
        codes = [
            tab.post("/api/shown", {"position": 0, "name": pair["name"]}).status
            for tab, pair in zip((second, first), reversed(pairs), strict=True)
        ]
        assert codes == [204, 409]
        assert first.state()["phase"] == second.state()["phase"] == "question"
        # The same page may ask again, where the answer was lost on the way.
        assert second.post("/api/shown", {"position": 0, "name": pairs[1]["name"]}).status == 204

        tabs = [browse(port, first.cookie) for _ in range(8)]
        barrier = threading.Barrier(len(tabs))

        def press(tab: Client, side: str) -> None:
            barrier.wait()
            tab.vote(0, side)

        threads = [threading.Thread(target=press, args=(tab, ("left", "right")[i % 2])) for i, tab in enumerate(tabs)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert first.state()["position"] == 1
    assert counted(study.votes.path) == 1


def test_pictures_are_given_once_and_to_one_participant(tmp_path: Path, one, joined, browse):
    study = make_study(tmp_path / "v.db", one)
    with running(study) as port:
        client, stranger = joined(port), browse(port)
        assert stranger.post("/api/join", {"code": "nobody asked"}).status == 200
        pair = client.post("/api/pair").json()
        assert stranger.get(f"/picture/{pair['left']}").status == 404
        assert client.get(f"/picture/{pair['left']}").status == 200
        assert client.get(f"/picture/{pair['left']}").status == 404
        newer = client.post("/api/pair").json()
        assert client.get(f"/picture/{pair['right']}").status == 404
        assert client.get(f"/picture/{newer['right']}").status == 200


def test_a_locked_database_loses_nothing(tmp_path: Path, one, joined):
    study = make_study(tmp_path / "v.db", one, wait=0.2)
    with running(study) as port:
        client = joined(port)
        client.look()
        writer = sqlite3.connect(study.votes.path, isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")
        refused = client.vote(0, "right")
        assert (refused.status, dict(refused.headers)["retry-after"]) == (503, "1")
        assert "nothing is lost" in refused.json()["error"]
        assert client.state()["position"] == 0  # reading goes on
        writer.execute("ROLLBACK")
        writer.close()
        assert client.vote(0, "right").status == 200
        assert client.state()["position"] == 1
    assert counted(study.votes.path) == 1


def test_codes_let_one_in_each_and_back_in(tmp_path: Path, one, browse):
    settings = SMALL.model_copy(update={"invited": True, "participants": 2})
    study = make_study(tmp_path / "v.db", one, settings)
    codes = list(study.invite(3))
    assert list(study.invite(3)) == codes
    with running(study) as port:
        client, other = browse(port), browse(port)
        assert client.post("/api/join").status == 409
        assert "not one of the study's" in client.post("/api/join", {"code": "x" * 10}).json()["error"]
        assert client.post("/api/join", {"code": f" {codes[0].upper()} "}).status == 200
        client.look()
        client.vote(0, "left")
        # From another browser the same code goes on, rather than a second try.
        assert other.post("/api/join", {"code": codes[0]}).json()["position"] == 1
        assert client.state()["phase"] == "welcome"
        assert browse(port).post("/api/join", {"code": codes[1]}).json()["position"] == 0
        full = browse(port).post("/api/join", {"code": codes[2]})
        assert full.status == 409
        assert "all the participants" in full.json()["error"]
    assert study.votes.codes() == {codes[0]: True, codes[1]: True, codes[2]: False}


def test_another_study_is_not_mixed_in(tmp_path: Path, one, two):
    make_study(tmp_path / "v.db", one)
    make_study(tmp_path / "v.db", one, SMALL.model_copy(update={"participants": 99}))
    with pytest.raises(Fault, match=r"holds the votes of another study \(its algorithms differ\)"):
        make_study(tmp_path / "v.db", two)
    with pytest.raises(Fault, match=r"its settings differ"):
        make_study(tmp_path / "v.db", one, Settings())
    (tmp_path / "text.db").write_text("not a database, but long enough to look like one\n" * 50)
    with pytest.raises(Fault, match=r"text\.db: not a study"):
        Votes(tmp_path / "text.db")


OPTIONS = ["--practice", "2", "--trials", "6", "--vigilance", "2"]


@pytest.fixture
def serve() -> Iterator[Callable[..., tuple[subprocess.Popen[str], int]]]:
    """Starts `pix2pipe study serve` in a project folder; gives it and its port. What still runs is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(root: Path, port: int = 0) -> tuple[subprocess.Popen[str], int]:
        command = [sys.executable, "-m", "pipelines.cli", "study", "serve", "--port", str(port), *OPTIONS]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        server = subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE, text=True, env=environment)
        started.append(server)
        assert server.stderr is not None
        line = server.stderr.readline()
        assert "http://127.0.0.1:" in line, line
        return server, int(line.split("http://127.0.0.1:")[1].split("/")[0])

    yield start
    for server in started:
        server.kill()
        server.communicate()


@pytest.fixture
def project(tmp_path: Path, study_shards: Path) -> Path:
    """A folder with data/shards and data/generated."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data/shards").symlink_to(study_shards)
    write_generated(tmp_path / "data/generated", study_shards, 10)
    return tmp_path


def test_a_killed_server_goes_on_where_it_was(project: Path, serve, joined, browse):
    """kill -9 between a showing and its answer, and again in the middle of a burst of votes."""
    server, port = serve(project)
    client = joined(port)
    for position in range(4):
        client.look()
        assert client.vote(position, "left").status == 200
    client.look()
    server.send_signal(signal.SIGKILL)
    server.wait()

    server, port = serve(project, port)
    client = browse(port, client.cookie)
    assert client.state() == {"phase": "question", "position": 4, "practice": False, "number": 3, "of": 8}
    assert client.vote(4, "right").status == 200
    confirmed: list[int] = []

    def hammer() -> None:
        tab = browse(port, client.cookie)
        with suppress(OSError):
            while (position := tab.state().get("position")) is not None:
                tab.look()
                if position == 6:
                    server.send_signal(signal.SIGKILL)
                if tab.vote(position, "left").status == 200:
                    confirmed.append(position)

    burst = threading.Thread(target=hammer)
    burst.start()
    burst.join()
    server.wait()
    votes = Votes(project / ".pix2pipe/study/votes.db")
    kept = [i for i, row in enumerate(votes.rows()) if row[3]]
    assert kept == list(range(len(kept)))  # in order, none twice
    assert len(kept) in (6, 7)
    assert set(confirmed) <= set(kept)  # what the page was told is there

    server, port = serve(project, port)
    client = browse(port, client.cookie)
    for position in range(len(kept), 10):
        assert client.state()["position"] == position
        if client.state()["phase"] == "pair":
            client.look()
        client.vote(position, "left")
    assert client.state() == client.post("/api/join").json() == {"phase": "done"}
    assert [ballot.complete for ballot in read_ballots(votes)[0]] == [True]


def test_a_port_in_use_is_one_line(project: Path, monkeypatch):
    monkeypatch.chdir(project)
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        with pytest.raises(SystemExit, match=rf"pix2pipe: port {port} of 127\.0\.0\.1 is in use; .*--port"):
            main(["study", "serve", "--port", str(port), *OPTIONS])
