"""A translator gives the same pixels however it is asked, and takes no other network's weights."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from components.faults import Fault
from components.models.card import CARD, WEIGHTS, GenerateConfig, read_card, read_cards
from components.models.generator import Generator
from components.models.trained import Trained
from components.samples.domain import Domain
from components.samples.task import Task
from components.storage.files import sha256_file
from components.systems import build
from components.systems.fcn8s import FCN8sConfig, class_weights, fcn8s
from components.systems.judge import export_judge, judge_task, load_judge
from components.systems.parts import (
    EncoderDecoderConfig,
    PatchGANConfig,
    ResNetConfig,
    TextureEncoderDecoderConfig,
    TextureUNetConfig,
    UNetConfig,
)
from components.systems.system import Given, Shape
from components.systems.translation.cyclegan import CycleGANConfig
from components.systems.translation.pix2pix import Pix2PixConfig
from components.tasks.encoding import decode, encode
from tests.conftest import TO_LABELS, TO_PHOTO

LABELS = Domain(kind="label", classes=("a", "b", "c"), palette=((0, 0, 0), (9, 9, 9), (99, 0, 0)), size=(32, 32))
FOUR = Domain(
    kind="label", classes=("a", "b", "c", "d"), palette=((0, 0, 0), (9, 9, 9), (99, 0, 0), (0, 99, 0)), size=(32, 32)
)
PHOTO = Domain(kind="image", size=(32, 32))
SHAPE = Shape(LABELS, PHOTO)
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
    (card,) = Trained(weights, config, shape, TO_PHOTO, GenerateConfig(mode=mode), task).write(folder)
    return Generator.load(folder / card.name)


FCN = FCN8sConfig()


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
        assert np.array_equal(whole[i], Generator.load(tmp_path / "labels_to_photo").translate(batch[i : i + 1])[0])
    torch.manual_seed(99)
    assert np.array_equal(whole, translator.translate(batch))
    assert len(translator.translate(batch[:0])) == 0


@pytest.mark.parametrize("generator", list(GENERATORS))
def test_without_padding_one_picture_is_one_and_at_most_1_of_255_off(tmp_path, generator):
    translator, batch = export(tmp_path, generator), labels(3)
    network, sizes = translator.trained[0], []
    network.register_forward_hook(lambda _module, given, _made: sizes.append(len(given[0])))
    whole = translator.translate(batch)
    for i in range(3):
        alone = translator.translate(batch[i : i + 1], padded=False)[0]
        assert np.abs(alone.astype(int) - whole[i]).max() <= 1
    assert sizes == [16, 1, 1, 1]


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
    with pytest.raises(Fault, match="label 3 at row 0, column 0 is outside the 3 classes"):
        translator.translate(np.full((1, 32, 32), 3, np.uint8))


def test_a_card_with_one_size_for_all_domains_is_read_as_before(tmp_path):
    before = export(tmp_path).card
    path = next(tmp_path.rglob("generator.json"))
    values = json.loads(path.read_text(encoding="utf-8"))
    for end in ("source", "target"):
        values[end].pop("size")
    path.write_text(json.dumps(values | {"size": [32, 32]}), encoding="utf-8")
    assert read_card(path) == before


def test_weights_of_another_network_or_none_are_refused_by_name(tmp_path):
    export(tmp_path)
    folder = tmp_path / "labels_to_photo"
    good = load_file(folder / WEIGHTS)

    def put(weights):
        save_file(weights, folder / WEIGHTS)
        card = json.loads((folder / CARD).read_text()) | {"weights_sha256": sha256_file(folder / WEIGHTS)}
        (folder / CARD).write_text(json.dumps(card))

    put({key: value for key, value in good.items() if key != "out.bias"})
    with pytest.raises(Fault, match=r"not the weights of pix2pix's generator: it lacks out\.bias"):
        Generator.load(folder)
    put(good | {"out.bias": torch.zeros(7)})
    with pytest.raises(Fault, match=r"out\.bias is \(7,\), not \(3,\)"):
        Generator.load(folder)
    (folder / WEIGHTS).write_bytes(b"not safetensors")
    with pytest.raises(Fault, match="sha256 differs"):
        Generator.load(folder)


def test_photo_to_labels_gives_class_indices(tmp_path):
    translator = export(tmp_path, shape=Shape(PHOTO, LABELS))
    made = translator.translate(np.zeros((2, 32, 32, 3), np.uint8))
    assert made.shape == (2, 32, 32)
    assert made.max() < 3


def export_both_ways(folder, encoding="one_hot"):
    """A CycleGAN between labels and photos; its weights, and both translators."""
    system = CycleGANConfig(
        generator=ResNetConfig(width=4, blocks=1), discriminator=PatchGANConfig(width=4), lambda_identity=0
    )
    shape = Shape(FOUR.model_copy(update={"encoding": encoding}), PHOTO)
    torch.manual_seed(0)
    weights = {key: 8 * value for key, value in build(system, shape).networks.state_dict().items()}
    lineage = {"checkpoint": "last", "step": 1, "key": "k"}
    cards = Trained(weights, system, shape, TO_PHOTO, GenerateConfig(), lineage).write(folder)
    return system, shape, weights, cards


@pytest.mark.parametrize("encoding", ["one_hot", "colour"])
def test_each_direction_is_a_translator_of_its_own_network(tmp_path, encoding):
    system, shape, weights, cards = export_both_ways(tmp_path, encoding)
    assert [card.name for card in cards] == ["labels_to_photo", "photo_to_labels"]
    assert [card.task for card in cards] == [
        TO_PHOTO,
        TO_LABELS,
    ]
    assert [card.makes for card in cards] == ["target", "source"]
    assert read_cards(tmp_path) == cards
    there, back = (Generator.load(tmp_path / card.name, "cpu") for card in cards)
    assert back.translate(there.translate(labels(3))).shape == (3, 32, 32)
    translations = build(system, shape).uses
    networks = build(system, shape).networks
    networks.load_state_dict(weights)
    networks.eval()
    photos = np.random.default_rng(1).integers(0, 256, (3, 32, 32, 3)).astype(np.uint8)
    for translator, name, pictures in ((there, "forward", labels(3)), (back, "backward", photos)):
        translation = translations[name]
        with torch.no_grad():
            given = Given(torch.zeros(3, dtype=torch.int64), encode(translator.source, pictures))
            made = translation.run(networks[translation.network], given)
        assert np.array_equal(translator.translate(pictures), decode(translator.target, made))


def test_labels_in_colour_go_in_and_come_out_as_class_indices(tmp_path):
    cards = export_both_ways(tmp_path, "colour")[3]
    assert cards[0].source.encoding == cards[1].target.encoding == "colour"
    back = Generator.load(tmp_path / "photo_to_labels", "cpu")
    made = back.translate(np.random.default_rng(1).integers(0, 256, (4, 32, 32, 3)).astype(np.uint8))
    assert made.dtype == np.uint8
    assert set(np.unique(made)) <= {0, 1, 2, 3}
    with pytest.raises(Fault, match="label 4 at row 0, column 0 is outside the 4 classes"):
        Generator.load(tmp_path / "labels_to_photo", "cpu").translate(np.full((1, 32, 32), 4, np.uint8))


def test_generators_in_memory_are_those_of_the_files_and_cards_that_are_not_there_are_said(tmp_path):
    system, shape, weights, cards = export_both_ways(tmp_path / "both")
    lineage = {"checkpoint": "last", "step": 1, "key": "k"}
    there, _ = Trained(weights, system, shape, TO_PHOTO, GenerateConfig(), lineage).generators()
    assert there.card.model_copy(update={"weights_sha256": cards[0].weights_sha256}) == cards[0]
    labels = np.random.default_rng(1).integers(0, 3, (2, 32, 32), np.uint8)
    np.testing.assert_array_equal(
        there.translate(labels), Generator.load(tmp_path / "both/labels_to_photo").translate(labels)
    )
    with pytest.raises(Fault, match="has no generator; run dvc repro -f generate"):
        read_cards(tmp_path / "one")
    (tmp_path / "both/photo_to_labels" / CARD).write_text("{}")
    with pytest.raises(Fault, match=r"photo_to_labels/generator\.json: not a generator's card"):
        read_cards(tmp_path / "both")


def test_weights_of_the_other_direction_are_refused(tmp_path):
    export_both_ways(tmp_path)
    there, back = (tmp_path / name for name in ("labels_to_photo", "photo_to_labels"))
    (there / WEIGHTS).write_bytes((back / WEIGHTS).read_bytes())
    card = json.loads((there / CARD).read_text()) | {"weights_sha256": sha256_file(there / WEIGHTS)}
    (there / CARD).write_text(json.dumps(card))
    with pytest.raises(Fault, match="not the weights of cyclegan's generator"):
        Generator.load(there)


def test_class_weights_balance_and_leave_out_what_never_occurs():
    weights = class_weights((0.9, 0.1, 0.0), 1.0)
    assert weights[1] / weights[0] == pytest.approx(9)
    assert weights[2] == 0
    assert 0.9 * weights[0] + 0.1 * weights[1] == pytest.approx(1)
    assert torch.allclose(class_weights((0.7, 0.3), 0.0), torch.ones(2))


def test_judge_reads_photos_whichever_way_the_task_goes_and_survives_a_round_trip(tmp_path):
    domains = {"labels": LABELS, "photo": PHOTO, "map": PHOTO}
    assert judge_task(TO_PHOTO, domains, FCN) == judge_task(TO_LABELS, domains, FCN) == TO_LABELS
    assert judge_task(Task(source="map", target="photo"), domains, FCN) == TO_LABELS
    assert judge_task(Task(source="photo", target="map"), domains, FCN) == Task(source="map", target="labels")
    assert judge_task(Task(source="map", target="photo"), {"map": PHOTO, "photo": PHOTO}, FCN) is None
    assert judge_task(Task(source="labels", target="other"), {"labels": LABELS, "other": LABELS}, FCN) is None
    config = FCN8sConfig(width=2)
    system = fcn8s(config, Shape(PHOTO, LABELS))
    card = {
        "system": config,
        "source": PHOTO,
        "target": LABELS,
        "task": TO_LABELS,
    }
    export_judge(tmp_path, dict(system.networks.state_dict()), **card, manifest="m", key="k")
    judge = load_judge(tmp_path)
    assert judge.predict(np.zeros((2, 32, 32, 3), np.uint8)).shape == (2, 3, 32, 32)


def test_a_judge_of_labels_to_labels_is_refused():
    with pytest.raises(Fault, match="needs an image source and a label target"):
        fcn8s(FCN8sConfig(), Shape(LABELS, LABELS))
