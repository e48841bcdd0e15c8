"""Shards that were cut or changed: noticed before a sample of theirs is used, and the bytes named."""

import os
import re

import numpy as np
import pytest

from components.faults import Fault
from components.shards.loader import Stream
from components.shards.reader import Split
from components.shards.verify import verify
from tests.conftest import write_tiny

PROMISE = pytest.mark.promise("1 shards truncated or changed: noticed before use, shard and bytes named, none lost")
SHARD = "train/00001.tar"
NAMED = re.compile(r"train/00001\.tar: .*?bytes (\d+)-(\d+)(?: .*begins in bytes (\d+)-(\d+))?")


@pytest.fixture
def tiny(tmp_path):
    """Shards of 8 samples of 16x16, three of them to train on."""
    return write_tiny(tmp_path / "shards", size=16, counts=(24, 2, 2))


def changed(data, random, kind):
    """A copy of the bytes with one fault, and from where to where it reaches."""
    mutant, place = bytearray(data), int(random.integers(len(data)))
    stop = place + 1
    if kind == "bit":
        mutant[place] ^= 1 << int(random.integers(8))
    elif kind == "cut":
        del mutant[place:]
        stop = len(data)
    elif kind == "zeroed":  # a page that was never written; where it holds nothing but zeros, it is no fault
        place = place // 4096 * 4096
        stop = min(place + 4096, len(data))
        mutant[place:stop] = bytes(stop - place)
    elif kind == "garbage":
        stop = min(place + 64, len(data))
        mutant[place:stop] = random.bytes(stop - place)
    elif kind == "longer":
        place, stop = len(data), len(data) + 512
        mutant += random.bytes(512)
    return bytes(mutant), place, stop


def refusal(root):
    """What is said when the split is read from sample 8 on, the first of the shard, and how many came before."""
    split = Split(root, "train")
    for i in range(8, 16):
        try:
            split.read(i)
        except Fault as fault:
            return str(fault), i - 8
    return "", 8


@PROMISE
def test_every_fault_is_named_before_a_sample_is_used(tiny, tally):
    random = np.random.default_rng(0)
    path = tiny / SHARD
    data = path.read_bytes()
    kinds = ["bit"] * 1200 + ["cut"] * 500 + ["garbage"] * 200 + ["zeroed"] * 50 + ["longer"] * 50
    narrow = []
    for kind in kinds:
        mutant, start, stop = changed(data, random, kind)
        if mutant == data:
            mutant, start, stop = changed(data, random, "bit")
        path.write_bytes(mutant)
        said, used = refusal(tiny)
        found = NAMED.search(said)
        if found is None or used:
            tally.count(False, f"{kind} at {start}: {used} samples used, {said!r}")
            continue
        if kind in ("cut", "longer"):
            # The bytes there are, beside those there should be.
            tally.count(
                f"bytes 0-{len(mutant)}, the manifest says 0-{len(data)};" in said, f"{kind} at {start}: {said}"
            )
            continue
        first, last = (int(found[3]), int(found[4])) if found[3] else (int(found[1]), int(found[2]))
        touched = [i for i in range(start, stop) if mutant[i] != data[i]]
        tally.count(first <= touched[0] < last, f"{kind} at {touched[0]}: {said}")
        narrow.append(last - first)
    path.write_bytes(data)
    assert [Split(tiny, "train").read(i)[0] for i in range(24)] == [f"tiny_train_{i:03d}" for i in range(24)]
    # Not the whole shard: a header, a chunk of a picture, or what lies between.
    assert np.median(narrow) < len(data) / 8


@PROMISE
def test_a_training_stops_at_the_damage_and_skips_nothing(tiny, tally):
    random = np.random.default_rng(1)
    path = tiny / SHARD
    data = path.read_bytes()
    for case in range(60):
        path.write_bytes(changed(data, random, ("bit", "cut", "garbage")[case % 3])[0])
        stream = Stream(Split(tiny, "train"), 4, seed=case, threads=1 + case % 2)
        told = next(step for step in range(6) if any(8 <= i < 16 for i in stream.indices(step)))
        steps, said = 0, ""
        try:
            for _ in stream.batches(0, 6):
                steps += 1
        except Fault as fault:
            said = str(fault)
        tally.count(steps == told and SHARD in said, f"case {case}: {steps} steps, not {told}; {said!r}")
        whole, faults = verify(tiny)
        tally.count(len(faults) == 1 and SHARD in faults[0] and len(whole) == 3, f"verify in case {case}: {faults}")


@PROMISE
def test_what_changes_after_the_check_is_noticed_too(tiny, tally):
    random = np.random.default_rng(2)
    path, good = tiny / SHARD, Split(tiny, "train")
    expected = {i: good.read(i) for i in range(8, 16)}
    data = path.read_bytes()
    file = os.open(path, os.O_WRONLY)  # the same file, written to in place while it is open
    for _ in range(300):
        split = Split(tiny, "train")
        split.prepare(8)
        mutant, place, _ = changed(data, random, "bit")
        os.pwrite(file, mutant[place : place + 1], place)
        wrong, named = [], True
        for i in range(8, 16):
            try:
                key, pictures = split.read(i)
            except Fault as fault:
                found = re.search(r"changed since .* at bytes (\d+)-(\d+)", str(fault))
                named = named and found is not None and int(found[1]) <= place < int(found[2])
                continue
            same = all(np.array_equal(pictures[name], expected[i][1][name]) for name in pictures)
            if key != expected[i][0] or not same:
                wrong.append(key)
        tally.count(not wrong and named, f"bit at {place}: {wrong} are other pictures, named: {named}")
        os.pwrite(file, data[place : place + 1], place)
    os.close(file)


@PROMISE
def test_a_damaged_index_is_never_used(tiny, tally):
    random = np.random.default_rng(3)
    path = tiny / "index.parquet"
    data = path.read_bytes()
    keys = Split(tiny, "train").keys
    for case in range(200):
        mutant, place, _ = changed(data, random, "cut" if case % 4 == 0 else "bit")
        path.write_bytes(mutant)
        split, said = Split(tiny, "train"), ""
        try:
            _ = split.keys
        except Fault as fault:
            said = str(fault)
        tally.count("index.parquet: " in said and "bytes 0-" in said, f"byte {place}: {said!r}")
        tally.count(split.read(9)[0] == keys[9], f"byte {place}: the shards could not be read")
