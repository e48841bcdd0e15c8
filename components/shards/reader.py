"""Split: the samples of one split, any of them at once."""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from components.domain import Domain
from components.faults import Fault
from components.shards.index import check_file, read_index
from components.shards.manifest import Manifest
from components.shards.tar import Picture


class Split:
    """Random access to the samples of a split, by the byte places of the index.

    A shard's sha256 is checked once, when it is first touched. Copies made by fork or pickle are safe to
    use side by side: nothing of a file's position is shared.

    Args:
        root: the folder of manifest.json, index.parquet and the tars.
        name: train, val or test.

    Raises:
        Fault: the manifest, the index or the split is missing or broken.
    """

    def __init__(self, root: Path, name: str) -> None:
        self.root, self.name = root, name
        self.manifest = Manifest.read(root)
        if name not in self.manifest.splits:
            raise Fault(f"{root}: has no split {name}; it has {', '.join(self.manifest.splits)}")
        self.domains: dict[str, Domain] = dict(self.manifest.domains)
        self.keys: list[str] = self.manifest.keys(name)
        entries = self.manifest.splits[name]
        self._shard = np.repeat(np.arange(len(entries)), [len(entry.keys) for entry in entries])
        table = read_index(root, self.manifest.index, name).to_pydict()
        rows = len(self.keys) * len(self.domains)
        if len(table["key"]) != rows or table["key"][:: len(self.domains)] != self.keys:
            raise Fault(f"{root}: the index does not list the manifest's {len(self.keys)} {name} samples")
        self._place: dict[str, NDArray[np.int64]] = {}
        self._counts: dict[str, NDArray[np.int64]] = {}
        for position, domain in enumerate(sorted(self.domains)):
            mine = slice(position, None, len(self.domains))
            self._place[domain] = np.array([table["offset"][mine], table["length"][mine]], np.int64)
            if self.domains[domain].kind == "label":
                self._counts[domain] = np.array(table["histogram"][mine], np.int64).reshape(len(self.keys), -1)
        self._files: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self.keys)

    def read(self, i: int) -> tuple[str, dict[str, Picture]]:
        """Sample i: its key, and one picture a domain, (H, W, 3) RGB or (H, W) class indices, uint8.

        Raises:
            Fault: the shard is not what the manifest says, naming it and the bytes.
        """
        return self.keys[i], {domain: self.picture(i, domain) for domain in self._place}

    def picture(self, i: int, domain: str) -> Picture:
        """One picture of sample i, where the others are not wanted."""
        data = self.png(i, domain)
        try:
            with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
                picture = np.array(image)
        except (OSError, SyntaxError, ValueError) as error:
            raise Fault(f"{self._where(i, domain)}: not a PNG ({error})") from error
        expected = self.manifest.size + ((3,) if self.domains[domain].kind == "image" else ())
        if picture.shape != expected or picture.dtype != np.uint8:
            raise Fault(f"{self._where(i, domain)}: {picture.dtype} {picture.shape} is not uint8 {expected}")
        return picture

    def png(self, i: int, domain: str) -> bytes:
        """The encoded bytes of one picture of sample i."""
        offset, length = (int(value) for value in self._place[domain][:, i])
        data = os.pread(self._open(int(self._shard[i])), length, offset)
        if len(data) != length:
            raise Fault(f"{self._where(i, domain)}: the file ends before")
        return data

    def histogram(self, domain: str) -> NDArray[np.int64]:
        """Pixels of each class of a label domain over the split, (classes,), without reading a shard."""
        if domain not in self._counts:
            raise Fault(f"{domain}: is not a label domain of {self.root}; those are {', '.join(self._counts)}")
        total: NDArray[np.int64] = self._counts[domain].sum(0)
        return total

    def histograms(self, domain: str) -> NDArray[np.int64]:
        """Pixels of each class by sample, (len, classes)."""
        self.histogram(domain)
        return self._counts[domain]

    def verify(self) -> None:
        """Check the sha256 of every shard of the split now rather than when first touched."""
        for shard in range(len(self.manifest.splits[self.name])):
            self._open(shard)

    def close(self) -> None:
        """Close the files; reading opens, and checks, them again."""
        while self._files:
            os.close(self._files.popitem()[1])

    def _open(self, shard: int) -> int:
        if shard not in self._files:
            entry = self.manifest.splits[self.name][shard]
            check_file(self.root / entry.path, entry.sha256, entry.bytes)
            self._files[shard] = os.open(self.root / entry.path, os.O_RDONLY | os.O_CLOEXEC)
        return self._files[shard]

    def _where(self, i: int, domain: str) -> str:
        entry = self.manifest.splits[self.name][int(self._shard[i])]
        offset, length = (int(value) for value in self._place[domain][:, i])
        return f"{self.root / entry.path}: bytes {offset}-{offset + length} ({self.keys[i]}.{domain}.png)"

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_files": {}}

    def __del__(self) -> None:
        if hasattr(self, "_files"):
            self.close()
