"""The whole graph on a folder with attributes.csv, from noise: what is made, measured, shown and asked for."""

import json

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from components.faults import Fault
from components.models.generator import Generator
from components.models.portable_file import write_portable
from components.pages.demo.noise import noise_app
from components.shards.reader import Split
from pipelines import cli
from tests.attributes import CGAN, NAMES, candidates, load_candidate, measured_in, options, run_graph
from tests.pages.demo.served import pixels, served
from tests.pages.demo.test_requests import answer
from tests.review.helpers import MLFLOW_WARNS

pytestmark = [*MLFLOW_WARNS, pytest.mark.filterwarnings("ignore:.*AnyType:UserWarning")]  # mlflow's own types
MADE = "photo_by_look"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder in which all stages have run, with pictures from noise."""
    folder = tmp_path_factory.mktemp("made")
    run_graph(folder, CGAN)
    return folder


def test_from_noise_each_picture_has_the_attributes_of_a_test_sample(made):
    test, pictures = Split(made / "data/shards", "test"), Split(made / f"data/generated/{MADE}", "test")
    assert test.domains["look"].classes == NAMES
    assert pictures.keys == test.keys
    generator = Generator.load(made / f"data/generated/{MADE}", "cpu")
    looks = np.stack([test.picture(i, "look") for i in range(8)])
    assert sorted(looks.tolist()) == sorted([i % 2, i // 2 % 2, i // 4 % 2] for i in range(8))
    expected = generator.make(seeds=range(8), conditions=looks)
    assert all(np.array_equal(pictures.picture(i, "photo"), expected[i]) for i in range(8))


def test_what_is_read_back_of_them(made):
    measured = measured_in(made)
    rows = measured["rows"]
    assert set(rows) == {"model", "real", "floor", "shuffled"}
    for row in ("model", "real", "shuffled"):
        each = rows[row]["condition_accuracy_per_class"]
        assert list(each) == list(NAMES)
        mean = np.mean([figure["value"] for figure in each.values()])
        assert rows[row]["condition_accuracy"]["value"] == pytest.approx(mean)
    ceiling = json.loads((made / "data/judge/judge.json").read_text())["ceiling"]["test"]
    assert ceiling["accuracy"] == pytest.approx(rows["real"]["condition_accuracy"]["value"])
    assert ceiling["accuracy_red"] == pytest.approx(rows["real"]["condition_accuracy_per_class"]["red"]["value"])
    assert ceiling["accuracy"] > 0.8  # three attributes that a few steps learn: 0.5 is chance
    assert measured["protocol"]["classes"] == list(NAMES)
    headline = json.loads((made / "data/metrics/headline.json").read_text())
    assert headline["condition_accuracy"] == pytest.approx(rows["model"]["condition_accuracy"]["value"], rel=1e-3)


def test_its_page_and_sheet_have_a_row_for_each_attribute(made):
    page = (made / "data/report/index.html").read_text()
    assert "A row for each attribute alone: none, bright, red, framed" in page
    assert "How often the attribute is read back" in page
    assert ">bright,red</span>" in page or ">bright,framed</span>" in page  # below a picture, what was asked for
    whole = np.asarray(Image.open(made / f"data/generated/{MADE}/sheet.png"))
    generator = Generator.load(made / f"data/generated/{MADE}", "cpu")
    assert whole.shape == (4 * 34, 8 * 34, 3)
    asked = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.uint8)
    for row, look in enumerate(asked):
        expected = generator.make(seeds=[5], conditions=look[None])[0]
        assert np.array_equal(whole[row * 34 + 1 : row * 34 + 33, 5 * 34 + 1 : 5 * 34 + 33], expected)


def test_the_registered_version_takes_names_of_attributes(made, monkeypatch):
    from mlflow.exceptions import MlflowException

    model, generator = load_candidate(made, monkeypatch), Generator.load(made / f"data/generated/{MADE}", "cpu")
    looks = np.array([[1, 0, 1], [0, 0, 0]], np.uint8)
    expected = generator.make(seeds=[3, 4], conditions=looks, padded=False)
    assert np.array_equal(model.predict({"seed": [3, 4], "condition": ["framed,bright", "none"]}), expected)
    with pytest.raises(MlflowException, match="condition hat: hat is no attribute; there are bright, red, framed"):
        model.predict({"seed": [3], "condition": ["hat"]})
    for looks in (np.array([[1, 0]], np.uint8), np.array([1], np.uint8)):
        with pytest.raises(Fault, match=r"conditions are .* of each picture; cgan takes \(3,\): bright, red, framed"):
            generator.make(seeds=[3], conditions=looks)
    with pytest.raises(Fault, match="attribute red is neither 0 nor 1"):
        generator.make(seeds=[3], conditions=np.array([[0, 2, 0]], np.uint8))


def test_sample_is_told_the_attributes(made, tmp_path, monkeypatch):
    common = options(made, tmp_path, monkeypatch)
    generator = Generator.load(made / f"data/generated/{MADE}", "cpu")
    for text, look in (("red,framed", [0, 1, 1]), ("none", [0, 0, 0])):
        cli.main(["sample", "candidate", "--seeds", "7", "--condition", text, "--force", *common])
        expected = generator.make(seeds=[7], conditions=np.array([look], np.uint8))[0]
        assert np.array_equal(np.asarray(Image.open(tmp_path / "out/seed_000007.png")), expected)
    for more, said in (
        ([], "give --condition, none or some of bright, red, framed"),
        (["--condition", "hat"], "--condition hat: hat is no attribute; there are bright, red, framed"),
    ):
        with pytest.raises(SystemExit, match=said):
            cli.main(["sample", "candidate", "--seeds", "8", *more, *common])


def test_an_exported_file_takes_zeros_and_ones(made, tmp_path):
    generator = Generator.load(made / f"data/generated/{MADE}", "cpu")
    written = write_portable(generator, "tiny 1", "torchscript", tmp_path / "out.pt")
    port = next(port for port in written["inputs"] if port["name"] == "condition")
    assert (port["dtype"], port["shape"]) == ("uint8", ["N", 3])
    assert "bright, red, framed" in port["values"]
    assert written["difference"] <= 1


def test_the_page_of_pictures_from_noise_has_a_box_for_each_attribute(made, monkeypatch, browser: Browser):
    _, models = candidates(made, monkeypatch)
    generator = Generator.load(made / f"data/generated/{MADE}", "cpu")
    with served(noise_app(models, "", "127.0.0.1")) as address:
        page = browser.new_page(viewport={"width": 390, "height": 844})
        page.goto(address)
        settled = expect(page.locator(".made-all"))
        settled.to_have_attribute("aria-busy", "false", timeout=60_000)
        for boxes, look in (((), [0, 0, 0]), (("red", "framed"), [0, 1, 1])):
            for box in boxes:
                page.get_by_label(box, exact=True).check()
            expect(page.locator(".shown")).to_contain_text(f"Seed 0, {', '.join(boxes) or 'none'}")
            settled.to_have_attribute("aria-busy", "false", timeout=60_000)
            ends = {"seeds": [0], "towards": [1], "shares": [0.0]}
            expected = generator.make(**ends, conditions=np.array([look], np.uint8), padded=False)[0]
            assert np.array_equal(pixels(page, ".made canvas"), expected)
        page.close()
        for asked in ("01", "0120", "abc"):
            status, _, body = answer(address, "GET", f"/made/0/1/0/{asked}")
            assert status == 422, asked
            assert "0 or 1 for each attribute" in body.decode()
