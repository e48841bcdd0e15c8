"""Archives and shards made to do harm: nothing outside, no code run, bounded in size and number."""

import io
import json
import os
import pickle
import shutil
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from functools import partial

import numpy as np
import pytest

from components.faults import Fault
from components.samples.source import BadSample
from components.shards.reader import Split
from components.sources.archive import unpack
from components.sources.fit import FolderCut
from components.sources.folder import fetch_folder
from components.sources.folder_config import FolderConfig
from components.sources.folder_cut import open_folder
from components.sources.formats import EXTENSIONS
from components.storage.files import sha256_file
from tests.conftest import write_tiny
from tests.reliability.archives import KINDS, MB, PNG, bombs, info, mutant, packed

PROMISE = pytest.mark.promise("4 hostile archives: nothing outside, no code run, bounded size and number")
GOOD = [(f"train/{i}.png", PNG + bytes([i])) for i in range(4)]  # no two alike: those would be a leak


class Evil:
    """Leaves a file where it is unpickled."""

    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return os.mkdir, (self.marker,)


def everything(folder):
    """Every path below a folder, links not followed."""
    return sorted(f"{parent}/{name}" for parent, *names in os.walk(folder) for name in names[0] + names[1])


def fetched(path, root):
    """What fetch says of an archive: nothing if it takes it."""
    try:
        fetch_folder(FolderConfig(name="folder", path=str(path)), root, root / "cache")
    except Fault as fault:
        return str(fault)
    return ""


def link(name, target):
    """A symbolic link, as a zip has it."""
    entry = zipfile.ZipInfo(name)
    entry.external_attr = 0o120777 << 16
    return entry, str(target).encode()


@PROMISE
def test_nothing_lands_outside(tmp_path, tally):
    (tmp_path / "in").mkdir()
    root = tmp_path / "root" / "raw"
    names = [
        "../x.png",
        "a/../../x.png",
        "./../x.png",
        "a/./../../x.png",
        f"{tmp_path}/x.png",
        "..\\x.png",
        "..",
        "../",
    ]
    names += ["C:\\x.png", "C:x.png", "\\\\server\\x.png", "//server/x.png", "/", "../../../../../../../x.png"]
    outside = [[(name, PNG)] for name in names]
    kinds = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)
    tars = [
        [(info("a.png", kind=kind, link=target), b"")] for kind in kinds for target in ("/etc/passwd", "..", "b.png")
    ]
    tars.append([(info("d", kind=tarfile.SYMTYPE, link=str(tmp_path)), b""), ("d/x.png", PNG)])
    tars.append(
        [(info("d", kind=tarfile.DIRTYPE), b""), (info("d", kind=tarfile.SYMTYPE, link=".."), b""), ("d/x.png", PNG)]
    )
    zips = [
        [link("a.png", "/etc/passwd")],
        [link("d", tmp_path), ("d/x.png", PNG)],
        [link("d/", ".."), ("d/x.png", PNG)],
    ]
    for kind in KINDS:
        for number, evil in enumerate(outside + (zips if kind == ".zip" else tars)):
            for place in (0, 3):
                path = packed(tmp_path / "in" / f"x{kind}", GOOD[:place] + evil + GOOD[place:])
                before = everything(tmp_path)
                said = fetched(path, root)
                refused = "would land outside" in said or "is a link or a device" in said
                left = set(everything(tmp_path)) - set(before) - {str(root.parent), str(root)}
                tally.count(refused and not left, f"{kind} {number} at {place}: {said!r}, {left}")


@PROMISE
def test_no_code_is_run_from_an_archive(tmp_path, tally):
    marker = tmp_path / "was_run"
    evil = pickle.dumps(Evil(marker))
    code = f"import os; os.mkdir({str(marker)!r})\n".encode()
    array = io.BytesIO()
    np.save(array, np.array([Evil(marker)], dtype=object), allow_pickle=True)
    members = [("train/evil.png", evil), ("evil.pkl", evil), ("evil.pt", evil), ("evil.npy", array.getvalue())]
    members += [("conftest.py", code), ("__init__.py", code), ("sitecustomize.py", code), ("train/code.png", code)]
    members += [("inner.tar", packed(tmp_path / "inner.tar", GOOD).read_bytes()), ("train/inner.png", b"PK\3\4" + evil)]
    for kind in KINDS:
        root = tmp_path / kind
        said = fetched(packed(tmp_path / f"x{kind}", members + GOOD), root)
        kept = sorted(path.name for path in root.rglob("*") if path.is_file())
        pictures = ["0.png", "1.png", "2.png", "3.png", "code.png", "evil.png", "inner.png"]
        tally.count(not said and kept == [*pictures, "source.json"], f"{kind}: {said!r} {kept}")
        source, bad = open_folder(root, FolderCut(name="folder", image_size=16)), 0
        for units in source.splits.values():
            for unit in units:
                try:
                    source.read(unit)
                except BadSample:
                    bad += 1
        tally.count(bad == 3 and not marker.exists(), f"{kind}: {bad} of 3 refused, run: {marker.exists()}")


