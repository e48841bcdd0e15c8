"""Votes: a study's sqlite file; an answer is in it before the page goes on."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.faults import Fault
from components.storage.files import faults_of_the_disk
from components.study.config import Side
from components.study.plan import Pair

_SCHEMA = """
CREATE TABLE IF NOT EXISTS study (
    id INTEGER PRIMARY KEY CHECK (id = 1), about TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS codes (
    code TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS sessions (
    id INTEGER PRIMARY KEY, token TEXT NOT NULL UNIQUE, code TEXT UNIQUE REFERENCES codes,
    algorithm TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS pairs (
    session INTEGER NOT NULL REFERENCES sessions, position INTEGER NOT NULL, kind TEXT NOT NULL,
    real TEXT NOT NULL, fake TEXT NOT NULL, real_side TEXT NOT NULL CHECK (real_side IN ('left', 'right')),
    shown_as TEXT, PRIMARY KEY (session, position));
CREATE TABLE IF NOT EXISTS votes (
    session INTEGER NOT NULL, position INTEGER NOT NULL, side TEXT NOT NULL CHECK (side IN ('left', 'right')),
    exposure_ms REAL NOT NULL, answer_ms REAL NOT NULL, UNIQUE (session, position),
    FOREIGN KEY (session, position) REFERENCES pairs);
"""


class Busy(Fault):
    """The database cannot be written to at the moment; the call has changed nothing."""


@dataclass(frozen=True)
class ParticipantState:
    """Where a participant is.

    Attributes:
        position: of the pair that is next, from 0: the number of votes there are. pair: None after the last.
        shown_as: the name under which that pair was shown; None if it has not been.
    """

    session: int
    algorithm: str
    position: int
    pair: Pair | None
    shown_as: str | None


@dataclass(frozen=True)
class Vote:
    """An answer as it was first given."""

    side: Side
    exposure_ms: float
    answer_ms: float


class Votes:
    """The participants of one study, the pairs they are to see and what they answered.

    Every call is one transaction with a connection of its own, so threads and processes may share the file.

    Args:
        path: of the file, which is made where it is missing.
        seconds: that a call waits for others to finish writing.

    Raises:
        Fault: the file is no database, or cannot be written.
    """

    def __init__(self, path: Path, seconds: float = 5.0) -> None:
        self.path, self._seconds = path, seconds
        with faults_of_the_disk(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            # Held open to the end: when the last connection closes, sqlite puts the log away, which costs far
            # more than a vote.
            self._held = self._connect()
            self._held.execute("PRAGMA journal_mode = WAL")
            self._held.executescript(_SCHEMA)
        except sqlite3.DatabaseError as error:
            raise Fault(f"{path}: not a study that can be used ({error}); name another with --votes") from error

    def close(self) -> None:
        """Let go of the file, which is then one file again."""
        self._held.close()

    def about(self) -> dict[str, Any] | None:
        """What the study is about, as `begin` was told; None before that."""
        with self._reading() as database:
            row = database.execute("SELECT about FROM study").fetchone()
        return None if row is None else json.loads(row[0])

    def begin(self, about: dict[str, Any]) -> None:
        """Say what the study is about, or find that it is the same.

        Raises:
            Fault: the file holds another study.
        """
        with self._writing() as database:
            database.execute("INSERT OR IGNORE INTO study VALUES (1, ?)", (json.dumps(about, sort_keys=True),))
        there = self.about() or {}
        for name, value in json.loads(json.dumps(about)).items():
            if there.get(name) != value:
                raise Fault(
                    f"{self.path}: holds the votes of another study (its {name} differ); go on with that one as it "
                    "was begun, or name another file with --votes"
                )

    def invite(self, code: str) -> None:
        """Add a code that one participant can join with."""
        with self._writing() as database:
            database.execute("INSERT INTO codes VALUES (?)", (code,))

    def codes(self) -> dict[str, bool]:
        """Every code, and whether somebody has joined with it."""
        with self._reading() as database:
            rows = database.execute(
                "SELECT code, sessions.id IS NOT NULL FROM codes LEFT JOIN sessions USING (code) ORDER BY codes.rowid"
            ).fetchall()
        return {code: bool(used) for code, used in rows}

    def join(
        self, token: str, code: str | None, limit: int, assign: Callable[[dict[str, int]], tuple[str, list[Pair]]]
    ) -> bool:
        """Make a session for a token; where there is one, or for the code, that one goes on under this token.

        Args:
            code: one of `codes`, None in a study open to all.
            assign: told how many sessions each algorithm has, gives the algorithm and the plan of this one.

        Returns:
            False if `limit` have joined already.
        """
        with self._writing() as database:
            if database.execute("SELECT 1 FROM sessions WHERE token = ?", (token,)).fetchone():
                return True
            moved = database.execute("UPDATE sessions SET token = ? WHERE code = ?", (token, code)).rowcount
            counts = dict(database.execute("SELECT algorithm, COUNT(*) FROM sessions GROUP BY algorithm").fetchall())
            if moved or sum(counts.values()) >= limit:
                return bool(moved)
            algorithm, pairs = assign(counts)
            session = database.execute(
                "INSERT INTO sessions (token, code, algorithm) VALUES (?, ?, ?)", (token, code, algorithm)
            ).lastrowid
            database.executemany(
                "INSERT INTO pairs VALUES (?, ?, ?, ?, ?, ?, NULL)",
                [(session, i, pair.kind, pair.real, pair.fake, pair.real_side) for i, pair in enumerate(pairs)],
            )
            return True

    def joined(self) -> int:
        """The number of sessions."""
        with self._reading() as database:
            return int(database.execute("SELECT COUNT(*) FROM sessions").fetchone()[0])

    def standing(self, token: str) -> ParticipantState | None:
        """Where the session of a token is; None where there is none."""
        with self._reading() as database:
            return _standing(database, token)

    def show(self, token: str, position: int, name: str) -> bool:
        """Note that a pair is now shown under a name; False if it is not due, or was shown under another."""
        with self._writing() as database:
            standing = _standing(database, token)
            if standing is None or standing.pair is None or standing.position != position:
                return False
            database.execute(
                "UPDATE pairs SET shown_as = ? WHERE session = ? AND position = ? AND shown_as IS NULL",
                (name, standing.session, position),
            )
            return standing.shown_as in (None, name)

    def vote(self, token: str, position: int, vote: Vote) -> tuple[Pair, Vote] | None:
        """Keep an answer, if it is the first for its pair; gives the pair and the answer that is kept.

        None where there is no such session, or its pair has not been shown yet.
        """
        with self._writing() as database:
            row = database.execute(
                "SELECT session, kind, real, fake, real_side FROM pairs JOIN sessions ON sessions.id = session "
                "WHERE token = ? AND position = ? AND shown_as IS NOT NULL",
                (token, position),
            ).fetchone()
            if row is None:
                return None
            session, *pair = row
            database.execute(
                "INSERT OR IGNORE INTO votes VALUES (?, ?, ?, ?, ?)",
                (session, position, vote.side, vote.exposure_ms, vote.answer_ms),
            )
            kept = database.execute(
                "SELECT side, exposure_ms, answer_ms FROM votes WHERE session = ? AND position = ?", (session, position)
            ).fetchone()
            return Pair(*pair), Vote(*kept)

    def rows(self) -> list[tuple[int, str, Pair, Vote | None]]:
        """(session, algorithm, pair, its vote or None), in the order of joining and of showing."""
        with self._reading() as database:
            found = database.execute(
                "SELECT sessions.id, algorithm, kind, real, fake, real_side, side, exposure_ms, answer_ms "
                "FROM sessions JOIN pairs ON pairs.session = sessions.id "
                "LEFT JOIN votes ON votes.session = sessions.id AND votes.position = pairs.position "
                "ORDER BY sessions.id, pairs.position"
            ).fetchall()
        return [(row[0], row[1], Pair(*row[2:6]), Vote(*row[6:]) if row[6] else None) for row in found]

    def _connect(self) -> sqlite3.Connection:
        # Transactions are begun by hand, so that what is read in one still holds when it writes.
        database = sqlite3.connect(self.path, timeout=self._seconds, isolation_level=None, check_same_thread=False)
        database.execute("PRAGMA foreign_keys = ON")
        database.execute("PRAGMA synchronous = FULL")
        return database

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        try:
            with closing(self._connect()) as database:
                database.execute(begin)
                yield database
                database.execute("COMMIT")
        except sqlite3.OperationalError as error:
            raise Busy(f"{self.path}: {error}") from error

    def _reading(self) -> AbstractContextManager[sqlite3.Connection]:
        return self._transaction("BEGIN")

    def _writing(self) -> AbstractContextManager[sqlite3.Connection]:
        return self._transaction("BEGIN IMMEDIATE")


def _standing(database: sqlite3.Connection, token: str) -> ParticipantState | None:
    row = database.execute(
        "SELECT id, algorithm, (SELECT COUNT(*) FROM votes WHERE session = id) FROM sessions WHERE token = ?", (token,)
    ).fetchone()
    if row is None:
        return None
    pair = database.execute(
        "SELECT kind, real, fake, real_side, shown_as FROM pairs WHERE session = ? AND position = ?", (row[0], row[2])
    ).fetchone()
    session, algorithm, position = row
    if pair is None:
        return ParticipantState(session, algorithm, position, None, None)
    return ParticipantState(session, algorithm, position, Pair(*pair[:4]), pair[4])
