"""The whole graph on a folder with attributes.csv, within one domain: what is made, measured, shown and asked for."""

import json
from pathlib import Path
from random import Random

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from components.evaluation.config import EvaluateConfig
from components.evaluation.evaluate import evaluate as measure
from components.faults import Fault
from components.models.card import CARD, read_card
from components.models.generator import Generator
from components.pages.curves import number
from components.pages.demo.app import demo_app
from components.pages.demo.models import load_easels
from components.plan import check_plan
from components.review.measured import MeasuredVersion
from components.review.side_by_side import side_by_side
from components.samples.task import Task
from components.shards.manifest import Manifest
from components.shards.reader import Split
from components.shards.turns import open_turns, require_each_class
from components.shards.writer import write_set
from components.stage import Clock
from components.study.algorithms import open_algorithms
from components.study.shown import ShownPictures
from components.systems.judge import Judge, load_judge
from components.tracking.versions import Version
from components.training.config import TrainConfig
from components.training.run import plan
from pipelines import cli, fetch, shard
from tests.attributes import (
    CGAN,
    NAMES,
    STAR_GAN,
    candidates,
    load_candidate,
    measured_in,
    options,
    params_of,
    photo,
    run_graph,
    write_pictures,
)
from tests.pages.demo.served import pixels, served
from tests.pages.demo.test_requests import answer
from tests.review.helpers import MLFLOW_WARNS
from tests.study.helpers import no_store

pytestmark = [*MLFLOW_WARNS, pytest.mark.filterwarnings("ignore:.*AnyType:UserWarning")]  # mlflow's own types
TURNED = "photo_to_another_look"
WITHIN = Task(source="photo", target="photo", condition="look")


@pytest.fixture(scope="module")
def turned(tmp_path_factory):
    """A folder in which all stages have run, with pictures that get another attribute."""
    folder = tmp_path_factory.mktemp("turned")
    run_graph(folder, STAR_GAN)
    return folder


def test_within_one_domain_each_attribute_is_changed_in_turn(turned):
    test, pictures = Split(turned / "data/shards", "test"), Split(turned / f"data/generated/{TURNED}", "test")
    turns = open_turns(test, "look")
    assert pictures.keys == turns.keys
    assert len(turns.keys) == 8 * 3
    assert turns.keys[:3] == [f"test_test_00-to-{name}_1" for name in NAMES]
    for i, place in enumerate(turns.places):
        own = test.picture(int(place), "look")
        differs = np.flatnonzero(own != turns.asked[i])
        assert differs.tolist() == [i % 3]
        assert turns.names[turns.ends[i]] == f"{NAMES[i % 3]}={turns.asked[i][i % 3]}"
        assert test.picture(int(turns.partners[i]), "look")[i % 3] == turns.asked[i][i % 3]
    generator = Generator.load(turned / f"data/generated/{TURNED}", "cpu")
    sources = np.stack([test.picture(int(place), "photo") for place in turns.places])
    expected = generator.make(sources=sources, conditions=turns.asked)
    assert all(np.array_equal(pictures.picture(i, "photo"), expected[i]) for i in range(24))


def test_the_turns_of_a_way_are_those_that_give_an_attribute_one_value(turned):
    turns = open_turns(Split(turned / "data/shards", "test"), "look")
    ways = {way.name: way for way in turns.ways()}
    assert list(ways) == [f"{name}={value}" for name in NAMES for value in (1, 0)]
    assert sorted(np.concatenate([way.turns for way in ways.values()]).tolist()) == list(range(24))
    assert all((turns.asked[ways["red=0"].turns, 1] == 0).tolist())
    assert turns.members.sum(0).tolist() == [4] * 6


def test_what_is_measured_of_them(turned):
    measured = measured_in(turned)
    rows = measured["rows"]
    assert set(rows) == {"model", "real", "floor", "input"}
    ways = {f"{name}={value}" for name in NAMES for value in (0, 1)}
    for row in ("model", "input"):
        assert set(rows[row]["kid_efficientnet_lite0_per_way"]) == ways
        assert {"condition_accuracy", "condition_kept", "condition_accuracy_per_class"} <= set(rows[row])
    assert set(rows["floor"]["fid_efficientnet_lite0_per_way"]) == ways
    assert set(rows["real"]) == {"condition_accuracy", "condition_accuracy_per_class"}
    # The source itself: what should have changed has not, and all else is as it was.
    real = rows["real"]["condition_accuracy"]["value"]
    assert rows["input"]["condition_kept"]["value"] == pytest.approx(real)
    assert rows["input"]["condition_accuracy"]["value"] == pytest.approx(1 - real)
    assert measured["skipped"]["pixels"].startswith("no true picture")


