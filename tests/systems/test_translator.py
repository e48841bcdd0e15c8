"""A translator gives the same pixels however it is asked, and takes no other network's weights."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from components.domain import Domain
from components.faults import Fault
from components.files import sha256_file
from components.systems import build
from components.systems.fcn8s import FCN8sConfig, class_weights, fcn8s
from components.systems.judge import export_judge, judge_task, load_judge
from components.systems.parts import (
    EncoderDecoderConfig,
    PatchGANConfig,
    TextureEncoderDecoderConfig,
    TextureUNetConfig,
    UNetConfig,
)
from components.systems.pix2pix import Pix2PixConfig
from components.systems.system import Shape
from components.systems.translator import CARD, WEIGHTS, GenerateConfig, Translator, export_translator

LABELS = Domain(kind="label", classes=("a", "b", "c"), palette=((0, 0, 0), (9, 9, 9), (99, 0, 0)))
PHOTO = Domain(kind="image")
SHAPE = Shape(LABELS, PHOTO, (32, 32))
GENERATORS = {
    "unet": UNetConfig(width=4, levels=3, dropout=0.5),
    "texture_unet": TextureUNetConfig(widths=(4, 8, 8)),
    "encoder_decoder": EncoderDecoderConfig(width=4, levels=3, dropout=0.5),
    "texture_encoder_decoder": TextureEncoderDecoderConfig(widths=(4, 8, 8)),
}


def export(folder, generator="texture_unet", mode="eval", shape=SHAPE):
    config = Pix2PixConfig(patch_size=16, generator=GENERATORS[generator], discriminator=PatchGANConfig(width=4))
    torch.manual_seed(0)
    weights = dict(build(config, shape).networks.state_dict())
    task = {"checkpoint": "last", "step": 1, "key": "k"}
    export_translator(folder, weights, config, shape, ("labels", "photo"), GenerateConfig(mode=mode), task)
    return Translator.load(folder)


def labels(count):
    return np.random.default_rng(0).integers(0, 3, (count, 32, 32)).astype(np.uint8)


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("generator", list(GENERATORS))
def test_a_picture_does_not_depend_on_its_batch(tmp_path, generator, mode):
    translator, batch = export(tmp_path, generator, mode), labels(17)
    whole = translator.translate(batch)
    assert whole.dtype == np.uint8
    assert whole.shape == (17, 32, 32, 3)
    for i in (0, 7, 16):
        assert np.array_equal(whole[i], Translator.load(tmp_path).translate(batch[i : i + 1])[0])
    torch.manual_seed(99)
    assert np.array_equal(whole, translator.translate(batch))
    assert len(translator.translate(batch[:0])) == 0


def test_noise_is_the_samples_own(tmp_path):
    """Two sources with one differing pixel far away differ all over; equal sources are equal."""
    translator = export(tmp_path)
    batch = np.repeat(labels(1), 3, axis=0)
    batch[2, 0, 0] = (batch[2, 0, 0] + 1) % 3
    a, b, c = translator.translate(batch)
    assert np.array_equal(a, b)
    assert not np.array_equal(a[16:, 16:], c[16:, 16:])


def test_what_does_not_fit_is_refused_by_name(tmp_path):
    translator = export(tmp_path)
    with pytest.raises(Fault, match=r"takes uint8 \(32, 32\)"):
        translator.translate(np.zeros((1, 64, 64), np.uint8))
    with pytest.raises(Fault, match="label 3 is outside the 3 classes"):
        translator.translate(np.full((1, 32, 32), 3, np.uint8))


def test_weights_of_another_network_or_none_are_refused_by_name(tmp_path):
    export(tmp_path)
    good = load_file(tmp_path / WEIGHTS)

    def put(weights):
        save_file(weights, tmp_path / WEIGHTS)
        card = json.loads((tmp_path / CARD).read_text()) | {"weights_sha256": sha256_file(tmp_path / WEIGHTS)}
        (tmp_path / CARD).write_text(json.dumps(card))

    put({key: value for key, value in good.items() if key != "out.bias"})
    with pytest.raises(Fault, match=r"not the weights of pix2pix's generator: it lacks out\.bias"):
        Translator.load(tmp_path)
    put(good | {"out.bias": torch.zeros(7)})
    with pytest.raises(Fault, match=r"out\.bias is \(7,\), not \(3,\)"):
        Translator.load(tmp_path)
    (tmp_path / WEIGHTS).write_bytes(b"not safetensors")
    with pytest.raises(Fault, match="sha256 differs"):
        Translator.load(tmp_path)


def test_photo_to_labels_gives_class_indices(tmp_path):
    translator = export(tmp_path, shape=Shape(PHOTO, LABELS, (32, 32)))
    made = translator.translate(np.zeros((2, 32, 32, 3), np.uint8))
    assert made.shape == (2, 32, 32)
    assert made.max() < 3


def test_class_weights_balance_and_leave_out_what_never_occurs():
    weights = class_weights((0.9, 0.1, 0.0), 1.0)
    assert weights[1] / weights[0] == pytest.approx(9)
    assert weights[2] == 0
    assert 0.9 * weights[0] + 0.1 * weights[1] == pytest.approx(1)
    assert torch.allclose(class_weights((0.7, 0.3), 0.0), torch.ones(2))


def test_judge_reads_photos_whichever_way_the_task_goes_and_survives_a_round_trip(tmp_path):
    domains = {"labels": LABELS, "photo": PHOTO, "map": PHOTO}
    assert judge_task(("labels", "photo"), domains) == judge_task(("photo", "labels"), domains) == ("photo", "labels")
    assert judge_task(("map", "photo"), domains) is None
    config = FCN8sConfig(width=2)
    system = fcn8s(config, Shape(PHOTO, LABELS, (32, 32)))
    card = {"system": config, "source": PHOTO, "target": LABELS, "size": (32, 32), "task": ("photo", "labels")}
    export_judge(tmp_path, dict(system.networks.state_dict()), **card, manifest="m", key="k")
    judge = load_judge(tmp_path)
    assert judge.predict(np.zeros((2, 32, 32, 3), np.uint8)).shape == (2, 3, 32, 32)


def test_a_judge_of_labels_to_labels_is_refused():
    with pytest.raises(Fault, match="needs an image source and a label target"):
        fcn8s(FCN8sConfig(), Shape(LABELS, LABELS, (32, 32)))
