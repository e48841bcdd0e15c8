"""Algorithms: whose pictures a study shows, each a generated set on disk."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.faults import Fault
from components.models.asked import open_asked, unlike
from components.models.card import CARD, Card, read_cards
from components.models.generator import Generator
from components.samples.task import Task
from components.shards.manifest import MANIFEST, Manifest
from components.shards.writer import write_set
from components.storage.home import AnyPath
from components.tracking.store import Store
from components.tracking.versions import Version, fetch_version, find_version

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 .+_-]{0,39}")
_VERSION = re.compile(r"(?:models:/)?([^/:@]+)@([A-Za-z0-9_-]+)")


@dataclass(frozen=True)
class Algorithm:
    """One that is asked about.

    Attributes:
        folder: of the generated set, its test split keyed as the test shards.
        run_id: of the MLflow run that made it, where it is a registered version.
    """

    name: str
    folder: Path
    card: Card
    version: str | None = None
    run_id: str | None = None

    def about(self) -> dict[str, Any]:
        """What a result says of where its figure comes from."""
        return {
            "system": self.card.system.name,
            "key": self.card.key,
            "weights_sha256": self.card.weights_sha256,
            "pictures": Manifest.read(self.folder).sha256,
            "makes": self.card.makes,
            "version": self.version,
            "run": self.run_id,
        }


def open_algorithms(
    named: list[str],
    default: Path,
    shards: AnyPath,
    direction: str | None,
    work: Path,
    store: Callable[[], Store],
) -> list[Algorithm]:
    """Every algorithm of a study, of one direction.

    Args:
        named: NAME=PATH or NAME=MODEL@VERSION, VERSION being an alias or a number. A PATH is what generate
            wrote, data/generated of any project, or one direction of it.
        default: the path taken where nothing is named, under its system's name.
        shards: whose test split they have translated.
        direction: such as photo_to_labels; None for the first algorithm's own.
        work: where registered versions keep what they make of the test pictures.
        store: opens the registry; called if a version is named.

    Raises:
        Fault: a name is used twice or cannot be used, there is no such path or version, or the algorithms do
            not translate between the same domains at the same size.
    """
    parts = [_parse(text) for text in named] or [("", str(default))]
    found: list[Algorithm] = []
    for name, place in parts:
        first = found[0] if found else None
        wanted = first.card.name if first else direction
        match = None if Path(place).is_dir() else _VERSION.fullmatch(place)
        if match:
            made = _registered(name, store(), match[1], match[2], shards, work)
        else:
            made = _generated(name, Path(place), wanted)
        if wanted not in (None, made.card.name):
            raise Fault(f"{made.name}: translates {made.card.name}, but the study is about {wanted}")
        if first and made.card.target != first.card.target:
            raise Fault(f"{made.name}: its pictures differ in kind or size from those of {first.name}")
        if made.name in [other.name for other in found]:
            raise Fault(f"--algorithm: {made.name} is named twice")
        found.append(made)
    return found


def _parse(text: str) -> tuple[str, str]:
    name, equals, place = text.partition("=")
    if not (equals and place and _NAME.fullmatch(name)):
        raise Fault(
            f"--algorithm {text}: give NAME=PATH or NAME=MODEL@VERSION, NAME of letters, digits, spaces and .+_-"
        )
    return name, place


def _generated(name: str, path: Path, direction: str | None) -> Algorithm:
    if (path / CARD).exists():
        path, direction = path.parent, path.name
    if not path.is_dir():
        raise Fault(f"{path}: is neither a folder of generated pictures nor MODEL@VERSION; run dvc repro generate")
    cards = {card.name: card for card in read_cards(path)}
    chosen = direction or next(iter(cards))
    if chosen not in cards:
        raise Fault(f"{path}: has no direction {chosen}; it has {', '.join(cards)}")
    return Algorithm(name or cards[chosen].system.name, path / chosen, cards[chosen])


def _registered(name: str, store: Store, model: str, which: str, shards: AnyPath, work: Path) -> Algorithm:
    version = find_version(store, model, which)
    manifest = Manifest.read(shards)
    weights = version.tags.get("weights_sha256", "")
    folder = work / f"{weights[:16]}-{version.tags.get('card_sha256', '')[:8]}-{manifest.sha256[:16]}"
    generator = Generator.load(fetch_version(store, version, work / "versions" / _file_name(version)))
    card = generator.card
    if problem := unlike(card, manifest):
        raise Fault(f"{version.name}: {card.task.title}: {shards} has {problem}")
    if not (folder / MANIFEST).exists():
        target = card.task.target
        test = {"test": open_asked(shards, card).all(generator)}
        write_set(folder, manifest.source, {target: card.target}, Task(target=target), test)
    return Algorithm(name, folder, card, version.name, version.run_id or None)


def _file_name(version: Version) -> str:
    return f"{re.sub('[^A-Za-z0-9_-]', '_', version.model)}-{version.number}"
