"""Pictures from noise by a registered version: files, a grid and a clip; what is refused, and that nothing is left."""

import os
import re
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from PIL import Image

from components.faults import Fault
from components.models import clip
from components.models.card import GenerateConfig
from components.models.clip import PER_SECOND, write_clip
from components.models.generator import Generator
from components.models.sampled import Sampled
from components.models.seeds import parse_seeds
from components.models.trained import Trained
from components.samples.domain import POINT_SIZE, Domain
from components.samples.task import Task
from components.sources.points import PointsCut
from components.storage.home import LOCAL
from components.systems import AnySystemConfig, build
from components.systems.generation.cgan import CGANConfig, ConvolutionsConfig
from components.systems.generation.dcgan import DCGANConfig
from components.systems.generation.style_gan import StyleGANConfig
from components.systems.system import Shape
from components.tasks.scatter import marked
from components.tracking.reachable import URI
from components.tracking.registry import register_translator
from components.tracking.store import Store, open_store
from pipelines import cli
from tests.conftest import KINDS, TO_PHOTO
from tests.pages.demo.served import LABELS, LINEAGE
from tests.review.helpers import MLFLOW_WARNS
from tests.stage_outputs import SYSTEM

pytestmark = MLFLOW_WARNS
ROOT = Path(__file__).parent.parent
PHOTO, KIND = Domain(kind="image"), Domain(kind="category", classes=KINDS)
ASKED, FREE, TRANSLATOR, STYLED = "1", "2", "3", "4"  # the versions of `tiny`


