"""Who is blamed, told from signs as ranks give them; the ranks themselves are in test_nodes.py."""

from types import SimpleNamespace

import pytest

from components.cluster import watch
from components.cluster.journal import Journal
from components.cluster.rank import RankReport

TIMEOUT_S = 6.0
WAITING = RankReport(40, 0.0, "group.py:52 (mean)", True)
SLEEPING = RankReport(40, 0.0, "functions.py:30 (sleeps)", False)


def blamed(monkeypatch: pytest.MonkeyPatch, tmp_path, signs: list[dict[float, RankReport]]) -> list[int]:
    """The ranks that are named and ended, after each has given its signs, by seconds since its last step."""
    ended: list[int] = []
    monkeypatch.setattr(watch, "_end", lambda worker: ended.append(worker.distributed_context.world_rank))
    watching = watch.Watch(TIMEOUT_S, 15, 0, Journal(tmp_path / "journal.jsonl"))
    for rank, given in enumerate(signs):
        about = SimpleNamespace(node_ip="10.0.0.1", pid=rank)
        watched = watch._Watched(SimpleNamespace(metadata=about, distributed_context=SimpleNamespace(world_rank=rank)))
        for idle, sign in given.items():
            watched.hear(RankReport(sign.step, idle, sign.place, sign.waits), TIMEOUT_S)
        watching._ranks.append(watched)
    said = watching._hung([], list(range(len(signs))))
    assert all(f"rank {rank} (" in said for rank in ended)
    return ended


def test_one_that_has_given_up_waiting_is_not_blamed(monkeypatch, tmp_path):
    """Its collective has timed out, its error is not reported yet: where it is now says nothing."""
    gave_up = RankReport(40, 0.0, "its end", False)
    signs = [{1.0: WAITING, 5.5: WAITING, 6.2: gave_up}, {1.0: SLEEPING, 6.3: SLEEPING}]
    assert blamed(monkeypatch, tmp_path, signs) == [1]


def test_one_that_waited_at_first_and_hangs_since_is_blamed(monkeypatch, tmp_path):
    signs = [{1.0: WAITING, 6.2: WAITING}, {0.1: WAITING, 1.1: SLEEPING, 6.3: SLEEPING}]
    assert blamed(monkeypatch, tmp_path, signs) == [1]


def test_a_sign_of_another_step_is_not_looked_at(monkeypatch, tmp_path):
    """The machine was too busy for an answer since: then what is answered now must do."""
    earlier = RankReport(39, 0.0, "group.py:52 (mean)", True)
    signs = [{1.0: WAITING, 6.2: WAITING}, {0.1: earlier, 6.3: SLEEPING}]
    assert blamed(monkeypatch, tmp_path, signs) == [1]


def test_one_that_is_behind_is_blamed_first_and_all_where_nobody_waits(monkeypatch, tmp_path):
    behind = RankReport(39, 0.0, "group.py:52 (mean)", True)
    assert blamed(monkeypatch, tmp_path, [{6.5: SLEEPING}, {6.5: behind}]) == [1]
    assert blamed(monkeypatch, tmp_path, [{5.0: SLEEPING, 6.5: SLEEPING}] * 2) == [0, 1]
