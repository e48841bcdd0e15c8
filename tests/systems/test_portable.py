"""An exported file gives the generator's own pixels: of every system, of every network, in either format."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from components.faults import Fault
from components.models import portable_file
from components.models.card import GenerateConfig
from components.models.generator import Generator
from components.models.portable_file import KEY, write_portable
from components.models.trained import Trained
from components.networks.noise import draw_rows
from components.samples.domain import Domain
from components.systems.parts import ResNetConfig
from tests.systems.test_every_system import SMALL, build, run_of, varied
from tests.systems.test_generator import GENERATORS, LABELS, PHOTO, SHAPE, export

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
onnxruntime = pytest.importorskip("onnxruntime")


def generators_of(name, shards, folder):
    """Those of every use of a system, untrained."""
    run = run_of(name, shards, folder / "run")
    torch.manual_seed(0)
    weights = dict(varied(build(run.system, run.shape())).networks.state_dict())
    lineage = {"checkpoint": "last", "step": 1, "key": "k"}
    cards = Trained(weights, run.system, run.shape(), run.task, GenerateConfig(), lineage).write(folder)
    return [Generator.load(folder / card.name, "cpu") for card in cards]


@pytest.mark.parametrize("name", [name for name in SMALL if name != "cogan"])
def test_every_system_has_its_own_pixels(tiny_shards, tmp_path, name):
    for i, generator in enumerate(generators_of(name, tiny_shards, tmp_path)):
        written = write_portable(generator, "tiny 1", "torchscript", tmp_path / f"{i}.pt")
        limit = 1 if generator.target.kind == "image" else 0.001
        assert 0 <= written["difference"] <= limit
        assert {port["name"] for port in written["inputs"]} >= generator.needs


@pytest.mark.parametrize(
    "name", ["cgan", *(pytest.param(name, marks=pytest.mark.slow) for name in SMALL if name not in ("cgan", "cogan"))]
)
def test_every_system_as_onnx(tiny_shards, tmp_path, name):
    for i, generator in enumerate(generators_of(name, tiny_shards, tmp_path)):
        written = write_portable(generator, "tiny 1", "onnx", tmp_path / f"{i}.onnx")
        assert written["difference"] <= (1 if generator.target.kind == "image" else 0.001)


@pytest.mark.parametrize("name", ["unet", "texture_unet", "resnet"])
def test_onnx_gives_one_picture_and_many_as_the_version_does(tmp_path, monkeypatch, name):
    monkeypatch.setitem(GENERATORS, "resnet", ResNetConfig(width=4, blocks=1))
    generator = export(tmp_path, name)
    written = write_portable(generator, "tiny 1", "onnx", tmp_path / "out.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "out.onnx")
    held = json.loads(session.get_modelmeta().custom_metadata_map[KEY])
    assert held == {key: value for key, value in written.items() if key != "difference"}
    assert [(port.name, port.shape[1:]) for port in session.get_inputs()] == [
        (port["name"], port["shape"][1:]) for port in held["inputs"]
    ]
    batch = np.random.default_rng(5).integers(0, 3, (5, 32, 32)).astype(np.uint8)
    own = generator.make(sources=batch, seeds=range(5))
    for part in (slice(0, 1), slice(0, 5)):
        given = {"source": batch[part]}
        if "noise" in held:
            count = held["inputs"][1]["shape"][1]
            given["noise"] = draw_rows(torch.arange(5), count, "normal", torch.device("cpu")).numpy()[part]
        (made,) = session.run(None, given)
        assert made.dtype == np.uint8
        assert np.abs(made.astype(int) - own[part]).max() <= 1


DRAWN = LABELS.model_copy(update={"encoding": "colour"})
COLOUR = DRAWN.model_copy(update={"ignore": 255})


@pytest.mark.parametrize("format_", ["onnx", "torchscript"])
def test_labels_in_colours_and_unlabelled_pixels_go_in_and_labels_come_out(tmp_path, format_):
    for source, target in ((COLOUR, PHOTO), (PHOTO, DRAWN), (LABELS, LABELS)):
        generator = export(tmp_path, "unet", shape=replace(SHAPE, translated=source, target=target))
        assert write_portable(generator, "tiny 1", format_, tmp_path / "out")["difference"] <= 1
    unlabelled = Domain(kind="label", classes=LABELS.classes, palette=LABELS.palette, ignore=255, size=(32, 32))
    for source in (unlabelled, COLOUR):
        generator = export(tmp_path, "unet", shape=replace(SHAPE, translated=source))
        write_portable(generator, "tiny 1", "torchscript", tmp_path / "out")
        batch = np.full((2, 32, 32), 255, np.uint8)
        batch[1, :9] = 1
        made = torch.jit.load(tmp_path / "out")(torch.from_numpy(batch)).numpy()
        assert np.abs(made.astype(int) - generator.translate(batch)).max() <= 1


def test_what_cannot_be_exported_is_refused_by_name_and_nothing_is_written(tiny_shards, tmp_path, monkeypatch):
    out = tmp_path / "out.pt"
    with pytest.raises(Fault, match=r"generate\.mode train: .* set generate\.mode to eval"):
        write_portable(export(tmp_path, "unet", mode="train"), "tiny 1", "torchscript", out)
    with pytest.raises(Fault, match="system cogan"):
        write_portable(generators_of("cogan", tiny_shards, tmp_path)[0], "tiny 1", "torchscript", out)
    generator = export(tmp_path, "unet")
    own = generator.make
    monkeypatch.setattr(generator, "make", lambda **asked: 255 - own(**asked))
    with pytest.raises(Fault, match="differs from the version by"):
        write_portable(generator, "tiny 1", "torchscript", out)
    monkeypatch.setitem(portable_file._MODULES, "onnx", ("no_such_package",))
    with pytest.raises(Fault, match=r"needs no_such_package: run pip install 'pix2pipe\[export\]'"):
        write_portable(generator, "tiny 1", "onnx", out)
    assert not out.exists()
