"""Reproducible tars: the same samples give the same bytes."""

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
from PIL import Image

from components.faults import Fault
from components.samples.domain import Domain, Picture
from components.shards.manifest import ShardEntry

_KEY = re.compile(r"[A-Za-z0-9_-]{1,80}")
_HEADER = tarfile.BLOCKSIZE
_LONGEST = tarfile.LENGTH_NAME  # of a member's name, and all that readers look at


class Member(NamedTuple):
    """One encoded picture, category or list of attributes; `histogram` counts the pixels of each class, without those
    that are not labelled and lie beyond the classes."""

    domain: str
    extension: str
    data: bytes
    histogram: list[int] | None


@dataclass(frozen=True)
class Encoded:
    """A sample as it goes into a tar."""

    key: str
    members: tuple[Member, ...]


def encode(key: str, pictures: Mapping[str, Picture], domains: Mapping[str, Domain]) -> Encoded:
    """A sample's pictures as PNG, RGB, 8-bit grey class indices or the bytes of a point in 8-bit grey, its
    categories as a number in ASCII, and its attributes as a list in JSON.

    Raises:
        Fault: a picture is missing, or is not what its domain says; or key and domain are too long for a tar.
    """
    if not _KEY.fullmatch(key):
        raise Fault(f"sample {key!r}: a key has 1 to 80 characters of A-Z a-z 0-9 _ -")
    names = [_member_name(key, name, domain) for name, domain in domains.items()]
    if too_long := [name for name in names if len(name) > _LONGEST]:
        raise Fault(
            f"sample {key}: {too_long[0]} is longer than the {_LONGEST} characters of a name in a tar; give the domain "
            "a shorter name"
        )
    if set(pictures) != set(domains):
        raise Fault(f"sample {key}: has pictures {sorted(pictures)}, its domains are {sorted(domains)}")
    return Encoded(key, tuple(_encode(key, name, pictures[name], domains[name]) for name in sorted(domains)))


def _member_name(key: str, name: str, domain: Domain) -> str:
    return f"{key}.{name}.{domain.extension}"


def _encode(key: str, name: str, picture: Picture, domain: Domain) -> Member:
    if picture.dtype != np.uint8 or picture.shape != domain.shape:
        found = f"{picture.dtype} {picture.shape}"
        raise Fault(f"sample {key}: {name} is {found}, not uint8 {domain.shape} as the {domain.kind} is")
    histogram = None
    if stranger := domain.stranger(picture):
        raise Fault(f"sample {key}: {name}: {stranger}")
    if domain.kind == "attributes":
        values = picture.tolist()
        return Member(name, domain.extension, json.dumps(values).encode(), values)
    if domain.classes:
        counts = np.bincount(picture.ravel(), minlength=len(domain.classes))
        histogram = [int(count) for count in counts[: len(domain.classes)]]
    if domain.kind == "category":
        return Member(name, domain.extension, str(int(picture)).encode(), histogram)
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(file, "PNG", compress_level=6)
    return Member(name, domain.extension, file.getvalue(), histogram)


class _Hashed:
    """A file that is hashed as it is written."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("wb")
        self.digest = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        self.size += len(data)
        return self.file.write(data)

    def tell(self) -> int:
        return self.size


class TarWriter:
    """One shard: members KEY.DOMAIN.png, .cls or .json with fixed metadata, in the order they are added.

    Args:
        root: the folder of the shards.
        path: of the tar below it, such as train/00000.tar.
    """

    def __init__(self, root: Path, path: str) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.samples = 0
        self.rows: list[dict[str, Any]] = []
        self._out = _Hashed(root / path)
        self._tar = tarfile.open(fileobj=self._out, mode="w", format=tarfile.USTAR_FORMAT)  # type: ignore[call-overload]  # noqa: SIM115

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            if kind is None:
                self._tar.close()
        finally:
            self._out.file.close()

    def add(self, sample: Encoded) -> None:
        """Append a sample; its rows of the index are kept in `rows`."""
        self.samples += 1
        for member in sample.members:
            info = tarfile.TarInfo(
                f"{sample.key}.{member.domain}.{member.extension}"
            )  # mtime, uid and gid are 0, mode 644
            info.size = len(member.data)
            offset = self._out.size + _HEADER
            self._tar.addfile(info, io.BytesIO(member.data))
            self.rows.append(
                {
                    "key": sample.key,
                    "domain": member.domain,
                    "offset": offset,
                    "length": len(member.data),
                    "histogram": member.histogram,
                }
            )

    def entry(self) -> ShardEntry:
        """The closed shard's place in the manifest."""
        sha256 = self._out.digest.hexdigest()
        return ShardEntry(path=self.path, sha256=sha256, bytes=self._out.size, samples=self.samples)
