"""The command demo: a page that translates what is drawn on it."""

import argparse
import sys
from pathlib import Path

from components.home import LOCAL
from components.pages.serving import serve
from components.params import load_params

PARAMS = Path("params.yaml")
SHARDS = Path("data/shards")


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command of this file."""
    command = commands.add_parser("demo", help="serve a page that translates what is drawn on it")
    command.add_argument(
        "--version",
        nargs="+",
        action="extend",
        default=[],
        metavar="WHICH",
        help="champion, candidate or numbers, side by side; default: champion",
    )
    command.add_argument("--model", help="a registered model; default: register.model of the params")
    command.add_argument("--host", default="127.0.0.1", help="default: 127.0.0.1, this machine alone")
    command.add_argument("--port", type=int, default=8000, help="default: 8000; 0: any that is free")
    command.add_argument("--params", type=Path, default=PARAMS, help="default: params.yaml")
    command.set_defaults(run=_demo)


def _demo(chosen: argparse.Namespace) -> None:
    # What loads torch and MLflow, seconds that the other commands need not wait.
    from components.pages.demo.app import demo_app
    from components.pages.demo.models import choose_versions, load_easels
    from components.tracking.store import open_store, tracking_uri

    config = load_params(chosen.params).register_
    store = open_store(tracking_uri(LOCAL), LOCAL, config.experiment, make=False)
    versions, note = choose_versions(store, chosen.model or config.model, chosen.version)
    if note:
        sys.stderr.write(f"pix2pipe: {note}\n")
    app = demo_app(load_easels(store, versions, SHARDS), note, chosen.host)
    serve(app, chosen.host, chosen.port, "the demo")
