"""What an upload costs: little memory, whatever it says of itself."""

import subprocess
import sys

import pytest

CODE = """
import io, resource, sys
import numpy as np
from PIL import Image
from components.samples.domain import Domain
from components.pages.demo.upload import decode_upload
from components.samples.source import BadSample

kind, mode, side, form = sys.argv[1:]
side = int(side)
deep = {"I;16": np.zeros((side, side), np.uint16)}
black = (0, 0, 0, 255) if mode == "RGBA" else 0
picture = Image.fromarray(deep[mode]) if mode in deep else Image.new(mode, (side, side), black)
data = io.BytesIO()
picture.save(data, form, **({"quality": 50} if form == "JPEG" else {}))
del picture, deep
palette = tuple((20 * i, 0, 0) for i in range(9))
labels = Domain(kind="label", classes=tuple("abcdefghi"), palette=palette)
domain = labels if kind == "label" else Domain(kind="image")
small = io.BytesIO()
Image.new("RGB", (64, 64)).save(small, "PNG")
decode_upload(small.getvalue(), Domain(kind="image").at((64, 64)))
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")
def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1024
before = peak()
try:
    decode_upload(data.getvalue(), domain.at((64, 64)))
    said = "taken"
except BadSample as bad:
    said = "refused"
print(said, peak() - before)
"""


@pytest.mark.parametrize("kind", ["label", "image"])
@pytest.mark.parametrize(
    ("mode", "side", "form", "outcome"),
    [
        ("P", 3500, "PNG", "taken"),
        ("RGB", 3500, "JPEG", "taken"),
        ("RGBA", 3500, "TIFF", "taken"),
        ("RGB", 4999, "PNG", "refused"),
        ("I;16", 16000, "PNG", "refused"),
    ],
)
def test_an_upload_takes_at_most_200_megabytes(kind, mode, side, form, outcome):
    command = [sys.executable, "-c", CODE, kind, mode, str(side), form]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    said, megabytes = done.stdout.split()
    assert said == outcome
    assert float(megabytes) < 200
