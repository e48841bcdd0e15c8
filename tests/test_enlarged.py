"""The stages from judge to report with a system that enlarges pictures, and its version at use."""

import base64
import io
import json
import re
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.models.generator import Generator
from components.pages.demo.app import demo_app
from components.pages.demo.models import choose_versions, load_easels, load_models
from components.params import Params
from components.shards.reader import Split
from components.stage import Clock
from components.storage.files import read_json
from components.storage.home import LOCAL
from components.tasks.degrade import enlarged
from components.tracking.store import open_store, tracking_uri
from pipelines import cli, evaluate, generate, judge, register, report, train, tune
from tests.enlarged import write_enlarged
from tests.pages.demo.served import served
from tests.review.helpers import MLFLOW_WARNS
from tests.test_graph import SMALL

pytestmark = [*MLFLOW_WARNS, pytest.mark.filterwarnings("ignore:.*AnyType:UserWarning")]  # mlflow's own types
SYSTEM = {"name": "srgan", "width": 4, "blocks": 1, "resnet_share": 0.5, "residual": True, "norm": "none"}
OWN = {
    "system": SYSTEM | {"init": "kaiming", "discriminator": {"width": 4, "units": 8}},
    "train": {"num_workers": 0, "steps": 4, "batch_size": 4, "checkpoint_every": 2, "ema": 0.5},
    "tune": {"space": {"train.learning_rate": {"choice": [1e-4, 1e-3]}}, "num_trials": 0},
    "generate": {"batch_size": 4},
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one version that enlarges 8x12 to 32x48."""
    folder = tmp_path_factory.mktemp("enlarged")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name in ("MLFLOW_TRACKING_URI", "PIX2PIPE_ROOT"):
            patch.delenv(name, raising=False)
        write_enlarged(folder / "data/shards")
        params = Params.model_validate(SMALL | OWN)
        for stage in (judge, tune, train, generate, evaluate, register, report):
            stage.main(params, Clock(stage.__name__))
    (folder / "params.yaml").write_text(json.dumps(SMALL | OWN), encoding="utf-8")
    return folder


@pytest.fixture
def inside(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(project)
    for name in ("MLFLOW_TRACKING_URI", "PIX2PIPE_ROOT"):
        monkeypatch.delenv(name, raising=False)
    return project


def generator(project: Path) -> Generator:
    return Generator.load(project / "data/generated/small_to_photo", "cpu")


def test_every_test_picture_is_enlarged_and_measured(project):
    test, made = Split(project / "data/shards", "test"), Split(project / "data/generated/small_to_photo", "test")
    assert made.keys == test.keys
    assert made.picture(0, "photo").shape == (32, 48, 3)
    (measured,) = read_json(project / "data/metrics/rows.json").values()
    assert "psnr_y" in measured["rows"]["model"]
    assert "bicubic" in measured["rows"]
    assert read_json(project / "data/metrics/headline.json")["psnr_y"] > 0


def test_sample_grids_show_sources_at_the_size_of_their_targets(project):
    with Image.open(project / "data/runs/samples/step_000004.png") as picture:
        grid = np.asarray(picture)
    assert grid.shape == (3 * (32 + 2), 4 * (48 + 2), 3)  # source, made and true of the four val samples
    val = Split(project / "data/shards", "val")
    assert np.array_equal(grid[1:33, 1:49], val.picture(0, "small").repeat(4, axis=0).repeat(4, axis=1))
    assert np.array_equal(grid[69:101, 1:49], val.picture(0, "photo"))


def test_the_report_shows_low_bicubic_made_and_true_pictures(project):
    page = (project / "data/report/index.html").read_text(encoding="utf-8")
    assert page.count('class="triple quad"') == 6
    test = Split(project / "data/shards", "test")
    key = re.search(r'alt="small of (\w+) enlarged by bicubic', page)[1]
    data = re.search(rf'src="data:image/png;base64,([^"]+)" alt="small of {key} enlarged', page)[1]
    with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
        expected = enlarged(test.picture(test.keys.index(key), "small"), 4)
        assert np.array_equal(np.asarray(picture), expected)


def test_the_registered_version_enlarges(inside):
    import mlflow.pyfunc

    mlflow.set_registry_uri(open_store(tracking_uri(LOCAL), LOCAL, "pix2pipe", make=False).uri)
    model = mlflow.pyfunc.load_model("models:/tiny@candidate")
    low = Split(inside / "data/shards", "test").picture(0, "small")[None]
    assert np.array_equal(model.predict(low), generator(inside).translate(low, padded=False))
    signature = model.metadata.signature
    shapes = [schema.to_dict()[0]["tensor-spec"]["shape"] for schema in (signature.inputs, signature.outputs)]
    assert [tuple(shape) for shape in shapes] == [(-1, 8, 12, 3), (-1, 32, 48, 3)]


def test_the_demo_has_a_small_drawing_and_a_large_picture(inside):
    store = open_store(tracking_uri(LOCAL), LOCAL, "pix2pipe", make=False)
    versions, _ = choose_versions(store, "tiny", ())
    (easel,) = load_easels(store, load_models(store, versions), Path("data/shards"))
    found = easel.samples.read(0)
    low, truth = found.source, found.truth
    (made,) = easel.translate(low)
    assert made.shape == truth.shape == (32, 48, 3)
    assert np.array_equal(made, generator(inside).translate(low[None], padded=False)[0])
    with served(demo_app([easel], "", "127.0.0.1")) as address, urllib.request.urlopen(address) as answer:
        page = answer.read().decode()
    assert 'class="picture drawing" width="12" height="8"' in page
    assert 'width="48" height="32" role="img"' in page


def test_a_folder_is_enlarged_whatever_the_sizes(inside, tmp_path):
    (tmp_path / "in").mkdir()
    low = Split(inside / "data/shards", "test").picture(0, "small")
    Image.fromarray(low).save(tmp_path / "in/same.png")
    Image.new("RGB", (30, 21), (10, 200, 30)).save(tmp_path / "in/other.png")
    Image.new("L", (6000, 5000)).save(tmp_path / "in/huge.png")
    with pytest.raises(SystemExit, match=r"huge.png: would become 20000x24000 pixels; at most 100,000,000 are allowed"):
        cli.main(["translate", "candidate", str(tmp_path / "in"), "--out", str(tmp_path / "out")])
    made = {}
    for path in (tmp_path / "out").glob("*.png"):
        with Image.open(path) as picture:
            made[path.stem] = np.asarray(picture)
    assert {name: picture.shape for name, picture in made.items()} == {"same": (32, 48, 3), "other": (84, 120, 3)}
    assert np.array_equal(made["same"], generator(inside).translate(low[None])[0])


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize("form", [pytest.param("onnx", marks=pytest.mark.slow), "torchscript"])
def test_what_is_exported_has_the_versions_pixels(inside, tmp_path, capsys, form):
    if form == "onnx":
        pytest.importorskip("onnxruntime")
    capsys.readouterr()
    cli.main(["export", "candidate", "--format", form, "--out", str(tmp_path / "made.bin")])
    said = json.loads(capsys.readouterr().out)
    assert said["difference"] <= 1
    assert [port["shape"] for port in (*said["inputs"], *said["outputs"])] == [["N", 8, 12, 3], ["N", 32, 48, 3]]
