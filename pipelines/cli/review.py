"""Commands about versions of the registered model: review, promote, rollback; docs/review.md."""

import argparse
import tempfile
from pathlib import Path

from components.files import write_text
from components.home import LOCAL
from components.pages.review import build_page
from components.params import Params, load_params
from components.review.account import list_lines, review_lines
from components.review.desk import look
from components.review.promote import promote, rollback
from components.review.review import find_standing
from components.tracking.promotions import Promotion
from components.tracking.store import Store, open_store, shown, tracking_uri

PARAMS = Path("params.yaml")
SHARDS = Path("data/shards")
OUT = LOCAL / "review"


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands of this file."""
    command = commands.add_parser("review", help="list the versions of the model, or show one beside the champion")
    command.add_argument("version", nargs="?", help="its number or an alias; default: list all")
    _common(command)
    command.set_defaults(run=lambda chosen: _review(chosen.version, chosen.model, chosen.params))
    command = commands.add_parser("promote", help="make a reviewed version the champion")
    command.add_argument("version", help="its number or an alias")
    command.add_argument("--override", action="store_true", help="although the gate did not pass it")
    _common(command, signed=True)
    command.set_defaults(run=_promote)
    command = commands.add_parser("rollback", help="make the champion before this one the champion again")
    command.add_argument("version", help="the number of the champion that is undone")
    _common(command, signed=True)
    command.set_defaults(run=_rollback)


def _common(command: argparse.ArgumentParser, signed: bool = False) -> None:
    if signed:
        command.add_argument("--by", required=True, metavar="NAME", help="who decides; it is recorded")
        command.add_argument("--why", required=True, metavar="TEXT", help="and for what reason")
    command.add_argument("--model", help="default: register.model of the params")
    command.add_argument("--params", type=Path, default=PARAMS, help=f"default: {PARAMS}")


def _open(model: str | None, path: Path) -> tuple[Params, Store, str]:
    params = load_params(path)
    store = open_store(tracking_uri(LOCAL), LOCAL, params.register_.experiment, make=False)
    return params, store, model or params.register_.model


def _review(which: str | None, model: str | None, path: Path) -> None:
    params, store, name = _open(model, path)
    if which is None:
        print(*list_lines(find_standing(store, name), name, shown(store.uri)), sep="\n")
        return
    seen = look(store, name, which, params.review, SHARDS, OUT)
    page = seen.folder / "index.html"
    write_text(page, build_page(seen))
    print(*review_lines(seen.review), sep="\n")
    print(f"pictures: {seen.picture or 'none: ' + seen.excuse}", f"page: {page}", sep="\n")


def _promote(chosen: argparse.Namespace) -> None:
    params, store, model = _open(chosen.model, chosen.params)
    with tempfile.TemporaryDirectory(prefix="pix2pipe-") as folder:
        made = promote(
            store, model, chosen.version, chosen.by, chosen.why, params.review, Path(folder), chosen.override
        )
    _tell(model, made)


def _rollback(chosen: argparse.Namespace) -> None:
    _, store, model = _open(chosen.model, chosen.params)
    with tempfile.TemporaryDirectory(prefix="pix2pipe-") as folder:
        made = rollback(store, model, chosen.version, chosen.by, chosen.why, Path(folder))
    _tell(model, made)


def _tell(model: str, made: Promotion) -> None:
    before = f"in place of version {made.before}" if made.before else "the first"
    print(f"pix2pipe: {model} version {made.after} is the champion, {before}; record {made.number}: {made.verdict}")
    if made.overridden:
        print("pix2pipe: against the gate; the record says so")
    if made.outside:
        print(f"pix2pipe: the alias was on {made.outside}, which the record does not know of; the record says so")
