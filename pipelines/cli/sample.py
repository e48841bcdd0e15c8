"""The command sample: pictures from noise by a version of the registered model, as files, a grid or a clip."""

import argparse
import math
import sys
from collections.abc import Iterable
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from components.faults import Fault
from components.models.clip import require_encoder, write_clip
from components.models.generator import Generator
from components.models.sampled import Sampled
from components.models.seeds import MOST, parse_seeds
from components.models.sheets import laid_out, laid_out_size
from components.params import load_params
from components.samples.domain import Picture
from components.storage.files import atomic_path
from components.storage.home import LOCAL
from components.storage.scratch import scratch
from components.tracking.store import open_store, tracking_uri
from components.tracking.versions import fetch_version, find_version

GRID, CLIP = ".png", ".mp4"
_FRAMES = 60  # of a clip, for each seed
_WIDEST = 8192  # pixels of a grid's side


def sample_version(chosen: argparse.Namespace) -> None:
    """The command `sample`: all that it refuses, it refuses before it writes anything."""
    out: Path = chosen.out
    seeds = parse_seeds(chosen.seeds)
    kind = _kind(out)
    _require_free(_files(out, seeds) if kind == "" else [out], chosen.force)
    stations, frames = _way(chosen, seeds, kind)
    config = load_params(chosen.params).register_
    store = open_store(tracking_uri(LOCAL), LOCAL, config.experiment, make=False)
    with scratch() as folder:
        version = find_version(store, chosen.model or config.model, chosen.version)
        generator = Generator.load(fetch_version(store, version, folder))
    sampled = Sampled.of(generator, version.name, chosen.condition, chosen.truncation)
    columns = math.isqrt(len(seeds) - 1) + 1
    if kind == GRID and max(sides := laid_out_size(sampled.size, len(seeds), columns)) > _WIDEST:
        raise Fault(f"--out {out}: the grid would have {sides[1]:,}x{sides[0]:,} pixels; name fewer seeds, or a folder")
    pictures = sampled.way(stations, frames) if kind == CLIP else sampled.pictures(seeds)
    bar = tqdm(pictures, total=frames or len(seeds), unit="picture", desc=f"sample from {version.name}")
    if kind == CLIP:
        write_clip(bar, out)
    elif kind == GRID:
        _write(laid_out(list(bar), columns), out)
    else:
        _write_each(bar, _files(out, seeds))
    print(f"{out}: {frames or len(seeds)} pictures by {version.name}", file=sys.stderr)


def _kind(out: Path) -> str:
    """`.png`, `.mp4`, or nothing of a folder."""
    kind = out.suffix.lower()
    if kind in (GRID, CLIP):
        if out.is_dir():
            raise Fault(f"--out {out}: is a folder; name a file")
        return kind
    if not out.is_dir() and (kind or out.exists()):
        raise Fault(f"--out {out}: name a folder, a {GRID} for a grid or a {CLIP} for a clip")
    return ""


def _files(folder: Path, seeds: Iterable[int]) -> list[Path]:
    return [folder / f"seed_{seed:06d}.png" for seed in seeds]


def _require_free(paths: Iterable[Path], force: bool) -> None:
    for path in paths:
        if path.exists() and not force:
            raise Fault(f"{path}: exists already; --force replaces it")


def _way(chosen: argparse.Namespace, seeds: list[int], kind: str) -> tuple[list[int], int]:
    """The seeds that a clip goes through, and of how many frames it is: 0 of anything else."""
    if kind != CLIP:
        if chosen.towards is not None or chosen.frames is not None:
            raise Fault(f"--out {chosen.out}: --towards and --frames make a clip; name a {CLIP}")
        return [], 0
    if chosen.towards is None:
        raise Fault(f"--out {chosen.out}: a clip needs --towards, the seed at which it ends")
    towards = parse_seeds(chosen.towards, "--towards")
    if len(towards) > 1:
        raise Fault(f"--towards {chosen.towards}: give one seed")
    frames = _FRAMES * len(seeds) if chosen.frames is None else chosen.frames
    if not 2 <= frames <= MOST:
        raise Fault(f"--frames: from 2 to {MOST:,}, not {frames:,}; --frames N sets it")
    require_encoder()
    return [*seeds, *towards], frames


def _write(picture: Picture, path: Path) -> None:
    with atomic_path(path) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG")


def _write_each(pictures: Iterable[Picture], paths: list[Path]) -> None:
    for path, picture in zip(paths, pictures, strict=True):
        _write(picture, path)