def register(store: Store, run: str, root: Path, config: AnySystemConfig, shape: Shape, task: Task) -> None:
    """A version of `tiny`, of random weights."""
    torch.manual_seed(0)
    weights = {
        name: 8 * value if value.dim() == 4 else value
        for name, value in build(config, shape).networks.state_dict().items()
    }
    (card,) = Trained(weights, config, shape, task, GenerateConfig(batch_size=4), LINEAGE).write(root)
    replicates = root / "replicates.parquet"
    pq.write_table(pa.table({"fid": [1.0]}), replicates)
    measured = {"protocol": {"hash": "ab" * 32}}
    register_translator(store, run, root / card.name, measured, replicates, "tiny", "candidate")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sample")
    values = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    values["register"] |= {"model": "tiny", "experiment": "tests"}
    (root / "params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    home = root / LOCAL
    store = open_store(f"sqlite:///{home}/mlflow.db", home, "tests")
    run = store.client.create_run(store.client.get_experiment_by_name("tests").experiment_id).info.run_id
    size = (32, 32)
    asked = CGANConfig(latent=8, networks=ConvolutionsConfig(width=4, norm="none"))
    register(
        store, run, root / "a", asked, Shape(None, PHOTO.at(size), asked=KIND), Task(target="photo", condition="kind")
    )
    register(store, run, root / "b", DCGANConfig(latent=8, width=4), Shape(None, PHOTO.at(size)), Task(target="photo"))
    register(store, run, root / "c", SYSTEM, Shape(LABELS.at(size), PHOTO.at(size)), TO_PHOTO)
    styled = StyleGANConfig(latent=8, width=4, mapping=2)
    register(store, run, root / "d", styled, Shape(None, PHOTO.at(size)), Task(target="photo"))
    return root


@pytest.fixture
def inside(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(project)
    monkeypatch.delenv(URI, raising=False)
    return project


def read(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


def test_a_folder_holds_the_picture_of_each_seed_by_its_name(inside, tmp_path, capsys):
    out = tmp_path / "out"
    command = ["sample", ASKED, "--condition", "red", "--out", str(out)]
    cli.main([*command, "--seeds", "0-4,77"])
    assert "tiny version 1" in capsys.readouterr().err
    names = [f"seed_{seed:06d}.png" for seed in (0, 1, 2, 3, 4, 77)]
    assert sorted(path.name for path in out.iterdir()) == names
    generator = Generator.load(inside / "a/photo_by_kind", "cpu")
    own = generator.make(seeds=[0, 1, 2, 3, 4, 77], conditions=np.full(6, KINDS.index("red"), np.uint8))
    assert np.array_equal(np.stack([read(out / name) for name in names]), own)
    before = (out / "seed_000077.png").stat().st_mtime_ns
    with pytest.raises(SystemExit, match=r"seed_000077\.png: exists already; --force"):
        cli.main([*command, "--seeds", "76,77"])
    assert len(list(out.iterdir())) == 6
    cli.main([*command, "--seeds", "76,77", "--force"])
    assert (out / "seed_000077.png").stat().st_mtime_ns > before


def test_a_grid_holds_the_pictures_in_rows(inside, tmp_path):
    cli.main(["sample", FREE, "--seeds", "3-7", "--out", str(tmp_path / "grid.png")])
    grid = read(tmp_path / "grid.png")
    assert grid.shape == (2 * 34, 3 * 34, 3)
    own = Generator.load(inside / "b/photo", "cpu").make(seeds=range(3, 8))
    for place, picture in enumerate(own):
        row, column = divmod(place, 3)
        assert np.array_equal(grid[34 * row + 1 : 34 * row + 33, 34 * column + 1 : 34 * column + 33], picture)
    assert (grid[34:, 68:] == 255).all()


def test_a_truncation_holds_pictures_near_the_average_one(inside, tmp_path):
    import mlflow.pyfunc

    seeds, made = [3, 4, 5], {}
    for psi in ("1", "0.5", "0"):
        cli.main(
            [
                "sample",
                STYLED,
                "--seeds",
                "3-5",
                "--truncation",
                psi,
                "--out",
                str(tmp_path / f"of_{10 * float(psi):.0f}"),
            ]
        )
        made[psi] = np.stack([read(tmp_path / f"of_{10 * float(psi):.0f}" / f"seed_{seed:06d}.png") for seed in seeds])
    generator = Generator.load(inside / "d/photo", "cpu")
    assert np.array_equal(made["1"], generator.make(seeds=seeds))
    assert np.array_equal(made["0.5"], generator.make(seeds=seeds, truncations=[0.5] * 3))
    assert (made["0"] == made["0"][0]).all()  # without noise, as it is untrained, whatever the seed
    assert len({picture.tobytes() for picture in made["0.5"]}) == 3
    mlflow.set_registry_uri(open_store(f"sqlite:///{inside / LOCAL}/mlflow.db", inside / LOCAL, "tests").uri)
    model = mlflow.pyfunc.load_model(f"models:/tiny/{STYLED}")
    mixed = model.predict({"seed": seeds, "truncation": [1.0, 0.5, 0.0]})
    expected = np.stack([made[psi][i] for i, psi in enumerate(made)])
    assert np.abs(mixed.astype(int) - expected).max() <= 1  # unpadded, so another batch
    schema = model.metadata.signature.inputs.to_dict()
    assert [(column["name"], column["required"]) for column in schema] == [("seed", True), ("truncation", False)]
    plain = mlflow.pyfunc.load_model(f"models:/tiny/{FREE}")
    for given, said in (
        ((model, {"seed": seeds, "truncation": [1.0]}), "as many truncations as seeds"),
        ((model, {"seed": seeds, "truncation": ["a"] * 3}), "truncation: numbers from -1 to 1"),
        ((plain, {"seed": seeds, "truncation": [1.0] * 3}), "system dcgan keeps no average of W"),
    ):
        with pytest.raises(mlflow.exceptions.MlflowException, match=said):
            given[0].predict(given[1])


def test_of_points_each_is_marked_in_a_picture_of_their_density(tmp_path):
    ring = Domain(kind="point", mixture=PointsCut().mixtures()["point"])
    config, shape = DCGANConfig(latent=8), Shape(None, ring.at(POINT_SIZE))
    weights = dict(build(config, shape).networks.state_dict())
    Trained(weights, config, shape, Task(target="point"), GenerateConfig(), LINEAGE).write(tmp_path)
    generator = Generator.load(tmp_path / "point", "cpu")
    sampled = Sampled.of(generator, "tiny version 4", None)
    shown = np.stack(list(sampled.pictures(range(5))))
    assert shown.shape == (5, *sampled.size, 3)
    assert np.array_equal(shown, marked(ring.mixture, generator.make(seeds=range(5))))


def test_a_clip_goes_from_seed_to_seed(inside, tmp_path):
    av = pytest.importorskip("av")
    out = tmp_path / "clip.mp4"
    cli.main(
        [
            "sample",
            ASKED,
            "--condition",
            "light",
            "--seeds",
            "3,9",
            "--towards",
            "3",
            "--frames",
            "9",
            "--out",
            str(out),
        ]
    )
    with av.open(out) as file:
        (stream,) = file.streams
        assert (stream.codec_context.name, stream.average_rate, stream.width, stream.height) == (
            "h264",
            PER_SECOND,
            256,
            256,
        )
        shown = np.stack([frame.to_ndarray(format="rgb24") for frame in file.decode(stream)])
    ends = {"seeds": [3] * 4 + [9] * 5, "towards": [9] * 4 + [3] * 5}
    shares = [0.0, 0.25, 0.5, 0.75, 0.0, 0.25, 0.5, 0.75, 1.0]
    kinds = np.full(9, KINDS.index("light"), np.uint8)
    own = Generator.load(inside / "a/photo_by_kind", "cpu").make(**ends, shares=shares, conditions=kinds)
    large = own.repeat(8, axis=1).repeat(8, axis=2)
    assert shown.shape == large.shape
    apart = np.abs(shown[:, None].astype(int) - large[None]).mean(
        axis=(2, 3, 4)
    )  # of 255: each frame from each picture
    assert apart.diagonal().max() < 6  # what the encoder loses of colours at the edges of noise
    assert apart[:, :5].argmin(axis=1).tolist() == [0, 1, 2, 3, 4, 3, 2, 1, 0]  # there and back
    assert apart[4, 0] > 4
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


def test_colours_and_odd_sides_come_through_a_clip(tmp_path):
    av = pytest.importorskip("av")
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (200, 120, 40)]
    write_clip((np.full((301, 257, 3), colour, np.uint8) for colour in colours), tmp_path / "clip.mp4")
    with av.open(tmp_path / "clip.mp4") as file:
        frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    assert [frame.shape for frame in frames] == [(302, 258, 3)] * len(colours)
    for frame, colour in zip(frames, colours, strict=True):
        assert np.abs(frame.astype(int) - colour).max() <= 6


def test_a_failure_half_way_leaves_no_clip(tmp_path):
    pytest.importorskip("av")

    def failing():
        yield np.zeros((32, 32, 3), np.uint8)
        raise Fault("values that are not finite")

    with pytest.raises(Fault, match="not finite"):
        write_clip(failing(), tmp_path / "clip.mp4")
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_ends_it_in_one_line_and_leaves_no_clip(inside, tmp_path, capsys):
    pytest.importorskip("av")

    def press_when_it_writes():
        while not list(tmp_path.iterdir()):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press_when_it_writes, daemon=True).start()
    place = str(tmp_path / "clip.mp4")
    with pytest.raises(SystemExit) as ended:
        cli.main(["sample", FREE, "--seeds", "0", "--towards", "1", "--frames", "100000", "--out", place])
    assert ended.value.code == 130
    assert capsys.readouterr().err.endswith("\npix2pipe: stopped\n")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_done_is_refused_in_one_line_before_anything_is(inside, tmp_path):
    (tmp_path / "there.png").write_bytes(b"mine")
    (tmp_path / "file").write_bytes(b"mine")
    out = str(tmp_path / "out")
    for given, said in (
        ((ASKED, "--seeds", "0", "--out", out), "give --condition, one of dark, light, red"),
        ((ASKED, "--seeds", "0", "--out", out, "--condition", "blue"), "no such class; there are dark, light, red"),
        ((FREE, "--seeds", "0", "--out", out, "--condition", "red"), "makes photo without one; leave it out"),
        ((TRANSLATOR, "--seeds", "0", "--out", out), "translates labels to photo and .*use pix2pipe translate"),
        (("7", "--seeds", "0", "--out", out), "no version 7"),
        ((FREE, "--seeds", "a-b", "--out", out), "--seeds a-b: give seeds such as"),
        ((FREE, "--seeds", "0", "--out", str(tmp_path / "there.png")), "exists already; --force"),
        ((FREE, "--seeds", "0", "--out", str(tmp_path / "file")), "name a folder, a .png"),
        ((FREE, "--seeds", "0", "--out", out, "--truncation", "0.7"), "system dcgan keeps no average of W"),
        ((STYLED, "--seeds", "0", "--out", out, "--truncation", "1.5"), "truncation 1.5: from -1 to 1 is taken"),
        ((STYLED, "--seeds", "0", "--out", out, "--truncation", "nan"), "truncation nan: from -1 to 1 is taken"),
        ((FREE, "--seeds", "0", "--out", str(tmp_path / "clip.gif")), "name a folder, a .png"),
        ((FREE, "--seeds", "0", "--out", str(tmp_path / "clip.mp4")), "a clip needs --towards"),
        ((FREE, "--seeds", "0", "--out", out, "--towards", "1"), "make a clip; name a .mp4"),
        ((FREE, "--seeds", "0-99999", "--out", str(tmp_path / "grid.png")), "10,778x10,744 pixels; name fewer seeds"),
    ):
        with pytest.raises(SystemExit, match=said) as ended:
            cli.main(["sample", *given])
        assert "\n" not in str(ended.value)
    for frames, towards, said in (("1", "1", "--frames: from 2 to"), ("9", "1-2", "--towards 1-2: give one seed")):
        place = str(tmp_path / "clip.mp4")
        with pytest.raises(SystemExit, match=said):
            cli.main(["sample", FREE, "--seeds", "0", "--out", place, "--frames", frames, "--towards", towards])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "there.png"]
    assert (tmp_path / "there.png").read_bytes() == b"mine"


