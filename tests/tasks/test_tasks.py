"""Pictures to tensors and back, and jitter that treats both pictures of a pair alike."""

import statistics

import numpy as np
import pytest
import torch
from PIL import Image

from components.faults import Fault
from components.networks.noise import draw_rows, noise_maps
from components.samples.domain import Domain
from components.tasks.encoding import content_seed, decode, encode, render
from components.training.jitter import AugmentConfig, Cut, jitter

PHOTO = Domain(kind="image")
LABELS = Domain(kind="label", classes=("a", "b", "c"), palette=((0, 0, 0), (9, 9, 9), (99, 0, 0)))
DOMAINS = {"photo": PHOTO, "labels": LABELS}


def test_every_byte_survives_the_round_trip():
    photo = np.arange(256 * 3, dtype=np.uint8).reshape(1, 16, 16, 3)
    tensor = encode(PHOTO, photo)
    assert tensor.shape == (1, 3, 16, 16)
    assert (tensor.min(), tensor.max()) == (-1, 1)
    assert np.array_equal(decode(PHOTO, tensor), photo)


def test_labels_are_one_hot_and_read_back():
    labels = np.random.default_rng(0).integers(0, 3, (2, 5, 7)).astype(np.uint8)
    tensor = encode(LABELS, labels)
    assert tensor.shape == (2, 3, 5, 7)
    assert torch.equal(tensor.sum(1), torch.ones(2, 5, 7))
    assert np.array_equal(decode(LABELS, tensor), labels)
    assert tuple(render(LABELS, labels)[0, 0, 0]) == LABELS.palette[labels[0, 0, 0]]


def test_a_label_outside_the_classes_is_refused():
    with pytest.raises(Fault, match="label 3 at row 0, column 0 is outside the 3 classes"):
        encode(LABELS, np.full((1, 2, 2), 3, np.uint8))


@pytest.mark.parametrize("resize", [None, 40])
def test_jitter_is_one_for_both_pictures_and_a_function_of_the_seed(resize):
    """The photo is the label's class in grey, so wherever the jitter takes them they must still agree."""
    labels = np.kron(np.random.default_rng(0).integers(0, 3, (4, 4)), np.ones((8, 8))).astype(np.uint8)
    labels = torch.from_numpy(labels).expand(24, 32, 32)
    photos = (labels[..., None] * 100).expand(24, 32, 32, 3)
    config = AugmentConfig(resize=resize, horizontal_flip=True, vertical_flip=True)
    seeds = torch.arange(24)
    maps, pictures = jitter(labels, LABELS, config, seeds), jitter(photos, PHOTO, config, seeds)
    assert maps.shape == (24, 32, 32)
    assert maps.dtype == pictures.dtype == torch.uint8
    agree = (pictures[..., 0].int() - maps.int() * 100).abs() < 50
    assert agree.float().mean() > (0.99 if resize is None else 0.9)
    # A picture's jitter does not depend on the others of its batch.
    assert torch.equal(jitter(photos[3:5], PHOTO, config, seeds[3:5]), pictures[3:5])
    seen = {picture.numpy().tobytes() for picture in maps}
    assert len(seen) == 4 if resize is None else len(seen) > 10


def test_jitter_enlarges_the_shorter_side_and_keeps_proportions():
    """A ramp along each side: enlarged twofold, neighbours differ by half as much, along both."""
    rows, columns = np.mgrid[0:16, 0:32]
    ramps = torch.from_numpy(np.stack([rows * 8, columns * 8 % 256, rows], axis=2).astype(np.uint8))[None]
    config = AugmentConfig(resize=32, horizontal_flip=False)
    out = jitter(ramps, PHOTO, config, torch.tensor([3]))[0].numpy().astype(int)
    assert out.shape == (16, 32, 3)
    for axis, channel in ((0, 0), (1, 1)):
        assert np.abs(np.diff(out[..., channel], axis=axis)).mean() == pytest.approx(4, abs=0.5)


@pytest.mark.parametrize("large", [(54, 45), (58, 48), (96, 80), (48, 40)])
def test_enlarged_photos_are_pillows_to_two_values_and_alike_by_slices_and_by_products(large):
    photos = random_pictures(8, 48, 40, 3)
    cut = random_cut(8, (48, 40), large)
    resized = [Image.fromarray(photo).resize(large[::-1], Image.Resampling.BICUBIC) for photo in photos.numpy()]
    expected = cut.by_slices(torch.from_numpy(np.stack(resized))).int()
    assert expected.shape == (8, 48, 40, 3)
    assert (cut.by_products(photos).int() - expected).abs().max() <= 2
    config = AugmentConfig(resize=min(large), horizontal_flip=False)
    (one,) = jitter(photos[:1], PHOTO, config, torch.tensor([5])).int()
    parts = np.asarray(resized[0]).astype(int)
    tops, lefts = range(large[0] - 47), range(large[1] - 39)
    assert min(np.abs(parts[t : t + 48, x : x + 40] - one.numpy()).max() for t in tops for x in lefts) <= 2


