"""A folder of pictures through a registered version: sizes, names and seams; what is refused."""

from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from components.faults import Fault
from components.models.tiles import count_tiles, translate_picture
from components.networks.layers import init_kaiming
from components.networks.srresnet import SRResNet
from components.samples.domain import Domain
from components.shards.reader import Split
from components.storage.home import LOCAL
from components.tasks.encoding import decode, encode
from components.tracking.config import RegisterConfig
from components.tracking.reachable import URI
from components.tracking.record import Outputs, gather
from components.tracking.registry import register_all
from components.tracking.run import log_record
from components.tracking.store import open_store
from pipelines import cli
from pipelines.cli.translate import _plan
from tests.conftest import TINY_CLASSES, TINY_PALETTE
from tests.review.helpers import MLFLOW_WARNS
from tests.stage_outputs import KEY, build_outputs

pytestmark = MLFLOW_WARNS
ROOT = Path(__file__).parent.parent
IMAGE = Domain(kind="image")
LABELS = Domain(kind="label", classes=TINY_CLASSES, palette=TINY_PALETTE)


@dataclass
class Same:
    """A translator that gives back what it is given, but for the edges of its tiles, which are wrong."""

    source: Domain
    target: Domain
    seen: list[int] = field(default_factory=list)

    def translate(self, batch: np.ndarray) -> np.ndarray:
        self.seen.append(len(batch))
        return batch


@pytest.mark.parametrize("domain", [IMAGE, LABELS], ids=["image", "labels"])
@pytest.mark.parametrize("size", [(8, 16), (9, 16), (40, 50), (3, 5), (100, 17)])
def test_tiles_cover_a_picture_of_any_size_exactly(domain, size):
    random = np.random.default_rng(0)
    picture = random.integers(0, 4, size).astype(np.uint8)
    if domain.kind == "image":
        picture = random.integers(0, 256, (*size, 3)).astype(np.uint8)
    translator, counted = Same(domain.at((8, 16)), domain.at((8, 16))), []
    assert np.array_equal(translate_picture(translator, picture, counted.append), picture)
    assert sum(counted) == sum(translator.seen) == count_tiles(translator, *size)


def test_the_edges_of_tiles_hardly_count():
    class Edgy(Same):
        def translate(self, batch):
            made = np.full_like(batch, 100)
            made[:, 0], made[:, -1], made[:, :, 0], made[:, :, -1] = 0, 0, 0, 0
            return made

    made = translate_picture(Edgy(IMAGE.at((16, 16)), IMAGE.at((16, 16))), np.zeros((64, 64, 3), np.uint8))
    assert made[2:-2, 2:-2].min() > 80


class Fourfold:
    """A network that sees 10 pixels around each, through tiles of 24x32 or as a whole: four times as large."""

    source, target = IMAGE.at((24, 32)), IMAGE.at((96, 128))

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.network = init_kaiming(SRResNet(3, 3, 4, width=8, blocks=1, norm_name="none", residual=True)).eval()
        with torch.no_grad():
            self.network.last.weight *= 1.5  # so that it adds about 25 of 255 to its source

    @torch.inference_mode()
    def translate(self, batch: np.ndarray) -> np.ndarray:
        return decode(IMAGE, self.network(encode(IMAGE, batch)))


def test_a_picture_is_enlarged_without_seams():
    """It is what the network makes of the whole picture, and nowhere does it jump where that does not."""
    picture = np.random.default_rng(0).integers(0, 256, (20, 25, 3), dtype=np.uint8)
    picture = np.array(Image.fromarray(picture).resize((90, 70), Image.Resampling.BICUBIC))
    large = Fourfold()
    whole = large.translate(picture[None])[0].astype(int)
    off = translate_picture(large, picture) - whole
    joined = whole.copy()  # tiles that lie side by side
    for top, left in product((0, 24), (0, 32)):
        part = picture[None, top : top + 24, left : left + 32]
        joined[4 * top :, 4 * left :][:96, :128] = large.translate(part)[0]
    assert off.shape == (280, 360, 3)
    assert np.abs(off).mean() < 2
    jumps, edges = np.abs(np.diff(off, axis=1)).mean((0, 2)), np.abs(np.diff(joined - whole, axis=1)).mean((0, 2))
    assert edges[127] == edges.max() > 4 * jumps.max()


