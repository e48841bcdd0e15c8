"""Finds photos that use only the lower half of their range, as 12-bit data in 16 bits does."""

from collections.abc import Iterator

from components.shards.manifest import Manifest
from components.shards.reader import evenly, open_side
from components.storage.home import AnyPath

_LOOKED_AT = 200  # samples, evenly spread


def dark_domains(root: AnyPath) -> Iterator[str]:
    """A line for each image domain of which no training picture that was looked at has a value above 127.

    Raises:
        Fault: a shard is not what the manifest says.
    """
    for name, domain in Manifest.read(root).domains.items():
        if domain.kind != "image":
            continue
        split = open_side(root, "train", name)
        chosen = evenly(len(split), _LOOKED_AT)
        brightest = max(int(split.picture(i, name).max()) for i in chosen)
        if brightest < 128:
            seen = f"{name}: the brightest value of {len(chosen)} pictures is {brightest} of 255"
            yield f"{seen}; if the files hold 12 bits in 16, or reflectances, say so (range: [0, 4095] of that side)"
