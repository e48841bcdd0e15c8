"""Pictures that somebody sends: fitted by one rule, bounded, or refused in one line."""

import io
import time

import numpy as np
import pytest
from PIL import Image

from components.pages.demo.upload import decode_upload
from components.samples.source import BadSample
from tests.conftest import TINY_PALETTE, tiny_sample
from tests.pages.demo.served import LABELS, PHOTO
from tests.sources.test_pictures import huge_png


def encoded(picture: np.ndarray | Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(file, kind, **options)
    return file.getvalue()


def test_the_middle_is_fitted() -> None:
    sample = tiny_sample(0)
    wide = np.pad(sample["photo"], ((0, 0), (10, 10), (0, 0)))
    tall = np.pad(sample["labels"], ((6, 6), (0, 0)))
    assert np.array_equal(decode_upload(encoded(wide), PHOTO.at((32, 32))), sample["photo"])
    assert np.array_equal(decode_upload(encoded(tall), LABELS.at((32, 32))), sample["labels"])
    twice = sample["labels"].repeat(2, 0).repeat(2, 1)
    assert np.array_equal(decode_upload(encoded(twice), LABELS.at((32, 32))), sample["labels"])
    # A source need not be square.
    assert np.array_equal(decode_upload(encoded(sample["photo"]), PHOTO.at((16, 32))), sample["photo"][8:24])


def test_labels_by_index_by_colour_and_by_palette() -> None:
    labels = tiny_sample(1)["labels"]
    palette = Image.fromarray(labels[::-1] ^ 1)  # indices that are not the classes, and a palette that says so
    palette.putpalette([value for i in range(4) for value in TINY_PALETTE[i ^ 1]])
    drawn = np.asarray(TINY_PALETTE, np.uint8)[labels]
    blurred = encoded(drawn.repeat(4, 0).repeat(4, 1), "JPEG", quality=90)
    assert np.array_equal(decode_upload(encoded(labels), LABELS.at((32, 32))), labels)
    assert np.array_equal(decode_upload(encoded(drawn), LABELS.at((32, 32))), labels)
    assert np.array_equal(decode_upload(encoded(palette), LABELS.at((32, 32))), labels[::-1])
    assert (decode_upload(blurred, LABELS.at((32, 32))) == labels).mean() > 0.97


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"", "not a PNG, JPEG"),
        (huge_png(50_000, 50_000), "pixels, more than"),
        (huge_png(5_001, 5_000), "pixels, more than 12,500,000"),
        (encoded(np.full((8, 8), 4, np.uint8)), "label value 4 at row 0"),
        (encoded(np.full((8, 8, 3), (255, 0, 255), np.uint8)), "off those of the classes on average"),
    ],
)
def test_refused_in_one_line(data: bytes, line: str) -> None:
    with pytest.raises(BadSample, match=line) as refused:
        decode_upload(data, LABELS.at((32, 32)))
    assert str(refused.value).startswith("the picture: ")


def test_a_jpeg_of_a_thousand_scans_costs_nothing() -> None:
    """Each scan is 14 bytes, and a pass over all pixels: as many as a file may hold would take more than an hour."""
    data = encoded(np.zeros((2000, 2000), np.uint8), "JPEG", progressive=True)
    start, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    many = data[:end] + data[start:end] * 5000 + data[end:]
    begin = time.process_time()
    with pytest.raises(BadSample, match="a JPEG of more than 32 scans"):
        decode_upload(many, PHOTO.at((32, 32)))
    assert time.process_time() - begin < 1
    assert decode_upload(data, PHOTO.at((32, 32))).shape == (32, 32, 3)