def test_a_clip_without_the_encoder_says_what_to_install(inside, tmp_path, monkeypatch):
    monkeypatch.setattr(clip, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match=re.escape("run pip install 'pix2pipe[clip]'")):
        cli.main(["sample", FREE, "--seeds", "0", "--towards", "1", "--out", str(tmp_path / "clip.mp4")])


def test_seeds_are_read_as_people_write_them():
    assert parse_seeds("5") == [5]
    assert parse_seeds("0-3, 8,6-6") == [0, 1, 2, 3, 8, 6]
    assert len(parse_seeds("0-99999")) == 100_000
    assert parse_seeds(str(2**63 - 1)) == [2**63 - 1]
    for text, said in (
        ("", "give seeds"),
        ("-1", "give seeds"),
        ("1-2-3", "give seeds"),
        ("1,,2", "give seeds"),
        ("1.5", "give seeds"),
        ("²", "give seeds"),
        ("9" * 400, "give seeds"),
        ("3-1", "runs backwards; write 1-3"),
        ("0-100000", "names 100,001 seeds; at most 100,000 are allowed"),
        ("0-9223372036854775807", "are allowed"),
        (str(2**63), "integers from 0 to"),
    ):
        with pytest.raises(Fault, match=said) as fault:
            parse_seeds(text)
        assert len(str(fault.value)) < 150
