"""Commands about versions of the registered model: review, promote, rollback; docs/review.md."""

import argparse
from pathlib import Path

from components.pages.review import build_page
from components.params import Params, load_params
from components.review.pictured import look
from components.review.promote import promote, rollback
from components.review.review import find_state
from components.review.text import list_lines, review_lines
from components.storage.files import write_text
from components.storage.home import LOCAL
from components.storage.scratch import scratch
from components.tracking.promotions import Promotion
from components.tracking.reachable import shown
from components.tracking.store import Store, open_store, tracking_uri

SHARDS = Path("data/shards")
OUT = LOCAL / "review"


def _open(model: str | None, path: Path) -> tuple[Params, Store, str]:
    params = load_params(path)
    store = open_store(tracking_uri(LOCAL), LOCAL, params.register_.experiment, make=False)
    return params, store, model or params.register_.model


def show(chosen: argparse.Namespace) -> None:
    """The command `review`."""
    params, store, name = _open(chosen.model, chosen.params)
    which: str | None = chosen.version
    if which is None:
        print(*list_lines(find_state(store, name), name, shown(store.uri)), sep="\n")
        return
    seen = look(store, name, which, params.review, SHARDS, OUT)
    page = seen.folder / "index.html"
    write_text(page, build_page(seen))
    print(*review_lines(seen.review), sep="\n")
    print(f"pictures: {seen.picture or 'none: ' + seen.excuse}", f"page: {page}", sep="\n")


def promote_version(chosen: argparse.Namespace) -> None:
    """The command `promote`."""
    params, store, model = _open(chosen.model, chosen.params)
    with scratch() as folder:
        made = promote(
            store, model, chosen.version, chosen.by, chosen.why, params.review, Path(folder), chosen.override
        )
    _tell(model, made)


def roll_back(chosen: argparse.Namespace) -> None:
    """The command `rollback`."""
    _, store, model = _open(chosen.model, chosen.params)
    with scratch() as folder:
        made = rollback(store, model, chosen.version, chosen.by, chosen.why, Path(folder))
    _tell(model, made)


def _tell(model: str, made: Promotion) -> None:
    before = f"in place of version {made.before}" if made.before else "the first"
    print(f"pix2pipe: {model} version {made.after} is the champion, {before}; record {made.number}: {made.verdict}")
    if made.overridden:
        print("pix2pipe: although the gate did not pass it; the record says so")
    if made.outside:
        print(f"pix2pipe: the alias was on {made.outside}, which the record does not know of; the record says so")
