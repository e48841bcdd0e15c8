"""Names and files that no sample can be made of are refused by name, and nothing is written outside."""

import os

from components.faults import Fault
from components.sources import download
from components.sources.folder import fetch_folder
from components.sources.folder_config import FolderConfig
from tests.reliability.test_names import PROMISE, picture, placed, tarred, through, zipped


@PROMISE
def test_what_is_no_file_is_refused_by_name(tmp_path, tally):
    def link(target):
        return lambda path: path.symlink_to(target)

    ways = {
        "nothing": link("nowhere.png"),
        "itself": link("evil.png"),
        "device": link("/dev/zero"),
        "pipe": os.mkfifo,
        "far away": link("/nowhere/at/all"),
    }
    for what, make in ways.items():
        folder = placed(tmp_path / what, {f"{i}.png": picture(i) for i in range(3)})
        make(folder / "evil.png")
        said = ""
        try:
            fetch_folder(FolderConfig(name="folder", path=str(folder)), tmp_path / "raw", tmp_path / "cache")
        except Fault as fault:
            said = str(fault)
        held = "evil.png: is not a file" in said and not list((tmp_path / "raw").iterdir())
        tally.count(held, f"{what}: {said!r}")
    folder = placed(tmp_path / "good", {f"{i}.png": picture(i) for i in range(3)})
    (folder / "3.png").symlink_to(placed(tmp_path / "other", {"far.png": picture(3)}) / "far.png")
    (folder / "around").symlink_to(folder)
    tally.count(len(through(folder, tmp_path / "links")[0]) == 4, "a link to a picture, and a folder in itself")


@PROMISE
def test_names_too_long_for_the_disk_are_refused_by_name(tmp_path, tally):
    for name in ("x" * 300 + ".png", "é" * 150 + ".png", "/".join(["d" * 200] * 25) + "/x.png", "d" * 300 + "/x.png"):
        for where, write in (("x.tar", tarred), ("x.zip", zipped)):
            path = write(tmp_path / where, {"train/1.png": picture(1), f"train/{name}": picture(2)})
            said = ""
            try:
                fetch_folder(FolderConfig(name="folder", path=str(path)), tmp_path / "raw", tmp_path / "cache")
            except Fault as fault:
                said = str(fault)
            held = f"'train/{name}' has a name that is too long" in said and not list((tmp_path / "raw").iterdir())
            tally.count(held, f"{where}: {name[:20]}, {len(name)} characters: {said[:80]!r}")


@PROMISE
def test_a_url_names_no_file_outside_the_cache(tmp_path, tally, monkeypatch):
    kept = []
    monkeypatch.setattr(download, "_continue", lambda url, part, most: kept.append(part) or part.write_bytes(b""))
    nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    for last in (
        "x.zip",
        "..",
        "%2e%2e",
        "%2e%2e%2fx.zip",
        "a%00b.zip",
        "x" * 300 + ".zip",
        "%E6%97%A5" * 99 + ".zip",
        "",
    ):
        cache = tmp_path / f"cache{len(kept)}"
        path = download.download(f"https://example.org/{last}", nothing, cache, 100)
        suffix = last.endswith(".zip")
        tally.count(path.parent == cache and len(path.name) < 200 and suffix <= path.name.endswith(".zip"), last[:30])
