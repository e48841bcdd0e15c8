"""The command translate: translates a folder of pictures with a version of the registered model."""

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path, PurePath

import numpy as np
from PIL import Image
from tqdm import tqdm

from components.faults import Fault
from components.models.card import condition_of
from components.models.generator import Generator
from components.models.tiles import count_tiles, times, translate_picture
from components.params import load_params
from components.samples.condition import each_condition, parse_changes
from components.samples.domain import NO_ATTRIBUTE, Domain, Picture
from components.samples.source import BadSample
from components.sources.attributes import TABLE, read_table
from components.sources.fit import middle
from components.sources.formats import EXTENSIONS
from components.sources.given import as_given
from components.sources.passed import PassedOver
from components.sources.pictures import open_picture
from components.storage.files import atomic_path
from components.storage.home import LOCAL
from components.storage.scratch import scratch
from components.tasks.encoding import render
from components.tracking.store import open_store, tracking_uri
from components.tracking.versions import fetch_version, find_version

_MOST_PIXELS = 100_000_000  # of an enlarged picture, which take 2 GB while they are made


def translate_folder(chosen: argparse.Namespace) -> None:
    """The command `translate`: good pictures are translated, bad ones named at the end, with status 1."""
    config = load_params(chosen.params).register_
    store = open_store(tracking_uri(LOCAL), LOCAL, config.experiment, make=False)
    work = _plan(chosen.folder, chosen.out, chosen.force)
    with scratch() as folder:
        version = find_version(store, chosen.model or config.model, chosen.version)
        generator = Generator.load(fetch_version(store, version, folder))
        if chosen.style:
            generator = in_style(generator, chosen.style)
        translators = _translators(generator, chosen, _reference(generator, chosen.reference))
        _require_free(work.values(), chosen.out, translators, chosen.force)
        bad = []
        with tqdm(total=len(work), unit="picture", desc=f"translate with {version.name}") as bar:
            for path, out in work.items():
                bar.set_postfix_str(path.name)
                try:
                    for inside, translator in translators.items():
                        place, name = chosen.out / inside / out.relative_to(chosen.out), _name(path, chosen.folder)
                        _translate(translator(name), path, name, place)
                except BadSample as fault:
                    bad.append(str(fault))
                bar.update()
    count = len(translators) * (len(work) - len(bad))
    print(f"{chosen.out}: {count} pictures by {version.name}", file=sys.stderr)
    if bad:
        raise Fault(f"{len(bad)} of {len(work)} pictures could not be translated: {'; '.join(bad[:5])}")


def in_style(translator: Generator, text: str) -> Generator:
    """The translator in a mixture such as `brick=2,coffee`; says so where the weights do not sum to 1.

    Raises:
        Fault: a weight that is no number, a style named twice, or one that the version does not have.
    """
    weights: dict[str, float] = {}
    for part in text.split(","):
        name, _, number = part.strip().partition("=")
        if name in weights:
            raise Fault(f"--style {text}: names {name} twice")
        try:
            weights[name] = float(number or 1)
        except ValueError:
            raise Fault(f"--style {text}: {number} is no number; write it as brick=2,coffee=1") from None
    styled, total = translator.in_style(weights), sum(weights.values())
    if total != 1:
        shares = ", ".join(f"{name} {weight / total:.3g}" for name, weight in weights.items())
        print(f"--style {text}: weights become shares: {shares}", file=sys.stderr)
    return styled


def _translators(
    generator: Generator, chosen: argparse.Namespace, reference: Picture | None
) -> dict[str, Callable[[str], Generator]]:
    """What translates a picture, by its name, and by the folder below --out that is written to: one, or one for each of
    `each_condition` where none is named."""
    text, domain = chosen.condition, generator.card.condition
    if text is not None:
        if domain is not None and not domain.exclusive and "=" in text:
            return {"": _changed(generator, domain, text, chosen.folder)}
        return {"": _always(generator.in_condition(condition_of(generator.card, text, "--condition"), reference))}
    if "condition" not in generator.needs or domain is None:
        return {"": _always(generator)}
    return {name: _always(generator.in_condition(name, reference)) for name in each_condition(domain)}


def _always(generator: Generator) -> Callable[[str], Generator]:
    return lambda _: generator


