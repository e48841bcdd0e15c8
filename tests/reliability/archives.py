"""Hostile archives; run as a program, it unpacks those of a folder and prints what came of it.

python -m tests.reliability.archives FOLDER TARGET MAX_BYTES
"""

import bz2
import gzip
import io
import json
import sys
import tarfile
import traceback
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from components.faults import Fault
from components.sources.archive import unpack
from components.sources.formats import EXTENSIONS
from tests.reliability.mutants import peak, saved

PNG = saved(Image.fromarray(np.random.default_rng(0).integers(0, 255, (20, 40, 3)).astype(np.uint8)), "PNG")
KINDS = (".zip", ".tar", ".tar.gz", ".tar.xz", ".tar.bz2")
MB = 1 << 20


def info(name, size=0, kind=tarfile.REGTYPE, link=""):
    """A member of a tar."""
    made = tarfile.TarInfo(name)
    made.size, made.type, made.linkname = size, kind, link
    return made


def packed(path, members):
    """Write an archive of the kind that its name says; members: (name or TarInfo, bytes)."""
    if path.name.endswith(".zip"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            for name, data in members:
                file.writestr(name, data)
        return path
    with tarfile.open(path, f"w:{path.suffix[1:].replace('tar', '')}") as file:
        for name, data in members:
            member = name if isinstance(name, tarfile.TarInfo) else info(name, len(data))
            file.addfile(member, io.BytesIO(data) if member.isreg() else None)
    return path


def bombs(folder):
    """Small archives that unpack to hundreds of megabytes, of pictures, of other files or of headers."""
    zeros = bytes(200 * MB)
    picture = ("a.png", PNG)
    with zipfile.ZipFile(folder / "deflate.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        file.writestr("a.png", zeros)
    for name, method in (("bzip2.zip", zipfile.ZIP_BZIP2), ("lzma.zip", zipfile.ZIP_LZMA)):
        with zipfile.ZipFile(folder / name, "w", method) as file:
            file.writestr("a.png", zeros if method == zipfile.ZIP_BZIP2 else PNG)
    plain = {
        "picture": [("a.png", zeros)],
        "other": [("a.bin", zeros), picture],
        "hidden": [("d/.a.png", zeros), picture],
        "name": [("n" * 200 * MB + ".png", PNG)],
        "many": [(f"{i}.bin", b"") for i in range(50_000)],
    }
    for name, members in plain.items():
        with gzip.open(folder / f"{name}.tar.gz", "wb", 1) as out, tarfile.open(fileobj=out, mode="w") as file:
            for member, data in members:
                file.addfile(info(member, len(data)), io.BytesIO(data))
    heads = {"pax": tarfile.XHDTYPE, "global": tarfile.XGLTYPE, "link": tarfile.GNUTYPE_LONGLINK}
    raw = {name: info("x", len(zeros), kind).tobuf() + zeros for name, kind in heads.items()}
    raw["sparse"] = _sparse_map(100 * MB) + bytes(1024)
    hole = bytearray(info("a.png", 0, tarfile.GNUTYPE_SPARSE).tobuf(tarfile.GNU_FORMAT))
    hole[386:398], hole[398:410] = b"%011o\0" % (1 << 32), b"%011o\0" % 0
    hole[483:495] = b"%011o\0" % (1 << 32)  # four gigabytes, none of them in the file
    hole[148:156] = b" " * 8
    hole[148:156] = b"%06o\0 " % sum(hole)
    raw["hole"] = bytes(hole) + bytes(1024)
    raw["tail"] = packed(folder / "x.tar", [picture]).read_bytes() + zeros
    (folder / "x.tar").unlink()
    for name, data in raw.items():
        with gzip.open(folder / f"{name}.tar.gz", "wb", 1) as out:
            out.write(data)
    (folder / "tail.tar.bz2").write_bytes(bz2.compress(raw["tail"]))
    packed(folder / "nested.zip", [("deflate.zip", (folder / "deflate.zip").read_bytes()), picture])


def _sparse_map(size):
    """A member whose map of holes, as text before its contents, goes on for `size` bytes."""
    records = b"".join(
        b"%d %s=%s\n" % (len(key) + len(value) + 5, key, value)
        for key, value in ((b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"))
    )
    head = info("x", len(records), tarfile.XHDTYPE).tobuf() + records + bytes(-len(records) % 512)
    return head + info("a.png", size).tobuf() + b"%d\n" % (size // 2) + b"1\n" * (size // 2)


def mutant(data, random, way, resealed):
    """A bit, four bytes, three bytes of a block (of a tar with its sum made right again), or a piece taken out."""
    if way == 0:
        data[int(random.integers(len(data)))] ^= 1 << int(random.integers(8))
    elif way == 1:
        for place in random.integers(0, len(data), 4):
            data[place] = random.integers(256)
    elif way == 2:
        start = int(random.integers(len(data) // 512 + 1)) * 512
        for place in start + random.integers(0, 300, 3):
            data[min(place, len(data) - 1)] = random.integers(256)
        if resealed and start + 512 <= len(data):
            data[start + 148 : start + 156] = b" " * 8
            data[start + 148 : start + 156] = b"%06o\0 " % sum(data[start : start + 512])
    else:
        start = int(random.integers(len(data)))
        del data[start : start + int(random.integers(1, 200))]
    return data


def main(folder, target, most):
    """Print {name: outcome} and the peak of memory as JSON; an outcome is a number of files or a refusal."""
    told = {}
    for path in sorted(Path(folder).iterdir()):
        try:
            unpack(path, Path(target) / path.name, EXTENSIONS, int(most))
            told[path.name] = sum(found.is_file() for found in (Path(target) / path.name).rglob("*"))
        except Fault as fault:
            told[path.name] = str(fault)
        except Exception:
            told[path.name] = "CRASH " + traceback.format_exc()
    sys.stdout.write(json.dumps({"told": told, "peak": peak()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
