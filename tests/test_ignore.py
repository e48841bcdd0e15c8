"""Pixels that are not labelled: not learned from, not scored, drawn black, from the file to the metrics."""

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from components.evaluation.fcn_score import confusions
from components.evaluation.measure import scored
from components.evaluation.rows import flat_painter
from components.faults import Fault
from components.samples.domain import Domain, sized
from components.samples.source import BadSample
from components.shards.manifest import Manifest
from components.shards.reader import Split
from components.shards.writer import write_set
from components.sources.fit import FolderCut, fitted
from components.sources.folder_config import Side
from components.sources.pictures import open_picture
from components.systems import build
from components.systems.fcn8s import FCN8sConfig, fcn8s
from components.systems.system import Moment, Shape
from components.systems.translation.pix2pix import Pix2PixConfig
from components.tasks.encoding import encode, render
from components.training.config import TrainConfig
from components.training.run import plan
from tests.conftest import TO_LABELS, TO_PHOTO

PALETTE = ((200, 0, 0), (0, 200, 0), (0, 0, 200))
BEYOND = Domain(kind="label", classes=("a", "b", "c"), palette=PALETTE, ignore=255)
AMONG = BEYOND.model_copy(update={"ignore": 2})
PHOTO = Domain(kind="image")
NOW = Moment(0, 1, 0)


def labels(seed: int, void: int) -> np.ndarray:
    made = np.random.default_rng(seed).integers(0, 2, (32, 32)).astype(np.uint8)
    made[:, :16] = void
    return made


@pytest.fixture
def shards(tmp_path):
    """Photos beside labels of which the left half is 255."""
    domains = {"labels": BEYOND, "photo": PHOTO}
    splits = {
        split: [
            (f"{split}_{i}", {"labels": labels(i, 255), "photo": np.full((32, 32, 3), 40 * i, np.uint8)})
            for i in range(4)
        ]
        for split in ("train", "val", "test")
    }
    write_set(tmp_path / "set", "x", sized(domains, (32, 32)), TO_PHOTO, splits)
    return tmp_path / "set"


def test_a_file_with_a_stated_value_is_read_and_any_other_is_refused(tmp_path):
    values = np.array([[0, 1], [255, 2]], np.uint8)
    Image.fromarray(values).save(tmp_path / "x.png")
    picture = open_picture(tmp_path / "x.png", "x.png")
    cut = FolderCut(name="folder", image_size=2)
    side = Side(name="labels", classes=("a", "b", "c"), ignore=255)
    assert np.array_equal(fitted(picture, side, cut, "x.png"), values)
    with pytest.raises(BadSample, match=r"label value 255 at row 1, column 0 .*the side's ignore"):
        fitted(picture, Side(name="labels", classes=("a", "b", "c")), cut, "x.png")
    with pytest.raises(BadSample, match="label value 255"):
        fitted(picture, side.model_copy(update={"ignore": 254}), cut, "x.png")


@pytest.mark.parametrize(
    "wrong", [{"ignore": 256}, {"ignore": 1}, {"ignore": 3, "palette": {"a": PALETTE[0], "b": PALETTE[1]}}]
)
def test_what_cannot_be_ignored_is_refused(wrong):
    with pytest.raises(ValidationError):
        Side(name="x", **wrong)


def test_networks_see_none_of_the_classes_and_people_see_black(shards):
    picture = labels(0, 255)[None]
    seen = encode(BEYOND, picture)
    assert seen.shape == (1, 3, 32, 32)
    assert seen[..., :16].sum() == 0
    assert torch.equal(seen[..., 16:].argmax(1), torch.from_numpy(picture[..., 16:]).long())
    assert not render(BEYOND, picture)[..., :16, :].any()
    colour = encode(BEYOND.model_copy(update={"encoding": "colour"}), picture)
    assert (colour[..., :16] == -1).all()
    with pytest.raises(Fault, match="label 254"):
        encode(BEYOND, labels(0, 254)[None])


def test_shards_keep_it_and_count_it_for_no_class(shards):
    manifest, split = Manifest.read(shards), Split(shards, "train")
    assert manifest.domains["labels"].ignore == 255
    assert np.array_equal(split.picture(0, "labels"), labels(0, 255))
    assert sum(manifest.totals["train"]["labels"]) == 4 * 32 * 16
    paint = flat_painter(split, Split(shards, "test"), TO_PHOTO, 0)
    assert paint(3).shape == (32, 32, 3)


@pytest.mark.parametrize("domain", [BEYOND, AMONG])
def test_the_judge_learns_nothing_from_it(domain):
    """The gradient at those pixels of the logits is 0, and the loss is of the others."""
    system = fcn8s(FCN8sConfig(width=2, dropout=0), Shape(PHOTO.at((32, 32)), domain.at((32, 32)), (0.5, 0.5, 0.0)))
    batch = {
        "source": torch.zeros(1, 3, 32, 32),
        "target": encode(domain, labels(0, domain.ignore)[None]),
    }
    logits = torch.randn(1, 3, 32, 32, requires_grad=True)
    network = torch.nn.ModuleDict({"segmenter": _Fixed(logits)})
    loss = system.phases[0].terms(network, batch, NOW)["cross_entropy"]
    (gradient,) = torch.autograd.grad(loss, logits)
    assert gradient[..., :16].abs().max() == 0
    assert gradient[..., 16:].abs().min() > 0
    right = torch.nn.functional.one_hot(torch.from_numpy(labels(0, 0)[None]).long(), 3).permute(0, 3, 1, 2) * 9.0
    right[..., :16] = torch.tensor([0.0, 9.0, 0.0])[None, :, None, None]  # wrong, where nothing is labelled
    perfect = torch.nn.ModuleDict({"segmenter": _Fixed(right)})
    assert system.validation(perfect, batch)["pixel_error"] == 0


class _Fixed(torch.nn.Module):
    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, _: torch.Tensor) -> torch.Tensor:
        return self.logits


@pytest.mark.parametrize("domain", [BEYOND, AMONG])
def test_it_is_not_scored(domain):
    truth = torch.from_numpy(scored(domain, labels(0, domain.ignore)))[None]
    counts = confusions(truth, torch.zeros_like(truth), 3, 3)
    assert counts.sum() == 32 * 16


def test_its_frequency_is_that_of_no_class(shards, tmp_path):
    run = plan(FCN8sConfig(width=2), TrainConfig(steps=1), shards, tmp_path, TO_LABELS)
    assert run.shape().frequencies == pytest.approx(tuple(Split(shards, "train").histogram("labels") / (4 * 32 * 16)))


def test_a_system_that_would_make_it_is_refused():
    small = {"generator": {"name": "unet", "width": 4, "levels": 3}, "patch_size": 16}
    config = Pix2PixConfig.model_validate(small)
    build(config, Shape(BEYOND.at((32, 32)), PHOTO.at((32, 32))))
    with pytest.raises(Fault, match=r"^system\.name: pix2pix would learn to make a label map .*ignore: 255"):
        build(config, Shape(PHOTO.at((32, 32)), BEYOND.at((32, 32))))
