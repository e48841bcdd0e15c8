"""Which files are samples of which side: unpaired pictures, found in a folder or in two."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from components.faults import Fault
from components.samples.source import SPLITS
from components.sources.folder_config import FolderConfig
from components.sources.keys import sample_keys
from components.sources.layout import (
    ALIASES,
    descend,
    files_below,
    hold_out,
    named,
    refuse_poured,
    say_outside,
    split_folder,
    within_splits,
)


@dataclass(frozen=True, slots=True)
class Single:
    """The file of one sample, below the folder of pictures, and the name of its side."""

    key: str
    file: str
    side: str


@dataclass(frozen=True, slots=True)
class _Found:
    """A picture as it was found: what its key is made of, its file, its split folder (or none) and its side."""

    place: str
    file: str
    folder: str
    side: str


def find_sides(pictures: Path, config: FolderConfig) -> dict[str, list[Single]]:
    """The samples of train/SIDE, val/SIDE and test/SIDE, sorted by key.

    A val or test that a side does not have is held out of that side's train.

    Raises:
        Fault: the layout is another one, or a side has no pictures.
    """
    names = {**ALIASES, **config.splits}
    found = _named_sources(pictures, config, names) if config.a.path else _lettered(pictures, config, names)
    if unknown := set(config.splits) - {one.folder for one in found}:
        raise Fault(f"fetch.splits: no pictures in a folder {min(unknown)}; folders found: {_folders(found)}")
    for side in (config.a.name, config.b.name):
        refuse_poured({one.folder for one in found if one.side == side}, config)
    splits: dict[str, list[Single]] = {f"{split}/{side.name}": [] for split in SPLITS for side in (config.a, config.b)}
    for key, one in zip(sample_keys([one.place for one in found]), found, strict=True):
        splits[f"{names.get(one.folder, 'train')}/{one.side}"].append(Single(key, one.file, one.side))
    for side in (config.a.name, config.b.name):
        own = {split: sorted(splits[f"{split}/{side}"], key=lambda single: single.key) for split in SPLITS}
        splits |= {f"{split}/{side}": singles for split, singles in hold_out(own, config.holdout).items()}
    return splits


def _lettered(pictures: Path, config: FolderConfig, names: Mapping[str, str]) -> list[_Found]:
    """trainA/1.jpg, trainB/7.jpg and so on."""
    sides = {"A": config.a, "B": config.b}
    tops = {f"{name}{letter}": (name, letter) for name in names for letter in sides}
    base = descend(pictures, set(tops))
    files = files_below(base)
    inside = [file for file in files if "/" in file and file.split("/")[0] in tops]
    say_outside(files, inside, tops)
    prefix, found = base.relative_to(pictures), []
    for place, file in named(inside).items():
        folder, letter = tops[file.split("/")[0]]
        found.append(_Found(place, str(prefix / file), folder, sides[letter].name))
    for letter, side in sides.items():
        if all(one.side != side.name for one in found):
            there = ", ".join(sorted({file.split("/")[0] for file in files if "/" in file})) or "none"
            problem = f"{side.name} is empty: no pictures in train{letter}/" if found else "no trainA/ and trainB/"
            advice = "" if found else "; pairs want layout side_by_side or folders"
            raise Fault(f"fetch.layout unpaired: {problem}; folders found: {there}{advice}")
    return found


def _named_sources(pictures: Path, config: FolderConfig, names: Mapping[str, str]) -> list[_Found]:
    """SIDE/train/1.jpg or SIDE/1.jpg, where each side was fetched from a place of its own."""
    return [one for side in (config.a.name, config.b.name) for one in _named_source(pictures, side, names)]


def _named_source(pictures: Path, side: str, names: Mapping[str, str]) -> Iterator[_Found]:
    base = descend(pictures / side, set(names))
    if both := [name for name in ("trainA", "trainB") if (base / name).is_dir()]:
        raise Fault(f"fetch: the path of {side} holds {' and '.join(both)}, so both sides; give it as fetch.path alone")
    prefix = base.relative_to(pictures)
    for place, file in named(within_splits(files_below(base), names)).items():
        top = split_folder(file)
        yield _Found(f"{side}/{place}", str(prefix / file), top if top in names else "", side)


def _folders(found: Sequence[_Found]) -> str:
    return ", ".join(sorted({one.folder for one in found if one.folder})) or "none"
