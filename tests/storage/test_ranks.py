"""Ranks through Ray Train whose run lies at s3://."""

import pytest
import torch

from components.cluster.workers import Workers
from components.storage.files import read_json
from components.training import log
from components.training.loop import fit
from tests.cluster.test_workers import RAY_WARNINGS
from tests.training.helpers import small_run, weights_of
from tests.training.test_parallel import fit_on


@pytest.mark.slow
@RAY_WARNINGS
def test_two_ranks_train_at_a_remote_root_as_on_a_disk(root, tiny_shards, tmp_path):
    train = {"num_workers": 2, "cpus_per_worker": 1, "device": "cpu", "steps": 4, "checkpoint_every": 2}
    local = fit_on(small_run(tiny_shards, tmp_path, **train), 2)
    run = small_run(tiny_shards, root / "runs", **train)
    Workers.of(run).run(fit, run)
    remote = weights_of(run)
    assert all(torch.equal(local[key], remote[key]) for key in local)
    assert [record["step"] for record in log.read(run.folder) if "terms" in record] == [1, 2, 3, 4]
    assert len(read_json(run.folder / "ranks.json")["ranks"]) == 2
