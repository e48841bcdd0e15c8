"""Whatever files are called: as many samples as pictures, each its own, or a refusal that names the file."""

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.faults import Fault
from components.shards.config import ShardConfig
from components.shards.reader import Split
from components.shards.verify import verify
from components.shards.writer import write_shards
from components.sources.fit import FolderCut
from components.sources.folder import fetch_folder
from components.sources.folder_config import FolderConfig
from components.sources.folder_cut import open_folder
from components.sources.formats import FORMATS
from tests.reliability.mutants import saved

PROMISE = pytest.mark.promise("2 names of files: as many samples as pictures, or refused by name; nothing outside")
ENDINGS = (".png", ".PNG", ".jpg", ".Jpeg", ".tif", ".tiff", ".bmp", ".webp")
LETTERS = (
    "a",
    "A",
    "b",
    ".",
    " ",
    "_",
    "-",
    "é",
    "e\u0301",
    "日",
    "😀",
    "\n",
    "\t",
    "'",
    '"',
    "%2e",
    "*",
    "?",
    ":",
    "#",
)
NAMED = [
    ["1.png", "1.jpg", "1.png.png", "1.png.jpg", "1.png.png.png", "1.jpg.png"],  # stems that are names of others
    ["a.png", "A.png", "a.PNG", "A.PNG", "\uff41.png", "ä.png", "a\u0308.png", "Ä.png"],  # twins but for case or form
    ["a.b.png", "a_b.png", "a b.png", "a-b.png", "a..b.png", "a.b..png", "a\tb.png", "a\nb.png", "a:b.png"],
    ["x" * 251 + ".png", "x" * 250 + ".png", "y" * 100 + ".png", "é" * 125 + ".png", "日" * 83 + ".png"],
    ["train.png", "val.png", "test.png", "trainA.png", "A.png", "manifest.json.png", "index.parquet.png", "con.png"],
    ["caf\udce9.png", "caf\udce8.png", "caf_.png", "café.png", "caf\udce9\udce9.png"],  # bytes that are no UTF-8
    [
        "sub/1.png",
        "sub_1.png",
        "sub/1/2.png",
        "sub_1_2.png",
        "sub/1_2.png",
        "sub.png/1.png",
        "-rf.png",
        "~.png",
        "$HOME.png",
    ],
]


def sets():
    """Sets of names: those above, and random ones that are much alike."""
    random, found = np.random.default_rng(11), list(NAMED)
    for _ in range(14):
        words = {"".join(random.choice(LETTERS, random.integers(1, 5))) for _ in range(14)}
        names = sorted({word + str(random.choice(ENDINGS)) for word in words})
        found.append([name for name in names if not name.startswith(".")])
    return found


def picture(number):
    """Two squares of a colour each, both of no other number, as PNG."""
    left, right = (((number * 2 + side) * 9973 + 77).to_bytes(4, "big")[1:] for side in (0, 1))
    image = Image.new("RGB", (16, 8), tuple(left))
    image.paste(tuple(right), (8, 0, 16, 8))
    return saved(image, "PNG")


def half(number, side):
    """One of the squares alone."""
    with Image.open(io.BytesIO(picture(number))) as image:
        return saved(image.crop((8 * side, 0, 8 * side + 8, 8)), "PNG")


