"""benchmarks/scale.py with small numbers: what it prints is counted, not assumed."""

import json

import numpy as np
import pytest

from benchmarks import scale
from components.shards.order import EpochOrder


def test_every_sample_once_and_a_part_of_the_shards(tmp_path, capsys):
    small = ["--samples=20011", "--shards=500", "--ranks", "1", "2", "--ranks-per-node=1", "--batch-per-rank=4"]
    scale.main([*small, "--shuffle-shards=4", f"--out={tmp_path / 'scale.json'}"])
    rows = json.loads((tmp_path / "scale.json").read_text())["rows"]
    assert [(row["ranks"], row["nodes"], row["steps"]) for row in rows] == [(1, 1, 5003), (2, 2, 2502)]
    assert rows[0]["node_bytes"] == rows[0]["all_bytes"] == 20011 * 8658
    assert 0.5 < rows[1]["node_bytes"] / rows[1]["all_bytes"] < 0.54
    assert all(row[f"{when}_cpu_s"] > 0 and row[f"{when}_plan_mb"] > 0 for row in rows for when in ("start", "resume"))
    assert len(capsys.readouterr().out.splitlines()) == 2 + len(rows)


def test_a_wrong_order_is_found(tmp_path, monkeypatch):
    right = EpochOrder.indices
    monkeypatch.setattr(EpochOrder, "indices", lambda self, places: np.maximum(right(self, places), 1))
    with pytest.raises(SystemExit, match="1 ranks: 600 dealt, 599 of 600 seen"):
        scale.main(["--samples=600", "--shards=30", "--ranks=1"])


def test_a_plan_of_10_to_the_8_costs_a_shuffle_of_the_shards():
    order = EpochOrder(np.full(10**5, 1000), 16384, 0, 16, 128)
    mine = order.indices(np.arange(3 * 10**8 // 2, 3 * 10**8 // 2 + 16))
    assert len(set(mine.tolist())) == 16
    assert order._window.cache_info().currsize <= 2
