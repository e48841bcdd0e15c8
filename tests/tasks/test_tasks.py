"""Pictures to tensors and back, and jitter that treats both pictures of a pair alike."""

import numpy as np
import pytest
import torch

from components.domain import Domain
from components.faults import Fault
from components.networks.noise import noise_maps
from components.tasks.encoding import content_seed, decode, encode, render
from components.tasks.paired import AugmentConfig, augment

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
    sample = {"labels": labels, "photo": np.repeat(labels[:, :, None] * 100, 3, axis=2)}
    config = AugmentConfig(resize=resize, horizontal_flip=True, vertical_flip=True)
    seen = set()
    for seed in range(24):
        out = augment(sample, DOMAINS, config, seed)
        assert out["labels"].shape == (32, 32)
        agree = np.abs(out["photo"][:, :, 0].astype(int) - out["labels"].astype(int) * 100) < 50
        assert agree.mean() > (0.99 if resize is None else 0.9)
        assert np.array_equal(out["photo"], augment(sample, DOMAINS, config, seed)["photo"])
        seen.add(out["labels"].tobytes())
    assert len(seen) == 4 if resize is None else len(seen) > 10


def test_jitter_enlarges_the_shorter_side_and_keeps_proportions():
    """A ramp along each side: enlarged twofold, neighbours differ by half as much, along both."""
    rows, columns = np.mgrid[0:16, 0:32]
    sample = {"photo": np.stack([rows * 8, columns * 8 % 256, rows], axis=2).astype(np.uint8)}
    config = AugmentConfig(resize=32, horizontal_flip=False)
    out = augment(sample, DOMAINS, config, 3)["photo"].astype(int)
    assert out.shape == (16, 32, 3)
    for axis, channel in ((0, 0), (1, 1)):
        assert np.abs(np.diff(out[..., channel], axis=axis)).mean() == pytest.approx(4, abs=0.5)


def test_noise_belongs_to_the_sample():
    alone = noise_maps(torch.tensor([7]), [(4, 4), (2, 2)], torch.device("cpu"))
    among = noise_maps(torch.tensor([1, 7, 3]), [(4, 4), (2, 2)], torch.device("cpu"))
    for a, b in zip(alone, among, strict=True):
        assert torch.equal(a[0], b[1])
        assert not torch.equal(b[0], b[1])
    many = noise_maps(torch.arange(200), [(32, 32)], torch.device("cpu"))[0]
    assert abs(many.mean().item()) < 0.01
    assert many.std().item() == pytest.approx(1, abs=0.01)


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
