"""Store: tars at a root of their own, named by their content."""

from dataclasses import replace
from pathlib import Path, PurePosixPath

from components.shards.manifest import INDEX, MANIFEST, Manifest, ShardEntry
from components.storage.files import listed, put_file
from components.storage.home import AnyPath


class Store:
    """Where the tars of a set are put as they are finished: SPLIT/NUMBER-SHA256.tar below a root.

    A name is never used for other bytes, so sets can share a root, and tars that a killed stage has stored are not sent
    again.
    """

    def __init__(self, root: AnyPath) -> None:
        self.root = root
        self._there: dict[str, dict[str, int]] = {}

    def put(self, folder: Path, entry: ShardEntry) -> ShardEntry:
        """Move a finished tar from `folder` to the store; gives it with its name there.

        Raises:
            Fault: the store refuses, or stays away.
        """
        local = folder / entry.path
        split, name = str(PurePosixPath(entry.path).parent), f"{local.stem}-{entry.sha256[:16]}.tar"
        if split not in self._there:
            self._there[split] = listed(self.root / split)
        if self._there[split].get(name) != entry.bytes:
            put_file(local, self.root / split / name)
        local.unlink()
        for place in PurePosixPath(entry.path).parents[:-1]:
            (folder / place).rmdir()
        return replace(entry, path=f"{split}/{name}")

    def publish(self, manifest: Manifest, folder: Path) -> None:
        """Put a copy of a manifest and its index where every node can read them."""
        place = manifest.published(folder)
        put_file(folder / INDEX, place / INDEX)
        put_file(folder / MANIFEST, place / MANIFEST)
