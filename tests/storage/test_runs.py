"""Runs at s3://: checkpoints, logs and resumes are those of a disk."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from components.faults import Fault
from components.models.asked import open_asked
from components.models.card import GenerateConfig
from components.models.generator import Generator
from components.storage import remote
from components.storage.files import listed
from components.storage.node_cache import fresh_cache
from components.training import log
from components.training.checkpoint import Checkpoint, CheckpointStore
from components.training.clock import THROUGHPUT
from components.training.export import export_run, export_trained
from components.training.group import Group
from components.training.longer import go_on
from components.training.loop import fit
from components.training.making import Making, made, make_part
from components.training.progress import Progress
from components.training.trainer import Trainer
from tests.conftest import write_tiny
from tests.training.helpers import small_run, weights_of

REPOSITORY = Path(__file__).parents[2]


def save(store: CheckpointStore, step: int, score: float | None) -> Checkpoint:
    return store.save(step, {"a.weight": torch.full((1000,), float(step))}, {"moment": torch.ones(3) * step}, score)


def test_checkpoints_of_a_root_are_those_of_a_disk(root, tmp_path, cache):
    for store in (CheckpointStore(root / "c"), CheckpointStore(tmp_path / "c")):
        assert (store.last(), store.best(), store.all()) == (None, None, [])
        for step, score in ((1, 0.5), (2, 0.2), (3, 0.9), (4, 0.3)):
            save(store, step, score)
        assert [checkpoint.step for checkpoint in store.all()] == [2, 3, 4]
        assert (store.last().step, store.best().step) == (4, 2)
        assert torch.equal(store.last().weights()["a.weight"], torch.full((1000,), 4.0))
        assert torch.equal(store.best().state()["moment"], torch.ones(3) * 2)
        store.drop_after(2)
        assert [checkpoint.step for checkpoint in store.all()] == [2]
        save(store, 3, None)
        save(store, 3, None)
        assert store.last().step == 3
    assert listed(root / "c").keys() == listed(tmp_path / "c").keys()


def test_a_damaged_checkpoint_is_passed_over_but_an_absent_store_is_not_taken_for_one(root, proxy, monkeypatch):
    store = CheckpointStore(root)
    save(store, 1, None), save(store, 2, None)
    monkeypatch.setattr(remote, "_PAUSES_S", ())
    proxy.trouble("GET", "step_00000002/state.pt", times=100, status=403)
    with pytest.raises(Fault, match=r"step_00000002/state\.pt: Reduce your request rate"):
        store.last()
    proxy.clear()
    assert store.last().step == 2
    remote.write(root / "step_00000002/weights.safetensors", b"x" * store.all()[1].meta["bytes"]["weights.safetensors"])
    with fresh_cache():
        assert store.last().step == 1


def test_a_kill_during_a_checkpoints_upload_leaves_the_one_before(root, proxy):
    store = CheckpointStore(root)
    save(store, 1, 0.1)
    proxy.trouble("PUT", "step_00000002/state.pt", times=100, delay=60)
    code = (
        "from components.storage.home import located; from tests.storage.test_runs import save, CheckpointStore; "
        f"save(CheckpointStore(located('{root}')), 2, 0.05)"
    )
    writer = subprocess.Popen([sys.executable, "-c", code], cwd=REPOSITORY)
    while not proxy.asked("PUT", "step_00000002/state.pt"):
        assert writer.poll() is None
        time.sleep(0.02)
    writer.kill()
    writer.wait()
    assert "step_00000002/weights.safetensors" in listed(root)
    assert (store.last().step, store.best().step) == (1, 1)
    proxy.clear()
    store.drop_after(1)
    assert not [name for name in listed(root) if name.startswith("step_00000002")]


class Killed(Exception):  # noqa: N818
    pass


def test_a_run_resumed_from_a_root_is_bitwise_the_uninterrupted_local_one(
    root, tiny_shards, tmp_path, proxy, cache, monkeypatch
):
    stored = write_tiny(tmp_path / "shards", store=root / "shards")
    settings = {"norm": "batch", "dropout": 0.5, "ema": 0.9}
    whole = small_run(tiny_shards, tmp_path, **settings)
    there = small_run(stored, root / "runs", **settings)
    assert there.key == whole.key
    fit(whole, Group())
    step = Trainer.step

    def step_or_die(trainer: Trainer, index: int, batch: object) -> None:
        if index == 5:
            raise Killed
        step(trainer, index, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "step", step_or_die)
        with pytest.raises(Killed):
            fit(there, Group())
    assert there.checkpoints.last().step == 3
    heard: list[tuple[int, str]] = []
    with Progress(there, "train", lambda step, figures, part: heard.append((step, part))):
        fit(there, Group())
    a, b = weights_of(whole), weights_of(there)
    assert a.keys() == b.keys()
    assert all(torch.equal(a[key], b[key]) for key in a)
    for part in ("terms", "validation"):
        assert log.table(log.read(whole.folder), part) == log.table(log.read(there.folder), part)
    assert [step for step, part in heard if part == "train"] == [1, 2, 3, 4, 5, 6]
    assert listed(there.folder / "samples") == listed(whole.folder / "samples")
    assert json.loads(remote.read(there.folder / THROUGHPUT))["images_per_second"] > 0

    for run, out in ((whole, tmp_path / "a"), (there, tmp_path / "b")):
        export_run(run, out / "run")
        (card,) = export_trained(out / "run", GenerateConfig(), run.shards, out)
        assert Generator.load(out / card.name, "cpu").card == card
    same = ["checkpoints/last/weights.safetensors", "curves.csv", "validation.csv", "run.json"]
    for name in same:
        assert (tmp_path / "a/run" / name).read_bytes() == (tmp_path / "b/run" / name).read_bytes()

    for name in ("generator.json", "generator.safetensors"):
        remote.upload(tmp_path / "b/labels_to_photo" / name, root / "work" / name)
    sets = []
    for job, ranks in (
        (Making(tmp_path / "a/labels_to_photo", whole.shards, tmp_path / "parts"), 1),
        (Making(root / "work", there.shards, root / "parts"), 3),
    ):
        for rank in range(ranks):
            make_part(job, Group(rank, ranks))
        asked = open_asked(job.shards, card)
        sets.append({key: pictures["photo"].tobytes() for key, pictures in made(job, asked, ranks)})
    assert sets[0] == sets[1]
    assert list(sets[0]) == [f"tiny_test_{i:03d}" for i in range(8)]


def test_a_longer_run_at_a_root_goes_on_from_a_shorter_one_there(root, tmp_path, tiny_shards, cache):
    settings = {"constant_share": 1.0, "checkpoint_every": 2}
    short, longer = (small_run(tiny_shards, root / "runs", steps=steps, **settings) for steps in (2, 4))
    go_on(short)
    fit(short, Group())
    assert "step 2" in go_on(longer)[0]
    fit(longer, Group())
    whole = small_run(tiny_shards, tmp_path, steps=4, **settings)
    fit(whole, Group())
    assert all(torch.equal(value, weights_of(longer)[key]) for key, value in weights_of(whole).items())
    assert log.table(log.read(longer.folder), "terms") == log.table(log.read(whole.folder), "terms")


def test_no_step_waits_for_the_log_and_a_checkpoint_finds_it_whole(root, proxy, monkeypatch):
    monkeypatch.setattr("components.training.uploaded_text._UPLOAD_S", 0.05)
    with log.Log(root, 0) as writer:
        follower = log.Follower(root)
        assert follower.new() == []
        proxy.trouble("PUT", "log.jsonl", delay=2.0)
        began = time.perf_counter()
        for step in range(1, 101):
            writer.append({"step": step})
            time.sleep(0.002)
        assert time.perf_counter() - began < 1.0
        writer.flush()
        assert [record["step"] for record in log.read(root)] == list(range(1, 101))
        assert len(proxy.asked("PUT", "log.jsonl")) < 20
        assert len(follower.new()) == 100
        assert follower.new() == []
        writer.append({"step": 101})
    assert follower.new() == [{"step": 101}]
    with log.Log(root, 40) as writer:
        writer.append({"step": 41})
        writer.flush()
        assert [record["step"] for record in log.read(root)] == list(range(1, 42))
        assert follower.new() == []
    with log.Log(root, 0):
        assert log.read(root) == []


def test_a_follower_reads_what_is_new_and_survives_a_log_cut_short(tmp_path):
    writer, follower = log.Log(tmp_path, 0), log.Follower(tmp_path)
    assert follower.new() == []
    for step in (1, 2, 3):
        writer.append({"step": step})
    with writer.path.open("a") as file:
        file.write('{"step"')
    assert [record["step"] for record in follower.new()] == [1, 2, 3]
    with writer.path.open("a") as file:
        file.write(": 4}\n")
    assert [record["step"] for record in follower.new()] == [4]
    writer = log.Log(tmp_path, 2)  # a resumed run, from the checkpoint of step 2
    for step in (3, 4, 5):
        writer.append({"step": step})
    assert [record["step"] for record in follower.new()] == [5]
    os.truncate(writer.path, 0)
    assert follower.new() == []
