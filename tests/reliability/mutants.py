"""Broken and hostile pictures; run as a program, it reads them as a source does and prints what came of it.

python -m tests.reliability.mutants FIRST COUNT      mutants FIRST to FIRST + COUNT - 1
python -m tests.reliability.mutants FOLDER           the files of a folder
"""

import io
import json
import os
import struct
import sys
import tempfile
import traceback
import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from components.samples.source import BadSample
from components.sources.fit import FolderCut, fitted
from components.sources.folder_config import Side
from components.sources.pictures import open_picture

CUT = FolderCut(name="folder", image_size=16)
SIDES = (
    Side(name="photo"),
    Side(name="index", classes=tuple(f"c{i}" for i in range(255))),
    Side(name="drawn", palette={"a": (0, 0, 0), "b": (255, 255, 255)}),
)
EXTREMES = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\x20\0", b"\0\x20\0\0")


def saved(image, kind, **options):
    """The bytes of a picture in a format."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def seeds():
    """One small picture of every kind that the formats can hold, and of some that are not read; sorted by name.

    Where PIX2PIPE_PICTURES names a folder, ten real ones of it too.
    """
    random = np.random.default_rng(0)
    smooth = Image.fromarray(random.integers(0, 256, (4, 6, 3)).astype(np.uint8)).resize((36, 28), Image.BICUBIC)
    deep = Image.fromarray(np.asarray(smooth.convert("L")).astype(np.uint16) * 257)
    frames = {"save_all": True, "append_images": [smooth.rotate(90), smooth.rotate(180)]}
    turned = Image.Exif()
    turned[0x0112] = 6
    found = {}
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
        found[f"png-{mode}"] = saved(smooth.convert(mode), "PNG")
    found["png-16"] = saved(deep, "PNG")
    found["png-see-through"] = saved(smooth.convert("P"), "PNG", transparency=3)
    found["png-animated"] = saved(smooth, "PNG", **frames)
    for mode in ("L", "RGB", "CMYK"):
        found[f"jpeg-{mode}"] = saved(smooth.convert(mode), "JPEG", exif=turned)
        found[f"jpeg-progressive-{mode}"] = saved(smooth.convert(mode), "JPEG", progressive=True)
    for mode in ("1", "L", "P", "RGB", "RGBA", "CMYK", "LAB", "F", "I"):
        image = smooth.convert("F").convert(mode) if mode in "FI" else smooth.convert(mode)
        found[f"tiff-{mode}"] = saved(image, "TIFF")
    for packing in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        found[f"tiff-{packing}"] = saved(smooth, "TIFF", compression=packing)
    found["tiff-fax"] = saved(smooth.convert("1"), "TIFF", compression="group4")
    found["tiff-16"] = saved(deep, "TIFF")
    found["tiff-animated"] = saved(smooth, "TIFF", **frames)
    for mode in ("1", "L", "P", "RGB", "RGBA"):
        found[f"bmp-{mode}"] = saved(smooth.convert(mode), "BMP")
    found["webp"] = saved(smooth, "WEBP", exif=turned)
    found["webp-lossless"] = saved(smooth.convert("RGBA"), "WEBP", lossless=True)
    found["webp-animated"] = saved(smooth, "WEBP", **frames)
    found |= {kind.lower(): saved(smooth, kind) for kind in ("GIF", "PPM", "TGA", "JPEG2000", "AVIF")}
    for kind in ("ICO", "PDF", "EPS"):  # another type under the name of a picture
        found[f"other-{kind}"] = saved(smooth, kind)
    found["other-text"] = b"just a text\n" * 40
    found["other-page"] = b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>"
    if folder := os.environ.get("PIX2PIPE_PICTURES"):
        found |= {f"real-{path.name}": path.read_bytes() for path in sorted(Path(folder).rglob("*.*"))[:10]}
    return dict(sorted(found.items()))


def mutant(number, all_seeds):
    """What mutant `number` is called, and its bytes; the same at every call."""
    random = np.random.default_rng([7, number])
    name = list(all_seeds)[number % len(all_seeds)]
    data = bytearray(all_seeds[name])
    way = ("as it is", "cut", "bits", "head", "extreme", "grown", "shrunk", "spliced", "sized")[
        number // len(all_seeds) % 9
    ]
    place = int(random.integers(len(data)))
    if way == "cut":
        del data[place:]
    elif way == "bits":
        for spot in random.integers(0, len(data), int(random.integers(1, 9))):
            data[spot] ^= 1 << int(random.integers(8))
    elif way == "head":
        for spot in random.integers(0, min(len(data), 200), 4):
            data[spot] = random.integers(256)
    elif way == "extreme":
        place = int(random.integers(min(len(data), 300)))
        data[place : place + 4] = EXTREMES[int(random.integers(len(EXTREMES)))]
    elif way == "grown":
        data[place:place] = data[: place + 1][-int(random.integers(1, 4000)) :]
    elif way == "shrunk":
        del data[place : place + int(random.integers(1, 40))]
    elif way == "spliced":
        other = all_seeds[list(all_seeds)[int(random.integers(len(all_seeds)))]]
        data[place:] = other[int(random.integers(len(other))) :]
    elif way == "sized" and name.startswith("png"):  # other sizes in a header whose checksum is right
        data[16:24] = struct.pack(">II", *(int(2 ** (31 * random.random() ** 2)) - 1 for _ in range(2)))
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    elif way == "sized":
        data[place:] = random.bytes(len(data) - place)
    return f"{number} ({name}, {way})", bytes(data)


def bombs():
    """Small files that announce or unpack to as much as is let through, and to far more."""
    square = (7000, 7000)  # 49 million pixels, as many as are let through
    found = {
        f"png {mode}": saved(Image.new(mode, square), "PNG", compress_level=1) for mode in ("1", "P", "RGB", "RGBA")
    }
    found["jpeg"] = saved(Image.new("RGB", square), "JPEG", quality=5)
    found["jpeg CMYK progressive"] = saved(Image.new("CMYK", (5700, 5700)), "JPEG", progressive=True)
    found["tiff in one strip"] = saved(Image.new("RGB", square), "TIFF", compression="tiff_lzw", strip_size=1 << 30)
    found["webp"] = saved(Image.new("RGBA", (4800, 4800), (1, 2, 3, 4)), "WEBP", lossless=True, method=0)
    found["webp too large"] = saved(Image.new("RGBA", (9000, 9000), (1, 2, 3, 4)), "WEBP", lossless=True, method=0)
    for side in (7500, 20_000, 1 << 31):
        header = bytearray(saved(Image.new("RGB", (8, 8)), "PNG"))
        header[16:24] = struct.pack(">II", side - 1, side - 1)
        header[29:33] = struct.pack(">I", zlib.crc32(header[12:29]))
        found[f"png that says {side}"] = bytes(header)
    for tile in (7200, 20_000, 1 << 16):
        found[f"tiff with tiles of {tile}"] = tiled(tile)
    for kind in (b"zTXt", b"iCCP"):
        packed = zlib.compress(bytes(300_000_000))
        body = kind + b"a\0\0" + packed
        chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
        png = saved(Image.new("RGB", (8, 8)), "PNG")
        found[f"png with a {kind.decode()} of 300 MB"] = png[:33] + chunk + png[33:]
    return found


def tiled(side):
    """A TIFF of 16x16 pixels whose only tile says it is `side` x `side`."""
    data = saved(Image.new("RGB", (64, 64)), "TIFF", compression="tiff_lzw")
    with Image.open(io.BytesIO(data)) as image:
        strip = image.tag_v2[273][0], image.tag_v2[279][0]
    packed = data[strip[0] : sum(strip)]
    entries = [(256, 16), (257, 16), (258, 8), (259, 5), (262, 1), (277, 1)]
    entries += [(322, side), (323, side), (324, 8), (325, len(packed))]
    ifd = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    return b"II*\0" + struct.pack("<I", 8 + len(packed)) + packed + ifd + b"\0\0\0\0"


def take(path, data):
    """Read a picture as each kind of side does: the name of what came of it, the last first."""
    path.write_bytes(data)
    outcome = "refused"
    for side in SIDES:
        try:
            picture = fitted(open_picture(path, path.name), side, CUT, path.name)
        except BadSample as fault:
            if not str(fault).startswith(path.name) or "\n" in str(fault):
                return f"a refusal that does not name it in one line: {fault}"
            continue
        except Exception:
            return traceback.format_exc()
        shape = (16, 16, 3) if side.name == "photo" else (16, 16)
        if picture.shape != shape or picture.dtype != np.uint8:
            return f"{picture.dtype} {picture.shape}"
        outcome = "accepted"
    return outcome


def peak():
    """The most memory this process ever had, in bytes, as the kernel counts it."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def main(words):
    """Print {accepted, refused, crashed: [[name, what], ...], peak} as JSON."""
    warnings.simplefilter("error")
    if len(words) == 1:
        cases = ((path.name, path.read_bytes()) for path in sorted(Path(words[0]).iterdir()))
    else:
        first, count = map(int, words)
        cases = (mutant(number, known) for known in [seeds()] for number in range(first, first + count))
    told = {"accepted": [], "refused": [], "crashed": []}
    with tempfile.TemporaryDirectory() as folder:
        for name, data in cases:
            outcome = take(Path(folder) / "picture.png", data)
            if outcome in told:
                told[outcome].append(name)
            else:
                told["crashed"].append([name, outcome])
    sys.stdout.write(json.dumps(told | {"peak": peak()}))


if __name__ == "__main__":
    main(sys.argv[1:])
