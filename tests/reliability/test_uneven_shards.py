"""Uneven shards dealt to ranks: equal steps, each sample once an epoch, and nobody waits for ever."""

import io
import socket
import subprocess
import sys
import threading
from itertools import product

import numpy as np
import pytest

from components.samples.domain import Domain
from components.samples.task import Task
from components.shards.index import write_index
from components.shards.loader import Stream
from components.shards.manifest import Manifest
from components.shards.reader import Split
from components.shards.tar import TarWriter, encode

PROMISE = pytest.mark.promise("5 uneven shards over ranks and loader threads: equal steps, each sample once, no hang")
SIZES = ([7], [1, 12], [9, 0, 4], [5, 1, 8, 2], [1, 1, 1, 1, 30], [2, 9, 3, 11, 1, 6], [6, 4, 0, 13, 1, 2, 8])
THREADS = (0, 2)  # 0: the step makes its batch itself
EPOCHS, BATCH, SECONDS = 3, 6, 30


def written(root, sizes):
    """A set whose train split has a shard of each size; sample n is one pixel of the value n."""
    domains, rows, entries = {"photo": Domain(kind="image", size=(1, 1))}, [], []
    for number, size in enumerate(sizes):
        with TarWriter(root, f"train/{number:05d}.tar") as writer:
            for i in range(size):
                value = sum(sizes[:number]) + i
                writer.add(encode(f"s{value:03d}", {"photo": np.full((1, 1, 3), value, np.uint8)}, domains))
        entries.append(writer.entry())
        rows += [{"split": "train", "shard": number} | row for row in writer.rows]
    manifest = Manifest(
        source="uneven",
        domains=domains,
        task=Task(target="photo"),
        splits={"train": tuple(entries)},
        totals={"train": {}},
        index=write_index(root, rows),
    )
    manifest.write(root)
    return root


def read(root, rank, world, threads, shuffle_shards, first=0):
    """The values of this rank's batches, step by step, over the epochs."""
    split = Split(root, "train", open_shards=2)
    settings = {"seed": 4, "rank": rank, "world": world, "cache_bytes": 0, "shuffle_shards": shuffle_shards}
    stream = Stream(split, BATCH, threads=max(threads, 1), **settings)
    steps = -(-EPOCHS * len(split) // BATCH)
    batches = stream.batches(first, steps) if threads else map(stream.batch, range(first, steps))
    return [pictures["photo"][:, 0, 0, 0].tolist() for pictures, _ in batches]


def together(root, world, threads, shuffle_shards):
    """All ranks at once, in step as in training: what each saw; None of one that did not come to the end."""
    barrier, seen = threading.Barrier(world, timeout=SECONDS), [None] * world

    def run(rank):
        mine = []
        for values in read(root, rank, world, threads, shuffle_shards):
            barrier.wait()
            mine.append(values)
        seen[rank] = mine

    ranks = [threading.Thread(target=run, args=(rank,), daemon=True) for rank in range(world)]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join(SECONDS)
    return seen


@PROMISE
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_equal_steps_and_each_sample_once(tmp_path, tally):
    for sizes in SIZES:
        root, n = written(tmp_path / str(len(sizes)), sizes), sum(sizes)
        for world, threads, shuffle_shards in product((1, 2, 3), THREADS, (2, 16)):
            seen = together(root, world, threads, shuffle_shards)
            what = f"{sizes} over {world} ranks, {threads} threads, windows of {shuffle_shards}"
            if any(mine is None for mine in seen):
                tally.count(False, f"{what}: a rank hangs or ended early")
                continue
            steps = -(-EPOCHS * n // BATCH)
            equal = all(len(mine) == steps and {len(batch) for batch in mine} == {BATCH // world} for mine in seen)
            order = [value for parts in zip(*seen, strict=True) for part in parts for value in part][: EPOCHS * n]
            epochs = [sorted(order[epoch * n : (epoch + 1) * n]) for epoch in range(EPOCHS)]
            tally.count(equal and epochs == [list(range(n))] * EPOCHS, what)


@PROMISE
def test_killed_at_any_step_they_go_on_with_what_is_left(tmp_path, tally):
    for sizes in SIZES[2::3]:
        root = written(tmp_path / str(len(sizes)), sizes)
        for world, threads in product((1, 2, 3), THREADS):
            for rank in range(world):
                whole = read(root, rank, world, threads, 2)
                for step in range(1, len(whole), 4):
                    rest = read(root, rank, world, threads, 2, first=step)
                    tally.count(
                        rest == whole[step:], f"{sizes}, rank {rank} of {world}, {threads} threads, step {step}"
                    )


RANK = """
import sys
from datetime import timedelta
from pathlib import Path
import torch
import torch.distributed as dist
from tests.reliability.test_uneven_shards import SIZES, THREADS, read
rank, world, port, root = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
torch.set_num_threads(1)
dist.init_process_group(
    "gloo", f"tcp://127.0.0.1:{port}", timeout=timedelta(seconds=30), rank=rank, world_size=world
)
for sizes in SIZES:
    for threads in THREADS:
        total, mine = torch.zeros(256, dtype=torch.int64), 0
        for values in read(Path(root, str(len(sizes))), rank, world, threads, 2):
            counts = torch.bincount(torch.tensor(values), minlength=256)
            dist.all_reduce(counts)  # hangs, and fails after 30 s, if another rank has no such step
            total, mine = total + counts, mine + 1
        print(len(sizes), threads, mine, *total[: sum(sizes)].tolist(), flush=True)
dist.destroy_process_group()
"""


@PROMISE
@pytest.mark.slow
@pytest.mark.parametrize("world", [2, 3])
def test_processes_that_reduce_at_every_step_never_wait_for_ever(tmp_path, tally, world):
    for sizes in SIZES:
        written(tmp_path / str(len(sizes)), sizes)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "-c", RANK]
    ranks = [
        subprocess.Popen([*command, str(rank), str(world), port, tmp_path], stdout=subprocess.PIPE, text=True)
        for rank in range(world)
    ]
    try:
        told = [rank.communicate(timeout=300)[0] for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    lines = [list(map(int, line.split())) for line in io.StringIO(told[0])]
    assert [rank.returncode for rank in ranks] == [0] * world
    assert len(lines) == len(SIZES) * len(THREADS)
    for shards, threads, steps, *counts in lines:
        n = sum(SIZES[shards - 1])
        more = -(-EPOCHS * n // BATCH) * BATCH - EPOCHS * n  # of the epoch that the last step goes into
        held = len(counts) == n and sum(counts) == steps * BATCH and steps == -(-EPOCHS * n // BATCH)
        held = held and sorted(counts) == [EPOCHS] * (n - more) + [EPOCHS + 1] * more
        tally.count(
            held and told.count(told[0]) == world, f"{shards} shards, {world} ranks, {threads} threads: {counts}"
        )
