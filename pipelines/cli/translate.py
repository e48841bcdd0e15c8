"""The command translate: a folder of pictures through a version of the registered model."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from components.faults import Fault
from components.files import atomic_path
from components.home import LOCAL
from components.models.generator import Generator
from components.models.tiles import count_tiles, translate_picture
from components.params import load_params
from components.scratch import scratch
from components.source import BadSample
from components.sources.formats import EXTENSIONS
from components.sources.given import as_given
from components.sources.passed import PassedOver
from components.sources.pictures import open_picture
from components.tasks.encoding import render
from components.tracking.store import open_store, tracking_uri
from components.tracking.versions import fetch_version, find_version


def translate_folder(chosen: argparse.Namespace) -> None:
    """The command `translate`: good pictures are translated, bad ones named at the end, with status 1."""
    config = load_params(chosen.params).register_
    store = open_store(tracking_uri(LOCAL), LOCAL, config.experiment, make=False)
    work = _plan(chosen.folder, chosen.out, chosen.force)
    with scratch() as folder:
        version = find_version(store, chosen.model or config.model, chosen.version)
        translator = Generator.load(fetch_version(store, version, folder))
        bad = []
        with tqdm(total=len(work), unit="picture", desc=f"translate with {version.name}") as bar:
            for path, out in work.items():
                bar.set_postfix_str(path.name)
                try:
                    _translate(translator, path, path.relative_to(chosen.folder).as_posix(), out)
                except BadSample as fault:
                    bad.append(str(fault))
                bar.update()
    print(f"{chosen.out}: {len(work) - len(bad)} pictures by {version.name}", file=sys.stderr)
    if bad:
        raise Fault(f"{len(bad)} of {len(work)} pictures could not be translated: {'; '.join(bad[:5])}")


def _plan(folder: Path, out: Path, force: bool) -> dict[Path, Path]:
    """Each picture, and the PNG that it becomes: its name and its sub-folder are kept."""
    if not folder.is_dir():
        raise Fault(f"{folder}: is no folder")
    if out.resolve() == folder.resolve():
        raise Fault(f"--out {out}: is the folder of the pictures themselves; name another")
    work: dict[Path, Path] = {}
    taken: dict[Path, Path] = {}
    passed = PassedOver(str(folder))
    earlier = out.resolve() if folder.resolve() in out.resolve().parents else None  # results inside are no sources
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if earlier in path.resolve().parents:
            continue
        if path.suffix.lower() not in EXTENSIONS:
            passed.add(path.name)
            continue
        place = out / path.relative_to(folder).with_suffix(".png")
        if place in taken:
            raise Fault(f"{path} and {taken[place]} would both become {place}; rename one of them")
        if place.exists() and not force:
            raise Fault(f"{place}: is there already; --force replaces it")
        work[path] = taken[place] = place
        taken[place] = path
    passed.say()
    if not work:
        raise Fault(f"{folder}: holds no pictures ({' '.join(sorted(EXTENSIONS))})")
    return work


def _translate(translator: Generator, path: Path, name: str, out: Path) -> None:
    picture = as_given(open_picture(path, name), translator.source, name)
    count = count_tiles(translator, *picture.shape[:2])
    with tqdm(total=count, unit="tile", desc=name, leave=False, disable=count < 50) as bar:
        made = translate_picture(translator, picture, _update(bar))
    with atomic_path(out) as temporary:
        Image.fromarray(render(translator.target, made[None])[0]).save(temporary, format="PNG")


def _update(bar: "tqdm[None]") -> Callable[[int], object]:
    return bar.update