def test_enlarged_labels_are_pillows_nearest():
    labels = random_pictures(8, 60, 40) % 3
    cut = random_cut(8, (60, 40), (96, 64))  # no pixel lies half-way between two
    resized = [Image.fromarray(each).resize((64, 96), Image.Resampling.NEAREST) for each in labels.numpy()]
    assert torch.equal(cut.by_places(labels), cut.by_slices(torch.from_numpy(np.stack(resized))))


@pytest.mark.parametrize("channels", [(3,), ()])
def test_flips_alone_are_the_same_by_places_and_by_slices(channels):
    pictures = random_pictures(8, 20, 30, *channels)
    cut = random_cut(8, (20, 30), (20, 30))
    assert len({(bool(a), bool(b)) for a, b in zip(*cut.turned, strict=True)}) == 4
    assert torch.equal(cut.by_places(pictures), cut.by_slices(pictures))


def random_pictures(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0)).to(torch.uint8)


def random_cut(count: int, size: tuple[int, int], large: tuple[int, int]) -> Cut:
    random = torch.Generator().manual_seed(1)
    room = [there - here + 1 for here, there in zip(size, large, strict=True)]
    starts = [torch.randint(0, most, (count,), generator=random) for most in room]
    return Cut(size, large, starts, [torch.rand(count, generator=random) < 0.5 for _ in range(2)])


def test_noise_belongs_to_the_sample():
    alone = noise_maps(torch.tensor([7]), [(4, 4), (2, 2)], torch.device("cpu"))
    among = noise_maps(torch.tensor([1, 7, 3]), [(4, 4), (2, 2)], torch.device("cpu"))
    for a, b in zip(alone, among, strict=True):
        assert torch.equal(a[0], b[1])
        assert not torch.equal(b[0], b[1])
    other = noise_maps(torch.tensor([7]), [(4, 4), (2, 2)], torch.device("cpu"), stream=1)
    assert not torch.equal(alone[0], other[0])


def test_noise_has_the_distributions_it_is_named_by():
    """Of a million values: moments to five standard errors, and no two neighbours (in place or in seed) alike."""
    count = 1000
    normal, uniform = (
        draw_rows(torch.arange(count), count, kind, torch.device("cpu")) for kind in ("normal", "uniform")
    )
    for values, moments in ((normal, (0, 1, 0, 3)), (uniform - 0.5, (0, 1 / 12, 0, 1 / 80))):
        for power, expected in enumerate(moments, start=1):
            spread = float((values.double() ** power).std()) / count
            assert abs(float((values.double() ** power).mean()) - expected) < 5 * spread
        deviation = float(values.var())
        for pairs in ((values[1:], values[:-1]), (values[:, 1:], values[:, :-1]), (values[:, ::2], values[:, 1::2])):
            assert abs(float((pairs[0] * pairs[1]).mean())) / deviation < 5 / count
    assert 0 <= float(uniform.min()) < float(uniform.max()) < 1
    assert statistics.NormalDist().cdf(float(normal.min())) < 1e-5  # the tails are there


def test_noise_is_splitmix64():
    """The published generator's numbers, by the reference code's own first output for seed 0 and for our key."""

    def mixed(value: int) -> int:
        value &= 2**64 - 1
        value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & 2**64 - 1
        value = (value ^ value >> 27) * 0x94D049BB133111EB & 2**64 - 1
        return value ^ value >> 31

    step = 0x9E3779B97F4A7C15
    assert mixed(step) == 0xE220A8397B1DCDAF  # what the published code gives first for seed 0
    drawn = draw_rows(torch.tensor([5, 2**62]), 7, "uniform", torch.device("cpu"), stream=3)
    for row, seed in zip(drawn, (5, 2**62), strict=True):
        key = mixed(seed + 3 * step)
        assert row.tolist() == [(mixed(key + place * step) >> 40) / 2**24 for place in range(1, 8)]


def test_content_seed_tells_pictures_apart():
    a, b = np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8)
    b[0, 0] = 1
    assert content_seed(a) == content_seed(a.copy()) != content_seed(b)
    assert 0 <= content_seed(a) < 2**63


def test_labels_in_colour_are_their_palette_and_come_back_as_the_nearest_colour():
    palette = ((0, 0, 0), (255, 255, 255), (255, 0, 0))
    domain = Domain(kind="label", classes=("a", "b", "c"), palette=palette, encoding="colour")
    labels = np.array([[[0, 1], [2, 1]]], np.uint8)
    seen = encode(domain, labels)
    assert domain.channels == 3
    assert seen.shape == (1, 3, 2, 2)
    assert seen[0, :, 0, 0].tolist() == [-1, -1, -1]
    assert seen[0, :, 1, 0].tolist() == [1, -1, -1]
    assert np.array_equal(decode(domain, seen), labels)
    random = torch.Generator().manual_seed(0)
    smeared = (torch.rand(2, 3, 8, 8, generator=random) - 0.5) * 2.4  # beyond the range, as no tanh gives it
    colours = torch.tensor(palette) / 127.5 - 1
    distances = (smeared[:, None] - colours[None, :, :, None, None]).square().sum(dim=2)
    assert np.array_equal(decode(domain, smeared), distances.argmin(dim=1).numpy())
    with pytest.raises(Fault, match="label 3 at row 0, column 0 is outside the 3 classes"):
        encode(domain, np.full((1, 2, 2), 3, np.uint8))