def made_by(shards: Path, root: Path, look: object) -> Split:
    """A generated set in which each turn shows a photo with the attributes that `look(own, asked)` gives."""
    test = Split(shards, "test")
    turns = open_turns(test, "look")
    samples = [
        (key, {"photo": photo(*look(turns.shown[turns.places[i]], turns.asked[i]), seed=i)})
        for i, key in enumerate(turns.keys)
    ]
    write_set(root, "made", {"photo": test.domains["photo"]}, Task(target="photo"), {"test": samples})
    return Split(root, "test")


def test_what_is_changed_and_what_is_kept_are_told_apart(turned, tmp_path):
    """Pictures drawn as asked for have both figures near the ceiling; those that lose all else have one of them."""
    shards, reader = turned / "data/shards", load_judge(turned / "data/judge")
    assert isinstance(reader, Judge)
    splits = Split(shards, "train"), Split(shards, "test")
    config = EvaluateConfig(num_bootstrap=40)
    right = made_by(shards, tmp_path / "right", lambda _, asked: asked)
    other = made_by(shards, tmp_path / "other", lambda own, asked: np.where(own == asked, 1 - own, asked))
    found = {}
    for name, split in (("right", right), ("other", other)):
        found[name] = measure(config, *splits, split, WITHIN, reader, turned / "cache", only=()).metrics["rows"][
            "model"
        ]
    ceiling = json.loads((turned / "data/judge/judge.json").read_text())["ceiling"]["test"]["accuracy"]
    assert ceiling > 0.8
    for name, changed, kept in (("right", True, True), ("other", True, False)):
        assert (found[name]["condition_accuracy"]["value"] > 0.7) is changed
        assert (found[name]["condition_kept"]["value"] > 0.7) is kept


def test_its_page_shows_each_attribute_changed(turned):
    page = (turned / "data/report/index.html").read_text()
    assert "With each attribute changed" in page
    ways = measured_in(turned)["rows"]["model"]["fid_efficientnet_lite0_per_way"]
    cells = "".join(f"<td>{number(ways[f'bright={value}']['value'])}</td>" for value in (1, 0))
    assert f'<th scope="row">bright</th>{cells}' in page
    assert ">red=1</span>" in page
    test, generator = Split(turned / "data/shards", "test"), Generator.load(turned / f"data/generated/{TURNED}", "cpu")
    whole = np.asarray(Image.open(turned / f"data/generated/{TURNED}/sheet.png"))
    assert whole.shape == (8 * 34, 4 * 34, 3)
    cells = whole[3 * 34 + 1 : 3 * 34 + 33].reshape(32, 4, 34, 3)[:, :, 1:33]
    picture, own = test.picture(3, "photo"), test.picture(3, "look")
    assert np.array_equal(cells[:, 0], picture)
    for column in range(3):
        look = own.copy()
        look[column] = 1 - look[column]
        assert np.array_equal(cells[:, 1 + column], generator.make(sources=picture[None], conditions=look[None])[0])


def test_translate_is_told_all_attributes_or_those_that_change(turned, tmp_path, monkeypatch):
    common = [*options(turned, tmp_path, monkeypatch), "--force"]
    pictures = write_pictures(tmp_path / "in", counts=(1, 1, 4))
    test, generator = turned / "in/test", Generator.load(turned / f"data/generated/{TURNED}", "cpu")
    source = np.asarray(Image.open(pictures / "test/test_03.png"))  # bright and red
    assert test.is_dir()
    for text, look in (
        ("framed", [0, 0, 1]),
        ("none", [0, 0, 0]),
        ("framed=1", [1, 1, 1]),
        ("red=0,framed=1", [1, 0, 1]),
        ("red=1", [1, 1, 0]),
    ):
        cli.main(["translate", "candidate", str(pictures), "--condition", text, *common])
        expected = generator.make(sources=source[None], conditions=np.array([look], np.uint8))[0]
        assert np.array_equal(np.asarray(Image.open(tmp_path / "out/test/test_03.png")), expected), text
    cli.main(["translate", "candidate", str(pictures), *common])
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"none", *NAMES}
    table = pictures / "attributes.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join([*lines[:-1], ""]), encoding="utf-8")
    for remove, text, said in (
        (False, "red=1", r"test/test_03\.png: has no row in"),
        (False, "hat=1", "--condition hat=1: hat is no attribute; there are bright, red, framed"),
        (False, "red=1,framed", "give framed 0 or 1"),
        (True, "red=1", r"attributes\.csv does not exist, and it says which attributes each picture has"),
    ):
        if remove:
            table.unlink()
        with pytest.raises(SystemExit, match=said) as refused:
            cli.main(["translate", "candidate", str(pictures), "--condition", text, *common])
        assert "\n" not in str(refused.value)


