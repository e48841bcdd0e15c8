"""How emoji become samples: one emoji in one style is one, and no emoji is in two splits."""

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from PIL import Image
from pydantic import Field

from components.faults import Fault
from components.samples.domain import Domain, Picture
from components.samples.schema import Section
from components.samples.source import SPLITS, BadSample, Shown, require_samples
from components.samples.task import Task
from components.sources.emoji import GROUPS, STYLES, Emoji, EmojiConfig, GroupName, StyleName, read_list, read_pictures

BY_STYLE = Task(target="picture", condition="style")
# Of each attribute the code points of which one makes it hold.
LOOKS: dict[str, frozenset[str]] = {
    "woman": frozenset({"1f469", "1f467", "1f475", "2640"}),  # a woman, a girl, an old woman, the female sign
    "man": frozenset({"1f468", "1f466", "1f474", "2642"}),
    "light": frozenset({"1f3fb", "1f3fc"}),  # types 1 to 3 of the Fitzpatrick scale
    "medium": frozenset({"1f3fd"}),
    "dark": frozenset({"1f3fe", "1f3ff"}),
}
_SIDE = 64
_SHARES = {"test": 0.15, "val": 0.2}  # of the sha256 of an emoji: up to so much, so that val has a twentieth


class EmojiCut(Section):
    """Which emoji become samples, and of which size.

    Attributes:
        image_size: side of a sample, in pixels, from the 64 of the files; what is transparent is white.
        groups: those that are taken. Of two or more a sample says which it is of.
        skin_tones: whether the 1,875 pictures of other skin tones are taken beside their emoji. A sample then has the
            attributes `look` as well.
    """

    name: Literal["emoji"] = "emoji"
    image_size: Annotated[int, Field(ge=8, le=512)] = _SIDE
    groups: Annotated[tuple[GroupName, ...], Field(min_length=1)] = GROUPS
    skin_tones: bool = False


@dataclass(frozen=True, slots=True)
class _Unit:
    key: str
    emoji: Emoji
    style: StyleName


@dataclass(frozen=True)
class EmojiSource:
    """The files by style and code, and the samples of each split."""

    files: Mapping[StyleName, Mapping[str, bytes]]
    cut: EmojiCut
    splits: dict[str, list[_Unit]]

    @property
    def name(self) -> str:
        """As in `fetch.name`."""
        return "emoji"

    @property
    def domains(self) -> dict[str, Domain]:
        """Pictures, their styles and, of two or more, their groups, and, with skin tones, their looks."""
        return dict(shows_emoji(EmojiConfig(), self.cut).domains)

    @property
    def task(self) -> Task:
        """Pictures in the style that is asked for."""
        return BY_STYLE

    def read(self, unit: _Unit, /) -> dict[str, Picture]:
        """One emoji in one style."""
        sample = {
            "picture": _picture(self.files[unit.style][unit.emoji.code], self.cut.image_size, unit.key),
            "style": np.array(STYLES.index(unit.style), np.uint8),
        }
        if len(self.cut.groups) > 1:
            sample["group"] = np.array(self.cut.groups.index(unit.emoji.group), np.uint8)
        if self.cut.skin_tones:
            points = unit.emoji.code.split("-")
            sample["look"] = np.array([not some.isdisjoint(points) for some in LOOKS.values()], np.uint8)
        return sample


def shows_emoji(_: EmojiConfig, cut: EmojiCut) -> Shown:
    """What samples contain, according to the params alone."""
    domains = {
        "picture": Domain(kind="image", size=(cut.image_size, cut.image_size)),
        "style": Domain(kind="category", classes=STYLES, in_key=True),
    }
    if len(cut.groups) > 1:
        domains["group"] = Domain(kind="category", classes=cut.groups)
    if cut.skin_tones:
        domains["look"] = Domain(kind="attributes", classes=tuple(LOOKS))
    return Shown(domains, BY_STYLE)


def open_emoji(root: Path, cut: EmojiCut) -> EmojiSource:
    """The samples of data/raw/emoji.

    Raises:
        Fault: fetch has not run, or a file of it is not what it was.
    """
    listed, files = read_list(root), {style: read_pictures(root, style) for style in STYLES}
    for emoji in listed:
        if missing := [style for style in STYLES if emoji.code not in files[style]]:
            raise Fault(f"{root / 'emoji'}: {missing[0]} has no {emoji.code}.png; run dvc repro -f fetch")
    families = _families(listed, files)
    splits: dict[str, list[_Unit]] = {split: [] for split in SPLITS}
    for emoji in listed:
        if emoji.group in cut.groups and (cut.skin_tones or emoji.code == emoji.base):
            units = [_Unit(f"{emoji.code}-{style}", emoji, style) for style in STYLES]
            splits[_split(families[emoji.base])] += units
    require_samples("emoji", splits, "name more of shard.cut.groups")
    ordered = {split: sorted(units, key=lambda unit: unit.key) for split, units in splits.items()}
    return EmojiSource(files, cut, ordered)


def _families(listed: list[Emoji], files: Mapping[StyleName, Mapping[str, bytes]]) -> dict[str, str]:
    """Of each base emoji, the one by which its split is decided: emoji of equal pictures, as Norway's flag and those
    of two of its islands have, share one."""
    family = {emoji.base: emoji.base for emoji in listed}
    seen: dict[bytes, str] = {}
    for emoji in listed:
        for pictures in files.values():
            first = seen.setdefault(pictures[emoji.code], emoji.base)
            ours, theirs = family[emoji.base], family[first]
            if ours != theirs:
                family |= {base: theirs for base, one in family.items() if one == ours}
    return family


def _split(code: str) -> str:
    place = int.from_bytes(hashlib.sha256(code.encode()).digest()[:4], "big") / 2**32
    return next((split for split, share in _SHARES.items() if place < share), "train")


def _picture(data: bytes, side: int, key: str) -> Picture:
    """A PNG over white, (side, side, 3)."""
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            drawn = image.convert("RGBA")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BadSample(f"{key}: not a PNG ({error})") from error
    whole = Image.alpha_composite(Image.new("RGBA", drawn.size, (255, 255, 255, 255)), drawn).convert("RGB")
    return np.asarray(whole.resize((side, side), Image.Resampling.BICUBIC) if whole.size != (side, side) else whole)