def test_a_picture_smaller_than_a_tile_is_enlarged_as_far_as_it_goes():
    assert translate_picture(Fourfold(), np.zeros((5, 7, 3), np.uint8)).shape == (20, 28, 3)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, tiny_shards: Path) -> Path:
    """A project with one version of labels -> photo, 32 x 32."""
    root = build_outputs(tmp_path_factory.mktemp("translate") / "project", tiny_shards)
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values["register"] |= {"model": "tiny", "experiment": "tests"}
    (root / "params.yaml").write_text(yaml.safe_dump(values))
    data, home = root / "data", root / LOCAL
    timed = home / f"runs/{KEY}/throughput.json"
    outputs = Outputs(data / "runs", data / "generated", data / "metrics", timed, root / "dvc.lock")
    store = open_store(f"sqlite:///{home}/mlflow.db", home, "tests")
    register_all(store, log_record(store, gather(outputs, "b" * 40)), outputs, RegisterConfig(model="tiny"))
    return root


@pytest.fixture
def inside(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(project)
    monkeypatch.delenv(URI, raising=False)
    return project


def read(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


def test_a_folder_is_translated_with_sizes_and_names_kept(inside, tmp_path, capsys):
    test = Split(inside / "data/shards", "test")
    labels = test.picture(0, "labels")
    colours = np.asarray(TINY_PALETTE, np.uint8)[labels]
    (tmp_path / "in/deep").mkdir(parents=True)
    Image.fromarray(labels).save(tmp_path / "in/indices.png")
    Image.fromarray(colours).save(tmp_path / "in/deep/drawn.png")
    Image.fromarray(np.tile(labels, (2, 3))[:50, :70]).save(tmp_path / "in/large.png")
    (tmp_path / "in/notes.txt").write_text("x")
    (tmp_path / "in/broken.png").write_text("no picture")
    command = ["translate", "candidate", str(tmp_path / "in"), "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit, match=r"1 of 4 pictures could not be translated: broken\.png"):
        cli.main(command)
    assert "passed over 1 .txt" in capsys.readouterr().err
    out = tmp_path / "out"
    made = {path.relative_to(out).as_posix(): read(path) for path in out.rglob("*.png")}
    assert {name: picture.shape[1::-1] for name, picture in made.items()} == {
        "indices.png": (32, 32),
        "deep/drawn.png": (32, 32),
        "large.png": (70, 50),
    }
    truth = Split(inside / "data/generated/labels_to_photo", "test").picture(0, "photo")
    for name in ("indices.png", "deep/drawn.png"):
        assert np.array_equal(made[name], truth)
    (tmp_path / "in/broken.png").unlink()
    with pytest.raises(SystemExit, match="exists already; --force"):
        cli.main(command)
    with pytest.raises(SystemExit, match="style brick: this system shows nothing in styles; leave it out"):
        cli.main([*command, "--force", "--style", "brick"])
    cli.main([*command, "--force"])


def test_where_the_results_go_may_lie_in_or_over_the_folder_but_not_be_it(tmp_path):
    source = tmp_path / "pictures/summer"
    source.mkdir(parents=True)
    for place in (source / "a.png", source / "out/a.png"):
        place.parent.mkdir(exist_ok=True)
        Image.new("L", (4, 4)).save(place)
    assert _plan(source, source / "out", force=True) == {source / "a.png": source / "out/a.png"}
    assert len(_plan(source, tmp_path / "pictures", force=False)) == 2
    with pytest.raises(Fault, match="--out"):
        _plan(source, source / "../summer", force=True)


def test_what_cannot_be_done_is_refused_before_anything_is(inside, tmp_path):
    for name in ("a.png", "a.jpg"):
        Image.new("L", (4, 4)).save(tmp_path / name)
    out = ["--out", str(tmp_path / "out")]
    for arguments, said in (
        (["translate", "candidate", str(tmp_path), *out], "would both become"),
        (["translate", "candidate", str(tmp_path / "none"), *out], "is not a folder"),
        (["translate", "7", str(inside / "data/runs/samples"), *out], "no version 7"),
    ):
        with pytest.raises(SystemExit, match=said):
            cli.main(arguments)
    assert not (tmp_path / "out").exists()