def placed(folder, files):
    """Write files: relative name -> bytes."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def tarred(path, files):
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT, errors="surrogateescape") as file:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            file.addfile(member, io.BytesIO(data))
    return path


def zipped(path, files):
    with zipfile.ZipFile(path, "w") as file:
        for name, data in files.items():
            file.writestr(name, data)
    return path


def colours(root):
    """The colour of each picture of every sample of a set, by domain, and all keys."""
    keys, seen = [], {}
    for name in Split(root, next(iter(verified(root)))).manifest.splits:
        split = Split(root, name)
        for i in range(len(split)):
            key, sample = split.read(i)
            keys.append(key)
            for domain, pixels in sample.items():
                assert (pixels == pixels[0, 0]).all()
                seen.setdefault(domain, []).append(tuple(pixels[0, 0].tolist()))
    return keys, seen


def verified(root):
    """The splits of a set of which every byte is as it should be."""
    whole, faults = verify(root)
    assert not faults
    return [Path(line.split(": ")[0]).relative_to(root).as_posix() for line in whole]


def through(path, root, **config):
    """From fetch to shards."""
    settings = {"a": {"name": "a"}, "b": {"name": "b"}} if config.get("layout") != "photos" else {"a": {"name": "a"}}
    fetch_folder(FolderConfig(name="folder", path=str(path), **settings, **config), root / "raw", root / "cache")
    source = open_folder(root / "raw", FolderCut(name="folder", image_size=8))
    write_shards(source, root / "shards", ShardConfig(samples_per_shard=5, num_workers=1))
    return colours(root / "shards")


def wanted(numbers, side):
    """The colours of one side."""
    found = []
    for number in numbers:
        with Image.open(io.BytesIO(half(number, side))) as image:
            found.append(image.getpixel((0, 0)))
    return sorted(found)


def layouts(names):
    """Of each layout the files, and the colours that must come out by domain."""
    numbers = range(len(names))
    both = {"a": wanted(numbers, 0), "b": wanted(numbers, 1)}
    yield "side_by_side", {f"train/{name}": picture(i) for i, name in enumerate(names)}, both
    yield "photos", {f"train/{name}": half(i, 0) for i, name in enumerate(names)}, {"a": both["a"]}
    sides = {f"train{'AB'[side]}/{name}": half(i, side) for i, name in enumerate(names) for side in (0, 1)}
    yield "unpaired", sides, both


@PROMISE
def test_as_many_samples_as_pictures(tmp_path, tally):
    for number, names in enumerate(sets()):
        for layout, files, expected in layouts(names):
            given = {"folder": placed, "x.tar": tarred, "x.zip": zipped}
            for where in list(given)[: 3 if number < 7 else 1]:
                if where == "x.zip" and any("\udc00" <= letter <= "\udfff" for name in names for letter in name):
                    continue  # a zip cannot say them
                root = tmp_path / f"{number}-{layout}-{where}"
                root.mkdir()
                keys, seen = through(given[where](root / where, files), root, layout=layout)
                found = {domain: sorted(pixels) for domain, pixels in seen.items()}
                alone = len({key.lower() for key in keys}) == len(files)
                for name in files:
                    tally.count(found == expected and alone, f"{root.name}: {name!r}")


@PROMISE
def test_partners_of_two_folders_meet_by_name_and_by_nothing_else(tmp_path, tally):
    for number, names in enumerate(sets()):
        root = tmp_path / str(number)
        files = {f"{'AB'[side]}/train/{name}": half(i, side) for i, name in enumerate(names) for side in (0, 1)}
        stems = [Path(name).with_suffix("") for name in names]
        try:
            keys, seen = through(placed(root / "folder", files), root, layout="folders")
        except Fault as fault:
            twins = [name for name, stem in zip(names, stems, strict=True) if stems.count(stem) > 1]
            named = any(str(Fault(name)) in str(fault) for name in twins)
            tally.count(named, f"{names}: {fault}")
            continue
        pairs = set(zip(seen["a"], seen["b"], strict=True))
        right = set(zip(*(([wanted([i], side)[0] for i in range(len(names))]) for side in (0, 1)), strict=True))
        for name in names:
            tally.count(pairs == right and len(keys) == len(names), f"{number}: {name!r}")


@PROMISE
def test_a_bad_picture_of_any_name_is_listed_by_it(tmp_path, tally, capsys):
    for number, name in enumerate(name for names in sets()[:10] for name in names):
        root = tmp_path / str(number)
        files = {f"{split}/good.png": picture(i) for i, split in enumerate(("train", "val", "test"))}
        files[f"train/bad/{name}"] = b"no picture"
        fetch_folder(FolderConfig(name="folder", path=str(placed(root / "in", files))), root / "raw", root / "cache")
        capsys.readouterr()
        source = open_folder(root / "raw", FolderCut(name="folder", image_size=8))
        manifest = write_shards(source, root / "shards", ShardConfig(num_workers=1, max_bad=1))
        count = sum(manifest.count(split) for split in manifest.splits)
        told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("bad sample: ")]
        reason = f"{Fault('train/bad/' + name)}: not a {', '.join(FORMATS[:-1])} or {FORMATS[-1]} picture"
        held = count == 3 and [bad.reason for bad in manifest.bad] == [reason] and told == [f"bad sample: {reason}"]
        tally.count(held, f"{name!r}: {count}, {manifest.bad}, {told}")
