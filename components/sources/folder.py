"""One's own pictures: a folder, an archive or a URL, in one of the layouts people have."""

import colorsys
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PositiveFloat, StringConstraints, model_validator
from tqdm import tqdm

from components.domain import Colour, Domain
from components.faults import Fault
from components.files import faults_of_the_disk, read_json, sha256_file, write_text
from components.schema import Section
from components.sources.archive import SUFFIXES, is_archive, unpack
from components.sources.download import download
from components.sources.pictures import EXTENSIONS

PICTURES = "pictures"
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
SplitName = Literal["train", "val", "test"]


class Side(Section):
    """What one side of the pairs is.

    Attributes:
        name: of the domain, such as photo or labels.
        folder: layout `folders` only: the folder that holds it; A or B unless given.
        palette: class -> colour, for a label map drawn in colours (blurred by JPEG or not).
        classes: class names, for a label map whose pixel values are the class indices.
    """

    name: Name
    folder: str = ""
    palette: dict[str, Colour] = Field(default_factory=dict)
    classes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.palette and self.classes:
            raise ValueError("give palette (drawn labels) or classes (index labels), not both")
        self.domain()
        return self

    def domain(self) -> Domain:
        """The domain of this side; colours of index labels are spread over the hues."""
        if self.palette:
            return Domain(kind="label", classes=tuple(self.palette), palette=tuple(self.palette.values()))
        if self.classes:
            return Domain(kind="label", classes=self.classes, palette=spread_colours(len(self.classes)))
        return Domain(kind="image")


class FolderConfig(Section):
    """Paired pictures of one's own.

    Attributes:
        path: a folder, an archive (.zip .tar .tar.gz .tgz .tar.xz .tar.bz2), or an https URL of one.
        sha256: of the archive; a URL must have it.
        layout: side_by_side (A|B in one picture), folders (A/ and B/ with equal names), unpaired (trainA/, trainB/).
        direction: AtoB or BtoA: which side is translated into which.
        a, b: what the left picture or folder A is, and the right one or folder B.
        splits: folder found -> split, where the names differ: {val: test} makes the folder val the test split.
        holdout: share of the training samples that becomes each split that is not found.
        max_gigabytes: most that an archive may be, packed and unpacked.
    """

    name: Literal["folder"]
    path: str
    sha256: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")] = ""
    layout: Literal["side_by_side", "folders", "unpaired"] = "side_by_side"
    direction: Literal["AtoB", "BtoA"] = "AtoB"
    a: Side = Side(name="a")
    b: Side = Side(name="b")
    splits: dict[str, SplitName] = Field(default_factory=dict)
    holdout: Annotated[float, Field(gt=0, lt=0.5)] = 0.1
    max_gigabytes: PositiveFloat = 20.0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.a.name == self.b.name:
            raise ValueError(f"a and b are both named {self.a.name}")
        if "://" in self.path and not self.sha256:
            raise ValueError("a URL needs sha256, the hash of the archive (sha256sum FILE)")
        return self


def spread_colours(count: int) -> tuple[Colour, ...]:
    """Colours that differ: hues by the golden angle, in three brightnesses."""
    hues = ((i * 0.61803398875 % 1, 0.75, (1.0, 0.75, 0.5)[i % 3]) for i in range(count))
    colours = (colorsys.hsv_to_rgb(*hue) for hue in hues)
    return tuple((round(255 * r), round(255 * g), round(255 * b)) for r, g, b in colours)


def fetch_folder(config: FolderConfig, root: Path, cache: Path) -> None:
    """Fill root/folder with the pictures, as they are, and source.json.

    Only files with the extension of a picture are taken. Everything is built in a folder beside and named at
    the end, so a broken archive or a full disk leaves nothing behind.

    Raises:
        Fault: no such folder, a wrong hash, a broken archive, no pictures, or nothing can be written.
    """
    folder = root / config.name
    stage = root / f".{config.name}.partial"
    max_bytes = int(config.max_gigabytes * 1e9)
    archive = _archive(config, cache, max_bytes)
    with faults_of_the_disk(folder):
        shutil.rmtree(stage, ignore_errors=True)
        try:
            stage.mkdir(parents=True)
            if archive:
                unpack(archive, stage / PICTURES, EXTENSIONS, max_bytes)
            else:
                _copy(Path(config.path), stage / PICTURES)
            _describe(config, stage, sha256_file(archive) if archive else None)
            shutil.rmtree(folder, ignore_errors=True)
            stage.rename(folder)
        finally:
            shutil.rmtree(stage, ignore_errors=True)


def read_folder_config(root: Path) -> FolderConfig:
    """The config that root/folder was fetched with.

    Raises:
        Fault: fetch has not run.
    """
    return FolderConfig.model_validate(read_json(root / "folder" / "source.json")["config"])


def _archive(config: FolderConfig, cache: Path, max_bytes: int) -> Path | None:
    """The archive to unpack, or None where the path is a folder."""
    if "://" in config.path:
        archive = download(config.path, config.sha256, cache, max_bytes)
    else:
        archive = Path(config.path).expanduser()
        if archive.is_dir():
            return None
        if not archive.is_file():
            raise Fault(f"fetch.path: {config.path} is neither a folder nor a file")
        if config.sha256 and (found := sha256_file(archive)) != config.sha256:
            raise Fault(f"{config.path}: its sha256 is {found}, fetch.sha256 says {config.sha256}")
    if not is_archive(archive):
        raise Fault(f"fetch.path: {config.path} is not an archive ({' '.join(SUFFIXES)})")
    return archive


def _copy(source: Path, target: Path) -> None:
    source = source.expanduser()
    for path in tqdm(sorted(_pictures(source)), unit="file", desc=f"copy {source.name}"):
        place = target / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)


def _pictures(source: Path) -> Iterator[Path]:
    """Every picture below a folder; linked folders are entered, each real one once."""
    entered: set[str] = set()
    for folder, folders, files in os.walk(source, followlinks=True):
        real = os.path.realpath(folder)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if real in entered:
            folders.clear()
            continue
        entered.add(real)
        for name in files:
            if Path(name).suffix.lower() in EXTENSIONS and not name.startswith("."):
                yield Path(folder) / name


def _describe(config: FolderConfig, stage: Path, archive_sha256: str | None) -> None:
    """Write source.json: the hash and the size of every picture, and one hash for them all."""
    pictures = sorted(path for path in (stage / PICTURES).rglob("*") if path.is_file())
    if not pictures:
        raise Fault(f"{config.path}: holds no pictures ({' '.join(sorted(EXTENSIONS))})")
    files = {path.relative_to(stage).as_posix(): sha256_file(path) for path in pictures}
    tree = hashlib.sha256("".join(f"{digest}  {name}\n" for name, digest in files.items()).encode())
    about: dict[str, Any] = {
        "name": config.name,
        "licence": "unknown: the owner's own pictures",
        "origin": config.path if "://" in config.path else Path(config.path).name,
        "archive_sha256": archive_sha256,
        "tree_sha256": tree.hexdigest(),
        "files": files,
        "config": config.model_dump(mode="json") | {"path": Path(config.path).name},
    }
    # Not sorted: the order of a palette is the order of the class indices.
    write_text(stage / "source.json", json.dumps(about, indent=2) + "\n")
    tqdm.write(f"{config.path}: {len(files)} pictures", file=sys.stderr)
