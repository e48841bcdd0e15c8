"""A rollback beside a promotion: what its author did not see is not undone, and nobody's act has another's name."""

import random
import threading
import time

import pytest

from components.faults import Fault
from components.review.promote import promote, rollback
from components.review.review import find_state
from components.tracking import promotions
from components.tracking.store import open_store
from components.tracking.versions import find_version, note_version
from tests.review.helpers import MLFLOW_WARNS, RULES, Project
from tests.stage_outputs import build_outputs

pytestmark = [pytest.mark.slow, *MLFLOW_WARNS]
ROUNDS = 30


@pytest.mark.promise("25 a rollback beside a promotion: it undoes what its author saw, and nothing has a false name")
def test_a_rollback_undoes_what_its_author_saw_or_nothing(tally, tmp_path, tiny_shards, monkeypatch):
    root = build_outputs(tmp_path / "project", tiny_shards)
    home = root / ".pix2pipe"
    store = open_store(f"sqlite:///{home / 'mlflow.db'}", home, "tests")
    project = Project(root, store)
    for fid in (1.0, 0.9, 0.8):
        project.register(fid=fid)
    chance = random.Random(0)
    write = promotions._write

    def slow_write(*arguments: object) -> None:
        write(*arguments)
        time.sleep(chance.random() * 0.4)  # between the record and the alias

    monkeypatch.setattr(promotions, "_write", slow_write)

    def promoted(version: int, by: str) -> None:
        state = find_state(store, "tiny")
        note_version(store, find_version(store, "tiny", str(version)), state.mark, "seen")
        promote(store, "tiny", str(version), by, "better", RULES, tmp_path / by, override=True)

    promoted(1, "Ann")
    for turn in range(ROUNDS):
        current = find_state(store, "tiny").champion.number
        other = chance.choice([version for version in (1, 2, 3) if version != current])
        before = len(promotions.read_promotions(store, "tiny"))
        said: list[str] = []

        def attempt(act, *arguments: object, said: list[str] = said) -> None:
            try:
                act(*arguments)
            except Fault as fault:
                said.append(str(fault))

        def roll(current: int = current, pause: float = chance.random() * 0.5) -> None:
            time.sleep(pause)
            rollback(store, "tiny", str(current), "Roller", "streaks", tmp_path / "roller")

        threads = [threading.Thread(target=attempt, args=a) for a in ((promoted, other, "Ann"), (roll,))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        state = find_state(store, "tiny")
        new = state.promotions[before:]
        honest = all(each.kind == "rollback" and each.before == current for each in new if each.by == "Roller")
        honest &= all(each.kind == "promotion" and each.after == other for each in new if each.by == "Ann")
        settled = state.champion.number == state.promotions[-1].after and not state.notice
        no_more = len(new) + len(said) == 2 and all("\n" not in line for line in said)
        tally.count(
            honest and settled and no_more, f"{turn}: {[(e.by, e.kind, e.before, e.after) for e in new]} {said}"
        )