def _changed(generator: Generator, domain: Domain, text: str, folder: Path) -> Callable[[str], Generator]:
    """Each picture with some of its attributes changed; the table in the folder says what it shows."""
    changes, path = parse_changes(domain, text, "--condition"), folder / TABLE
    if not path.is_file():
        names = ",".join(domain.classes[:2])
        raise Fault(
            f"--condition {text}: {path} does not exist, and it says which attributes each picture has; write it, or "
            f"name all that they are to have, such as {names} or {NO_ATTRIBUTE}"
        )
    pictures = frozenset(_name(each, folder) for each in folder.rglob("*") if each.suffix.lower() in EXTENSIONS)
    rows = read_table(path, str(path), domain.classes, pictures, "the version")

    def translator(name: str) -> Generator:
        if name not in rows:
            raise BadSample(f"{name}: has no row in {path}")
        return generator.in_condition(np.array([changes.get(i, own) for i, own in enumerate(rows[name])], np.uint8))

    return translator


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def _reference(generator: Generator, path: Path | None) -> Picture | None:
    """The picture in whose style, its middle at the size of the generator.

    Raises:
        Fault: it is missing where one is needed, is given where none is, or is no picture.
    """
    needed = "reference" in generator.needs
    if (path is not None) != needed:
        what = "give --reference, a picture of the class" if needed else "takes no --reference; leave it out"
        raise Fault(f"{generator.card.system.name}, {generator.card.task.title}: {what}")
    if path is None:
        return None
    picture = Image.fromarray(as_given(open_picture(path, str(path)), generator.target, str(path)))
    height, width = generator.target.height_width
    size = (width, height)
    return np.asarray(picture.resize(size, Image.Resampling.BICUBIC, middle(picture.size, size)))


def _plan(folder: Path, out: Path, force: bool) -> dict[Path, Path]:
    """Each picture, and the PNG that it becomes: its name and its sub-folder are kept."""
    if not folder.is_dir():
        raise Fault(f"{folder}: is not a folder")
    if out.resolve() == folder.resolve():
        raise Fault(f"--out {out}: is the folder of the pictures themselves; name another")
    work: dict[Path, Path] = {}
    taken: dict[Path, Path] = {}
    passed = PassedOver(str(folder))
    earlier = out.resolve() if folder.resolve() in out.resolve().parents else None  # results inside are no sources
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if earlier in path.resolve().parents:
            continue
        if path == folder / TABLE:
            continue
        if path.suffix.lower() not in EXTENSIONS:
            passed.add(path.name)
            continue
        place = out / path.relative_to(folder).with_suffix(".png")
        if place in taken:
            raise Fault(f"{path} and {taken[place]} would both become {place}; rename one of them")
        if place.exists() and not force:
            raise Fault(f"{place}: exists already; --force replaces it")
        work[path] = taken[place] = place
        taken[place] = path
    passed.say()
    if not work:
        raise Fault(f"{folder}: holds no pictures ({' '.join(sorted(EXTENSIONS))})")
    return work


def _require_free(places: Iterable[Path], out: Path, folders: Iterable[str], force: bool) -> None:
    """Refuse to replace what lies in the folders of classes; `_plan` has looked at --out itself."""
    for inside in folders:
        if PurePath(inside).name != inside:
            raise Fault(f"--out {out}: no folder can be called {inside}; name one class with --condition")
        for place in places:
            if inside and not force and (there := out / inside / place.relative_to(out)).exists():
                raise Fault(f"{there}: is there already; --force replaces it")


def _translate(translator: Generator, path: Path, name: str, out: Path) -> None:
    picture = as_given(open_picture(path, name), translator.source, name)
    (height, width), (down, across) = picture.shape[:2], times(translator)
    if (down, across) != (1, 1) and down * height * across * width > _MOST_PIXELS:
        large = f"{down * height}x{across * width}"
        raise BadSample(
            f"{name}: would become {large} pixels; at most {_MOST_PIXELS:,} are allowed, so translate parts of it"
        )
    count = count_tiles(translator, height, width)
    with tqdm(total=count, unit="tile", desc=name, leave=False, disable=count < 50) as bar:
        made = translate_picture(translator, picture, _update(bar))
    with atomic_path(out) as temporary:
        Image.fromarray(render(translator.target, made[None])[0]).save(temporary, format="PNG")


def _update(bar: "tqdm[None]") -> Callable[[int], object]:
    return bar.update
