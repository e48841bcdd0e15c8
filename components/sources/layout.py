"""Which files make a sample: the layouts of paired pictures, found in a folder."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from components.faults import Fault
from components.sources.folder import FolderConfig
from components.sources.keys import sample_keys
from components.sources.source import SPLITS

_TRAIN, _VAL, _TEST = ("train", "training"), ("val", "valid", "validation"), ("test", "testing")
_ALIASES = {name: split for split, names in zip(SPLITS, (_TRAIN, _VAL, _TEST), strict=True) for name in names}
_UNPAIRED = {f"{name}{side}" for name in _ALIASES for side in "AB"}


@dataclass(frozen=True, slots=True)
class Pair:
    """The files of one sample, below the folder of pictures; side by side, both are one file.

    An empty name stands for a partner that is missing.
    """

    key: str
    a: str
    b: str


def find_pairs(pictures: Path, config: FolderConfig) -> dict[str, list[Pair]]:
    """The pairs of each split, sorted by key; val and test, where not found, are held out of train.

    Raises:
        Fault: the layout is another one, or is unpaired.
    """
    sides = {config.a.folder or "A": "a", config.b.folder or "B": "b"}
    names = {**_ALIASES, **config.splits}
    base = _descend(pictures, set(names) | set(sides))
    files = sorted(path.relative_to(base).as_posix() for path in base.rglob("*") if path.is_file())
    tops = {PurePosixPath(name).parts[0] for name in files if "/" in name}
    if config.layout == "unpaired" or tops & _UNPAIRED:
        raise Fault(
            "fetch.layout: trainA/ and trainB/ hold unpaired pictures, which a paired system cannot be trained "
            "on; give pairs (side_by_side or folders)"
        )
    grouped = _folders(files, sides, names) if config.layout == "folders" else _side_by_side(files, names)
    if unknown := set(config.splits) - {place.split("/")[0] for place in grouped}:
        found = ", ".join(sorted(tops)) or "none"
        raise Fault(f"fetch.splits: no pictures in a folder {sorted(unknown)[0]}; folders found: {found}")
    if not grouped:
        wanted = " and ".join(f"{side}/" for side in sides) if config.layout == "folders" else "train/"
        found = ", ".join(sorted(tops)) or "none"
        raise Fault(f"fetch.layout: no pictures in {wanted} (layout {config.layout}); folders found: {found}")
    prefix = base.relative_to(pictures)
    splits: dict[str, list[Pair]] = {split: [] for split in SPLITS}
    for key, (place, pair) in zip(sample_keys(list(grouped)), grouped.items(), strict=True):
        a, b = (str(prefix / name) if name else "" for name in pair)
        splits[names.get(place.split("/")[0], "train")].append(Pair(key, a, b))
    ordered = {split: sorted(pairs, key=lambda pair: pair.key) for split, pairs in splits.items()}
    return hold_out(ordered, config.holdout)


def hold_out(splits: Mapping[str, list[Pair]], share: float) -> dict[str, list[Pair]]:
    """Fill an empty val or test with a share of train: the samples whose keys have the lowest sha256.

    The choice depends on the keys alone. At least one sample each; nothing where train would be left empty.
    """
    done = dict(splits)
    train = sorted(done["train"], key=lambda pair: hashlib.sha256(pair.key.encode()).digest())
    count = max(1, round(share * len(train)))
    for split in ("val", "test"):
        if not done[split] and len(train) > count:
            done[split], train = sorted(train[:count], key=lambda pair: pair.key), train[count:]
    return done | {"train": sorted(train, key=lambda pair: pair.key)}


def _descend(folder: Path, stop: set[str]) -> Path:
    """Through folders that hold nothing but one folder, as archives often do."""
    while True:
        inside = list(folder.iterdir())
        if len(inside) != 1 or not inside[0].is_dir() or inside[0].name in stop | _UNPAIRED:
            return folder
        folder = inside[0]


def _side_by_side(files: Sequence[str], names: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """SPLIT/name -> the one file, twice. Where there are split folders, files outside them are passed over."""
    inside = [name for name in files if "/" in name and name.split("/")[0] in names]
    files = inside or files
    stems = Counter(_stem(name) for name in files)
    # 1.png beside 1.jpg are two samples: their names then keep the ending.
    return {(_stem(name) if stems[_stem(name)] == 1 else name): (name, name) for name in files}


def _folders(files: Sequence[str], sides: Mapping[str, str], names: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """[SPLIT/]name -> (file of A, file of B), for A/SPLIT/name, SPLIT/A/name and A/name.

    Raises:
        Fault: one side has two files of a name.
    """
    found: dict[str, dict[str, str]] = {}
    for file in files:
        first, *rest = file.split("/")
        if first in sides and rest:
            side, place = sides[first], "/".join(rest)
        elif first in names and len(rest) > 1 and rest[0] in sides:
            side, place = sides[rest[0]], "/".join([first, *rest[1:]])
        else:
            continue
        pair = found.setdefault(_stem(place), {})
        if side in pair:
            raise Fault(f"{file}: {pair[side]} has the same name but for the ending; remove one of them")
        pair[side] = file
    return {place: (pair.get("a", ""), pair.get("b", "")) for place, pair in sorted(found.items())}


def _stem(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))
