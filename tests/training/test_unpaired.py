"""Two sides drawn independently: their epochs, their order, and what a paired system says of them."""

from collections import Counter

import numpy as np
import pytest
import torch

from components.faults import Fault
from components.samples.domain import Domain, sized
from components.samples.task import Task
from components.shards.writer import write_set
from components.systems import unpaired_systems
from components.systems.parts import PatchGANConfig, ResNetConfig
from components.systems.translation.cyclegan import CycleGANConfig
from components.systems.translation.pix2pix import Pix2PixConfig
from components.training.batches import to_batch, to_device, training_stream
from components.training.config import TrainConfig
from components.training.group import Group
from components.training.loop import fit
from components.training.run import Run, plan
from tests.training.helpers import weights_of

HORSES, ZEBRAS = 23, 10
CPU = torch.device("cpu")
SMALL = CycleGANConfig(
    generator=ResNetConfig(width=4, blocks=1), discriminator=PatchGANConfig(width=4, norm="instance"), patch_size=16
)


def flat(number: int) -> np.ndarray:
    """A picture that knows its number, however it is flipped or cropped."""
    return np.full((32, 32, 3), number, np.uint8)


def write_sides(root, counts=(HORSES, ZEBRAS)):
    """An unaligned set; 4 samples to a tar."""
    domains = {"horse": Domain(kind="image"), "zebra": Domain(kind="image")}
    splits = {
        f"{split}/{name}": [(f"{split}_{name}_{i:02d}", {name: flat(i)}) for i in range(count)]
        for split, share in (("train", counts), ("val", (3, 2)), ("test", (2, 3)))
        for name, count in zip(domains, share, strict=True)
    }
    write_set(
        root, "animals", sized(domains, (32, 32)), Task(source="horse", target="zebra"), splits, samples_per_shard=4
    )
    return root


@pytest.fixture(scope="module")
def sides(tmp_path_factory):
    return write_sides(tmp_path_factory.mktemp("sides") / "shards")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """An aligned set: horse i and zebra i are one sample."""
    root = tmp_path_factory.mktemp("pairs") / "shards"
    domains = {"horse": Domain(kind="image"), "zebra": Domain(kind="image")}
    splits = {
        split: [(f"{split}_{i:02d}", {name: flat(i) for name in domains}) for i in range(count)]
        for split, count in (("train", 50), ("val", 3), ("test", 3))
    }
    write_set(
        root, "animals", sized(domains, (32, 32)), Task(source="horse", target="zebra"), splits, samples_per_shard=8
    )
    return root


def run_on(shards, root, system=SMALL, **train) -> Run:
    settings = {"steps": 4, "batch_size": 6, "checkpoint_every": 2, "log_every": 1, "validation_samples": 2}
    return plan(system, TrainConfig(**(settings | train)), shards, root)


def drawn(run: Run, first: int, last: int, rank: int = 0, world: int = 1) -> list[dict[str, list[int]]]:
    """The numbers of each side's pictures, step by step."""
    stream = training_stream(run, Group(rank, world))
    return [
        {name: inputs[role][:, 0, 0, 0].tolist() for role, name in (("source", "horse"), ("target", "zebra"))}
        for inputs in stream.batches(first, last)
    ]


def one_after_another(batches, name: str) -> list[int]:
    return [number for batch in batches for number in batch[name]]


@pytest.mark.parametrize(("name", "count"), [("horse", HORSES), ("zebra", ZEBRAS)])
def test_each_side_shows_each_picture_once_in_each_pass_over_it(sides, tmp_path, name, count):
    seen = one_after_another(drawn(run_on(sides, tmp_path), 0, 40), name)
    passes = [seen[start : start + count] for start in range(0, len(seen) - count + 1, count)]
    assert len(passes) >= 10
    for numbers in passes:
        assert sorted(numbers) == list(range(count))
    assert len({tuple(numbers) for numbers in passes}) == len(passes)  # each pass in an order of its own