@PROMISE
def test_no_code_is_run_from_a_shard_and_none_is_believed(tmp_path, tally):
    root = write_tiny(tmp_path / "shards", size=16, counts=(8, 2, 2))
    path, marker = root / "val/00000.tar", tmp_path / "was_run"
    with tarfile.open(path) as tar:
        members = [(member.name, tar.extractfile(member).read()) for member in tar]
    (name, png), rest = members[0], members[1:]
    sized = bytearray(png)

    def announces(width, height):
        sized[16:24] = struct.pack(">II", width, height)
        sized[29:33] = struct.pack(">I", zlib.crc32(sized[12:29]))
        return bytes(sized)

    original = path.read_bytes()
    cases = {"a pickle": pickle.dumps(Evil(marker)), "no bytes": b"", "text": b"text", "cut": png[:-20]}
    cases |= {f"png of {side}": announces(side, side) for side in (17, 9000, 50_000, 2**31 - 1)}
    for what, data in cases.items():
        packed(path, [(info(name, len(data)), data), *rest])
        tally.count(_refused(root), what)
    for evil in ("../x.png", "/etc/x.photo.png", "a/b.labels.png", "a.b.labels.png", "\xe9.labels.png"):
        packed(path, [(evil, png), *rest])
        tally.count(_refused(root), f"member {evil!r}")
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.XHDTYPE):
        packed(path, [(info(name, kind=kind, link="/etc/passwd"), b""), *rest])
        tally.count(_refused(root), f"member of type {kind}")
    for length in (b"77777777777\0", b"-0000000001\0", b"-7777777777\0", b"zzzzzzzzzzz\0", b"00000100000\0"):
        mutant = bytearray(original)
        mutant[124:136] = length
        path.write_bytes(mutant)
        tally.count(_refused(root), f"length {length}")
    path.write_bytes(original)
    for samples in (3, 10**6, 10**15):
        tally.count(_refused(root, samples), f"{samples} samples")
    tally.count(not _refused(root) and not marker.exists(), "as it was")


def _refused(root, samples=2):
    """Whether the val shard, whose new bytes the manifest names, is refused as a fault of its own."""
    path, manifest = root / "val/00000.tar", root / "manifest.json"
    said = json.loads(manifest.read_text())
    facts = {"sha256": sha256_file(path), "bytes": path.stat().st_size, "samples": samples}
    said["splits"]["val"][0].update(facts)
    manifest.write_text(json.dumps(said))
    try:
        Split(root, "val").read(0)
    except Fault as fault:
        return "val/00000.tar" in str(fault) and "sha256" not in str(fault)
    return False


@PROMISE
def test_mutants_of_archives(tmp_path, tally):
    """Refused in one line, or unpacked, and never outside; what was fetched before stays as it was."""
    random = np.random.default_rng(5)
    long = [("é" * 60 + "x" * 100 + f"{i}.png", PNG) for i in range(3)]
    whole = [packed(tmp_path / f"x{kind}", GOOD) for kind in KINDS] + [packed(tmp_path / "long.tar", long)]
    seeds = [(path.name.removeprefix("x").removeprefix("long"), path.read_bytes()) for path in whole]
    target = tmp_path / "deep" / "target"
    before, refused = everything(tmp_path), 0
    for number in range(400):
        kind, data = seeds[number % len(seeds)]
        path = tmp_path / f"x{kind}"
        path.write_bytes(mutant(bytearray(data), random, number // len(seeds) % 4, kind == ".tar"))
        target.mkdir(parents=True)
        try:
            unpack(path, target, EXTENSIONS, MB)
            held = True
        except Fault as fault:
            refused += 1
            held = "\n" not in str(fault) and str(path) in str(fault)
        shutil.rmtree(target.parent)
        tally.count(held and everything(tmp_path) == before, f"mutant {number} of a {kind}")
    assert refused > 200


@PROMISE
@pytest.mark.slow
def test_bombs_are_bounded_in_size_number_and_memory(tmp_path, tally):
    most = 10 * MB
    (tmp_path / "in").mkdir()
    bombs(tmp_path / "in")
    command = [sys.executable, "-m", "tests.reliability.archives", tmp_path / "in", tmp_path / "out", str(most)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    said = json.loads(done.stdout)
    for name, outcome in said["told"].items():
        size = sum(path.stat().st_size for path in (tmp_path / "out" / name).rglob("*") if path.is_file())
        wanted = {"nested.zip": 1, "many.tar.gz": 0}.get(name)
        held = outcome == wanted if wanted is not None else isinstance(outcome, str) and "CRASH" not in outcome
        tally.count(held and size <= most, f"{name}: {outcome}, {size:,} bytes")
    tally.count(said["peak"] < 128 * MB, f"{said['peak']:,} bytes of memory")


@PROMISE
def test_the_number_of_members_is_bounded(tmp_path, tally, monkeypatch):
    monkeypatch.setattr("components.sources.archive.MAX_MEMBERS", 50)
    for kind in KINDS:
        for count, refused in ((50, False), (51, True)):
            for suffix in (".txt", ".png"):
                path = packed(tmp_path / f"x{kind}", [(f"{i}{suffix}", b"x") for i in range(count)])
                take = partial(unpack, path, tmp_path / f"{kind}{count}{suffix}", EXTENSIONS, MB)
                if refused:
                    with pytest.raises(Fault, match="more than 50 members"):
                        take()
                else:
                    take()
                tally.count(True, "")
