"""Which files are samples where there are photos alone: every picture of a folder, each by itself."""

from pathlib import Path

from components.faults import Fault
from components.samples.source import SPLITS
from components.sources.folder_config import FolderConfig
from components.sources.keys import sample_keys
from components.sources.layout import (
    ALIASES,
    UNPAIRED,
    descend,
    files_below,
    hold_out,
    named,
    refuse_poured,
    split_folder,
    within_splits,
)
from components.sources.sides import Single


def find_photos(pictures: Path, config: FolderConfig) -> dict[str, list[Single]]:
    """The photos of each split, sorted by key; val and test, where not found, are held out of train.

    Raises:
        Fault: the folder holds two sides, or `fetch.splits` names a folder without pictures.
    """
    names = {**ALIASES, **config.splits}
    base = descend(pictures, set(names))
    files = files_below(base)
    tops = {folder for file in files if (folder := split_folder(file))}
    if sides := sorted(tops & UNPAIRED - set(names)):
        raise Fault(
            f"fetch.layout: photos has one side, but {', '.join(sides)} hold two; make the layout unpaired, or name "
            "these folders in fetch.splits"
        )
    if unknown := set(config.splits) - tops:
        found = ", ".join(sorted(tops)) or "none"
        raise Fault(f"fetch.splits: no pictures in a folder {min(unknown)}; folders found: {found}")
    refuse_poured(tops, config)
    prefix, places = base.relative_to(pictures), named(within_splits(files, names))
    splits: dict[str, list[Single]] = {split: [] for split in SPLITS}
    for key, file in zip(sample_keys(list(places)), places.values(), strict=True):
        splits[names.get(split_folder(file), "train")].append(Single(key, str(prefix / file), config.a.name))
    return hold_out({split: sorted(ones, key=lambda one: one.key) for split, ones in splits.items()}, config.holdout)