def test_the_registered_version_takes_a_picture_and_names(turned, monkeypatch):
    model, generator = load_candidate(turned, monkeypatch), Generator.load(turned / f"data/generated/{TURNED}", "cpu")
    picture = Split(turned / "data/shards", "test").picture(0, "photo")
    expected = generator.in_condition("red,bright").translate(picture[None], padded=False)
    assert np.array_equal(model.predict({"picture": picture[None], "condition": ["bright,red"]}), expected)
    assert not np.array_equal(model.predict({"picture": picture[None], "condition": ["none"]}), expected)


def test_the_page_to_draw_on_has_a_box_for_each_attribute(turned, monkeypatch, browser: Browser):
    store, models = candidates(turned, monkeypatch)
    (easel,) = load_easels(store, models, turned / "data/shards")
    generator = Generator.load(turned / f"data/generated/{TURNED}", "cpu")
    test = Split(turned / "data/shards", "test")
    with served(demo_app([easel], "", "127.0.0.1")) as address:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(address)
        settled = expect(page.locator(".made-all"))
        settled.to_have_attribute("aria-busy", "false", timeout=60_000)
        sample = test.read(test.keys.index(page.locator(".shown").inner_text().split(", ")[1].split(".")[0]))[1]
        boxes = [page.get_by_label(name, exact=True) for name in NAMES]
        look = sample["look"].copy()
        assert [box.is_checked() for box in boxes] == look.astype(bool).tolist()  # as the sample's own are
        for change in (None, 1):
            if change is not None:
                boxes[change].click()
                look[change] = 1 - look[change]
                page.wait_for_timeout(100)
            settled.to_have_attribute("aria-busy", "false", timeout=60_000)
            expected = generator.make(sources=sample["photo"][None], conditions=look[None], padded=False)[0]
            assert np.array_equal(pixels(page, ".made-all > .made canvas"), expected)
        page.close()
        raw = {"content-type": "application/octet-stream"}
        for asked in ("", "?asked=01", "?asked=0120"):
            status, _, body = answer(address, "POST", f"/translate/{TURNED}{asked}", sample["photo"].tobytes(), **raw)
            assert status == 422
            assert "0 or 1 for each attribute" in body.decode()


def test_the_study_and_a_review_show_them(turned):
    shards = turned / "data/shards"
    algorithms = open_algorithms([], turned / "data/generated", shards, None, turned / "work", no_store)
    pictures = ShownPictures(shards, algorithms)
    assert not pictures.paired  # no test picture is the true one
    assert len(pictures.samples(Random(0))) == 8
    folder = turned / f"data/generated/{TURNED}"
    version = Version("tiny", 1, (), {}, "", "", "", 0)
    kept = MeasuredVersion(version, folder, read_card(folder / CARD), measured_in(turned), {})
    samples = side_by_side(shards, kept, None, 3)
    assert [set(sample.pictures) for sample in samples] == [{"source", "candidate"}] * 3


def test_an_attribute_of_one_value_in_train_is_refused_when_the_shards_are_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PIX2PIPE_ROOT", raising=False)
    folder = write_pictures(tmp_path / "in", constant=True)
    for system in (CGAN, STAR_GAN):
        params = params_of(folder, system)
        fetch.main(params, Clock("fetch"))
        with pytest.raises(Fault, match="look framed=1 has 0 of the train samples") as refused:
            shard.main(params, Clock("shard"))
        assert "\n" not in str(refused.value)
        with pytest.raises(Fault, match="look framed=1 has 0 of the train samples"):
            plan(params.system, TrainConfig(steps=1, batch_size=4), tmp_path / "data/shards", tmp_path / "runs")


def test_a_system_of_one_class_at_a_time_is_refused_by_the_first_stage(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("star_gan_v2", "stacked_gan"):
        with pytest.raises(Fault, match=rf"system\.name: {name} takes one class at a time, .*train\.task"):
            check_plan(params_of(tmp_path, {"name": name}))
    task = {"target": "look", "condition": "photo"}
    params = params_of(tmp_path, CGAN, train={"steps": 1, "batch_size": 4, "task": task})
    with pytest.raises(Fault, match=r"train\.task\.condition: photo is of kind image; a condition is a category or"):
        check_plan(params)
    check_plan(params_of(tmp_path, CGAN))


def test_a_few_test_pictures_with_an_attribute_are_needed(turned, tmp_path):
    split = Split(turned / "data/shards", "test")
    manifest = split.manifest
    few = Manifest.model_validate(manifest.model_dump() | {"totals": manifest.totals | {"test": {"look": (4, 7, 4)}}})
    with pytest.raises(Fault, match="look red=0 has 1 of the test samples"):
        require_each_class(few, "test", "look")
