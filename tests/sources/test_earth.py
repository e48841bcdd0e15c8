"""The Earth: merged classes, tiles, splits by longitude band that share no pixel."""

from itertools import pairwise

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from components.faults import Fault
from components.files import write_json
from components.sources import open_source
from components.sources.earth_cut import (
    NINE_CLASSES,
    EarthCut,
    MergedClass,
    band_runs,
    cut_tiles,
    merge_codes,
    nearest_resize,
)

CUT = EarthCut(size=16, stride=8)


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
    write_json(folder / "source.json", {"name": "earth"})
    return tmp_path / "raw"


def test_no_two_splits_share_a_pixel(raw):
    for cut in (CUT, EarthCut(size=16, stride=3, min_land=0), EarthCut(size=13, stride=5, band_degrees=17.3)):
        source = open_source(raw, cut)
        owner = np.full(source.photo.shape[:2], "", dtype="U5")
        for split, units in source.splits.items():
            assert units
            for unit in units:
                window = owner[unit.row : unit.row + cut.size, unit.column : unit.column + cut.size]
                assert window.shape == (cut.size, cut.size)
                assert set(np.unique(window)) <= {"", split}
                window[...] = split


def test_tiles_are_all_those_with_enough_land():
    random = np.random.default_rng(1)
    land = random.random((180, 360)) < 0.3
    cut = EarthCut(size=10, stride=4, min_land=0.32)
    found = {(unit.row, unit.column) for units in cut_tiles(land, cut).values() for unit in units}
    expected = {
        (row, column)
        for _, left, right in band_runs(cut, 360)
        for row in range(10, 150 - 10 + 1, 4)
        for column in range(left, right - 10 + 1, 4)
        if land[row : row + 10, column : column + 10].mean() >= 0.32
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
        assert (source.labels == index).sum() == np.isin(codes, merged.codes).sum()


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
    np.testing.assert_array_equal(pictures["labels"], source.labels[unit.row :, unit.column :][:16, :16])


def test_code_without_class_is_named_with_its_place(tmp_path):
    codes = np.zeros((180, 360), np.uint8)
    codes[45, 200] = 255
    with pytest.raises(Fault, match=r"l.tif: land-cover code 255 at 44.50 N, 20.50 E is in no class"):
        merge_codes(codes, NINE_CLASSES, tmp_path / "l.tif")


def test_faults_of_the_rasters(raw):
    with pytest.raises(Fault, match="not found"):
        open_source(raw / "nowhere", CUT)
    with pytest.raises(Fault, match="the val split is empty"):
        open_source(raw, EarthCut(size=50, band_degrees=20, pattern=("train",) * 3 + ("test",) * 3 + ("val",)))
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