def test_an_epoch_is_a_pass_over_the_larger_side(sides, tmp_path):
    assert run_on(sides, tmp_path, steps=None, epochs=6).num_steps() == 6 * HORSES // 6
    turned = plan(SMALL, TrainConfig(epochs=6, batch_size=6), sides, tmp_path, Task(source="zebra", target="horse"))
    assert turned.num_steps() == 6 * HORSES // 6


def test_a_resumed_run_repeats_and_skips_nothing_of_either_side(sides, tmp_path):
    run = run_on(sides, tmp_path)
    whole = drawn(run, 0, 20)
    assert drawn(run, 0, 7) + drawn(run, 7, 20) == whole


@pytest.mark.parametrize("world", [2, 3])
def test_any_number_of_ranks_deals_the_same_batches(sides, tmp_path, world):
    run = run_on(sides, tmp_path)
    ranks = [drawn(run, 0, 12, rank, world) for rank in range(world)]
    joined = [
        {name: [n for rank in ranks for n in rank[step][name]] for name in ("horse", "zebra")} for step in range(12)
    ]
    assert joined == drawn(run, 0, 12)


def test_pairs_of_an_aligned_set_meet_no_more_than_chance(pairs, tmp_path):
    batches = drawn(run_on(pairs, tmp_path, batch_size=10), 0, 200)
    horses, zebras = one_after_another(batches, "horse"), one_after_another(batches, "zebra")
    apart = Counter((h - z) % 50 for h, z in zip(horses, zebras, strict=True))
    assert 15 <= apart[0] <= 70  # 2000 pictures, one in 50 meets its own by chance
    assert max(apart.values()) <= 70  # and no other shift of the order is kept


def test_each_side_has_its_own_jitter(tmp_path):
    """Where both sides show the same sample, they are not always flipped alike."""
    root = tmp_path / "shards"
    domains = {"horse": Domain(kind="image"), "zebra": Domain(kind="image")}
    ramp = np.broadcast_to(np.arange(32, dtype=np.uint8)[None, :, None], (32, 32, 3)).copy()
    sample = ("one", dict.fromkeys(domains, ramp))
    splits = {split: [sample] for split in ("train", "val", "test")}
    write_set(root, "one", sized(domains, (32, 32)), Task(source="horse", target="zebra"), splits, samples_per_shard=1)
    run = run_on(root, tmp_path)
    stream = training_stream(run, Group())
    batches = [to_batch(to_device(inputs, CPU), run.shape(), run.train.augment) for inputs in stream.batches(0, 20)]
    flips = [np.concatenate([batch[role][:, 0, 0, 0] > -0.87 for batch in batches]) for role in ("source", "target")]
    alike = (flips[0] == flips[1]).mean()
    assert 0.3 < alike < 0.7
    assert all(0.3 < f.mean() < 0.7 for f in flips)


def test_cyclegan_trains_on_two_sides_and_resumes_bitwise(sides, tmp_path):
    whole, cut = (run_on(sides, tmp_path / part) for part in ("whole", "cut"))
    fit(whole, Group())
    fit(cut, Group(), until=2)
    fit(cut, Group())
    a, b = weights_of(whole), weights_of(cut)
    assert all(torch.equal(a[key], b[key]) for key in a)


def test_a_system_that_learns_from_pairs_is_refused_by_name(sides, tmp_path):
    with pytest.raises(Fault, match="pix2pix learns from aligned pairs, and horse and zebra are two sides") as fault:
        run_on(sides, tmp_path, system=Pix2PixConfig())
    assert str(fault.value).endswith(", ".join(unpaired_systems()))
    assert "\n" not in str(fault.value)


def test_an_empty_side_is_said_when_it_is_written(tmp_path):
    with pytest.raises(Fault, match="train/zebra split is empty"):
        write_sides(tmp_path / "shards", counts=(5, 0))
