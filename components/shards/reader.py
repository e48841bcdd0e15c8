"""Split: the samples of one split, any of them at once."""

import io
import json
from collections import OrderedDict
from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from components.faults import Fault
from components.samples.domain import Domain, Picture
from components.shards.cache import open_shard
from components.shards.index import read_index
from components.shards.manifest import Manifest, ShardEntry
from components.shards.shard import Shard
from components.storage.home import AnyPath


class Split:
    """Random access to the samples of a split. Safe to read from several threads.

    Opening one costs the manifest alone. A shard is opened, and its sha256 checked, when one of its samples
    is first read; the index is read when `keys` or `histograms` are first asked for. Copies made by fork or pickle can
    be used at the same time, since they share no file position.

    Args:
        root: the folder of manifest.json and index.parquet.
        name: train, val or test; of an unaligned set, train/DOMAIN and so on (see `open_side`).
        open_shards: how many tars are kept open, with the places of their samples; beyond that, the tar that was read
            longest ago is closed, and checked again if it is needed again.
        domains: which of a sample's pictures `read` decodes; all that it shows unless given.

    Attributes:
        domains: those that `read` gives.
        sizes: the number of samples of each shard, in order.

    Raises:
        Fault: the manifest or the split is missing or broken, or a domain is not in it.
    """

    def __init__(self, root: AnyPath, name: str, open_shards: int = 64, domains: Sequence[str] | None = None) -> None:
        self.root, self.name = root, name
        self.manifest = Manifest.read(root)
        if name not in self.manifest.splits:
            raise Fault(f"{root}: has no split {name}; it has {', '.join(self.manifest.splits)}")
        self._held = self.manifest.held(name)
        if missing := set(domains or ()) - set(self._held):
            raise Fault(f"{root}: {name} shows no {min(missing)}; it shows {', '.join(self._held)}")
        self.domains: dict[str, Domain] = {held: self.manifest.domains[held] for held in domains or self._held}
        self.sizes: NDArray[np.int64] = np.array([entry.samples for entry in self._entries], np.int64)
        self._ends = np.cumsum(self.sizes)
        self._limit = open_shards
        self._open: OrderedDict[int, Shard] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    @cached_property
    def keys(self) -> list[str]:
        """The key of each sample, in order, from the index: for callers that need all of a split."""
        keys: list[str] = self._column("key", min(self.domains))
        return keys

    def prepare(self, i: int) -> None:
        """Open and check the shard of sample i."""
        self._find(i)

    def read(self, i: int) -> tuple[str, dict[str, Picture]]:
        """Sample i: its key, and what it holds of each of `domains`, uint8: (H, W, 3) RGB, (H, W) class indices, ()
        the index of a category, or (attributes,) of 0 and 1.

        Raises:
            Fault: the shard is not what the manifest says, naming it and the bytes.
        """
        shard, place = self._find(i)
        return shard.keys[place], {domain: self._decode(shard, place, domain) for domain in sorted(self.domains)}

    def picture(self, i: int, domain: str) -> Picture:
        """One picture of sample i alone."""
        return self._decode(*self._find(i), domain)

    def png(self, i: int, domain: str) -> bytes:
        """The encoded bytes of one picture of sample i."""
        shard, place = self._find(i)
        return shard.member(place, domain)

    def histogram(self, domain: str) -> NDArray[np.int64]:
        """Pixels of each class of a label domain over the split, (classes,), as the manifest gives them; of a
        category samples of each class, of attributes samples that have each."""
        totals = self.manifest.totals[self.name]
        if domain not in totals:
            raise Fault(f"{domain}: is not a label domain of {self.root}; those are {', '.join(totals)}")
        return np.array(totals[domain], np.int64)

    def histograms(self, domain: str) -> NDArray[np.int64]:
        """Pixels of each class by sample, (len, classes), from the index."""
        return np.array(self._column("histogram", domain), np.int64).reshape(len(self), len(self.histogram(domain)))

    def verify(self) -> None:
        """Check every shard of the split now rather than before its first use."""
        for number in range(len(self.sizes)):
            self.shard(number)

    def close(self) -> None:
        """Close the files; reading opens, and checks, them again."""
        with self._lock:
            self._open.clear()

    def shard(self, number: int) -> Shard:
        """One of the split's shards, checked and open.

        Raises:
            Fault: it is not what the manifest says.
        """
        with self._lock:
            shard = self._open.pop(number, None)
            if shard is None:
                entry = self._entries[number]
                members = {name: self.manifest.domains[name].extension for name in self._held}
                shard = Shard(partial(self._open_file, entry), entry.samples, members)
            self._open[number] = shard
            if len(self._open) > self._limit:
                self._open.popitem(last=False)
        return shard.open()  # outside the lock: other shards can be read while this one is hashed

    @property
    def _entries(self) -> tuple[ShardEntry, ...]:
        return self.manifest.splits[self.name]

    def _open_file(self, entry: ShardEntry) -> tuple[Path, int]:
        return open_shard(self.manifest.location(self.root, entry), entry.sha256, entry.bytes)

    def _find(self, i: int) -> tuple[Shard, int]:
        if not 0 <= i < len(self):
            raise IndexError(f"sample {i} of {len(self)}")
        number = int(np.searchsorted(self._ends, i, side="right"))
        return self.shard(number), i - int(self._ends[number] - self.sizes[number])

    def _decode(self, shard: Shard, place: int, domain: str) -> Picture:
        data = shard.member(place, domain)
        picture = self._picture(data, shard.where(place, domain), domain)
        if stranger := self.manifest.domains[domain].stranger(picture):
            raise Fault(f"{shard.where(place, domain)}: {stranger}; write the shards again (dvc repro -f shard)")
        return picture

    def _picture(self, data: bytes, where: str, domain: str) -> Picture:
        held = self.manifest.domains[domain]
        if held.kind == "category":
            return np.array(min(int(data), 255), np.uint8)
        if held.kind == "attributes":
            return self._checked(np.array(json.loads(data), np.uint8), where, held)
        height, width = held.height_width
        try:
            with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
                if image.size != (width, height):  # before anything is decoded: a header may announce any size
                    raise Fault(f"{where}: {image.size} pixels are not {(width, height)}")
                picture = np.array(image)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise Fault(f"{where}: not a PNG ({error})") from error
        return self._checked(picture, where, held)

    @staticmethod
    def _checked(picture: Picture, where: str, held: Domain) -> Picture:
        if picture.shape != held.shape or picture.dtype != np.uint8:
            raise Fault(f"{where}: {picture.dtype} {picture.shape} is not uint8 {held.shape}")
        return picture

    def _column(self, column: str, domain: str) -> list[Any]:
        table = read_index(self.root, self.manifest.index, self.name, [column], domain)
        values: list[Any] = table.column(column).to_pylist()
        if len(values) != len(self):
            raise Fault(f"{self.root}: the index does not list the manifest's {len(self)} {self.name} samples")
        return values

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_open", "_lock")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state | {"_open": OrderedDict(), "_lock": Lock()}


def evenly(length: int, count: int) -> list[int]:
    """`count` places of a split of some length, or all there are, spread evenly, the first and the last among them."""
    return np.linspace(0, length - 1, min(count, length)).round().astype(int).tolist()


def open_side(root: AnyPath, split: str, domain: str, **options: Any) -> Split:
    """One domain of a split, aligned or not: the samples of `split` that show it, and that picture of each.

    Args:
        root: the folder of manifest.json.
        split: train, val or test.
        domain: whose pictures are wanted.
        options: of `Split`.

    Raises:
        Fault: as `Split`; or the set has no such domain.
    """
    return Split(root, Manifest.read(root).side(split, domain), domains=(domain,), **options)
