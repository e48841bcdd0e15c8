"""Emoji: 1,906, and 1,875 skin tones of them, each as two foundries draw it, in nine groups; two npm packages."""

import json
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from tqdm import tqdm

from components.faults import Fault
from components.samples.schema import Section
from components.sources.npm import NpmPackage
from components.sources.packages import extract_member, fetch_package
from components.storage.files import atomic_path, sha256_file, write_json

StyleName = Literal["noto", "twemoji"]
GroupName = Literal["smileys", "people", "animals", "food", "travel", "activities", "objects", "symbols", "flags"]
STYLES: tuple[StyleName, ...] = get_args(StyleName)
GROUPS: tuple[GroupName, ...] = get_args(GroupName)
LICENCE = "Apache-2.0 (Noto Emoji) and CC-BY-4.0 (Twemoji)"
_CATEGORIES: dict[str, GroupName] = {
    "Smileys & Emotion": "smileys",
    "People & Body": "people",
    "Animals & Nature": "animals",
    "Food & Drink": "food",
    "Travel & Places": "travel",
    "Activities": "activities",
    "Objects": "objects",
    "Symbols": "symbols",
    "Flags": "flags",
}
_LIST = "emoji.json"


@dataclass(frozen=True)
class _Style:
    """One foundry's pictures: the package, the folder in it, and what people should know of them."""

    package: NpmPackage
    folder: str
    title: str
    origin: str
    licence: str


_STYLES: dict[StyleName, _Style] = {
    "noto": _Style(
        NpmPackage(
            "emoji-datasource-google", "16.0.0", "fb5fd131b362aab7a55542d2a147a79708cce0a8b1c1bbacd470172708b5c438"
        ),
        "img/google/64/",
        "Noto Emoji, 64 pixels a side",
        "Google, https://github.com/googlefonts/noto-emoji",
        "Apache-2.0",
    ),
    "twemoji": _Style(
        NpmPackage(
            "emoji-datasource-twitter", "16.0.0", "f64a530c63bca463bd8317fdc4615ce63a53a0c65018e4ce2d848aaba7a28877"
        ),
        "img/twitter/64/",
        "Twemoji, 64 pixels a side",
        "Twitter, Inc and other contributors, https://github.com/jdecked/twemoji",
        "CC-BY-4.0",
    ),
}


class EmojiConfig(Section):
    """Emoji in two styles of drawing and nine groups, 64 pixels a side; two npm packages of 136 MB together."""

    name: Literal["emoji"] = "emoji"


@dataclass(frozen=True, slots=True)
class Emoji:
    """One emoji: its file's name without .png, that of the emoji whose skin tone it is (its own, if of none), and its
    group."""

    code: str
    base: str
    group: GroupName


def fetch_emoji(config: EmojiConfig, root: Path, cache: Path) -> None:
    """Fill root/emoji with emoji.json, a tar of pictures for each style and, last, source.json.

    Raises:
        Fault: a package cannot be downloaded, or the folders cannot be written to.
    """
    folder, files = root / config.name, {}
    for name, style in _STYLES.items():
        package, archive = style.package, fetch_package(style.package, cache)
        target = folder / f"{name}.tar"
        with atomic_path(target) as temporary, tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar:
            for member, data in package.members(archive, style.folder):
                info = tarfile.TarInfo(member.removeprefix(style.folder))  # mtime, uid and gid are 0
                info.size = len(data.getvalue())
                tar.addfile(info, data)
        files[target.name] = {
            "title": style.title,
            "origin": style.origin,
            "licence": style.licence,
            "sha256": sha256_file(target),
            "package": {"project": package.project, "version": package.version, "sha256": package.sha256},
        }
    extract_member(package, archive, _LIST, folder / _LIST)
    write_json(folder / "source.json", {"name": config.name, "licence": LICENCE, "files": files})
    tqdm.write(f"{folder}: {', '.join(style.title for style in _STYLES.values())}", file=sys.stderr)


def read_list(root: Path) -> list[Emoji]:
    """All emoji and their skin tones, in the order of the list that fetch_emoji left.

    Raises:
        Fault: fetch has not run, or the file is not what it was.
    """
    path = root / "emoji" / _LIST
    try:
        listed = json.loads(path.read_bytes())
        found = []
        for entry in listed:
            if (group := _CATEGORIES.get(entry["category"])) is None:  # patches of skin, which are no emoji
                continue
            base = entry["image"].removesuffix(".png")
            tones = [tone["image"].removesuffix(".png") for tone in entry.get("skin_variations", {}).values()]
            found += [Emoji(code, base, group) for code in (base, *tones)]
    except FileNotFoundError:
        raise Fault(f"{path}: not found; run dvc repro fetch") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Fault(f"{path}: not a list of emoji ({error}); run dvc repro -f fetch") from error
    return found


def read_pictures(root: Path, style: StyleName) -> dict[str, bytes]:
    """The PNG of each emoji in one style, by its code.

    Raises:
        Fault: fetch has not run, or the file is not what it was.
    """
    path = root / f"emoji/{style}.tar"
    pictures = {}
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                if (file := tar.extractfile(member)) is not None:
                    pictures[member.name.removesuffix(".png")] = file.read()
    except FileNotFoundError:
        raise Fault(f"{path}: not found; run dvc repro fetch") from None
    except (OSError, tarfile.TarError) as error:
        raise Fault(f"{path}: not a tar of pictures ({error}); run dvc repro -f fetch") from error
    return pictures
