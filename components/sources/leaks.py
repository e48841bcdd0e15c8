"""The same picture in two places: refused between splits or sides, and reported within one."""

import sys
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tqdm import tqdm

from components.faults import Fault


class Place(NamedTuple):
    """Where one picture stands: its split (train, or train/SIDE), the side it belongs to, and its file."""

    split: str
    side: str
    file: str


def refuse_shared(pictures: Iterable[tuple[str, Place]]) -> None:
    """Refuse a file that is on both sides or in two splits, byte for byte; report how many are twice in one.

    Args:
        pictures: of every sample, the hash of what must not be in two places, and where it is.

    Raises:
        Fault: naming two of the files.
    """
    first: dict[str, Place] = {}
    shared: list[tuple[Place, Place]] = []
    doubles: list[tuple[Place, Place]] = []
    for digest, place in pictures:
        other = first.setdefault(digest, place)
        if other.split != place.split:
            shared.append((other, place))
        elif other.file != place.file:
            doubles.append((other, place))
    if doubles:
        one, two = doubles[0]
        line = (
            f"{len(doubles)} pictures stand twice in a split, and count twice, such as {two.file}, which is {one.file}"
        )
        tqdm.write(line, file=sys.stderr)
    if not shared:
        return
    one, two = min(shared, key=lambda pair: pair[0].side == pair[1].side)  # two sides first
    what = "leak between splits"
    if one.side != two.side:
        what = f"the sides {one.side} and {two.side} share pictures"
    more = f", and {len(shared) - 1} more" if len(shared) > 1 else ""
    raise Fault(
        f"{what}: {one.file} (in {one.split}) and {two.file} (in {two.split}) are the same file{more}; "
        "keep each picture in one place"
    )


def of_pairs(
    splits: Mapping[str, Iterable[tuple[str, str]]], hashes: Mapping[str, str], is_image: tuple[bool, bool]
) -> Iterable[tuple[str, Place]]:
    """What must not be in two splits, of pairs: the two files together, and each photo.

    A label map may be in two splits, since two photos can have the same one.

    Args:
        splits: (file of A, file of B) of each pair, one and the same where they are side by side; empty where missing.
        is_image: whether A, and B, hold images.
    """
    for split, pairs in splits.items():
        for a, b in pairs:
            alone = [file for file, image in zip((a, b), is_image, strict=True) if image and file]
            for file in dict.fromkeys(alone or [a or b]):
                yield hashes[file], Place(split, "", file)
