"""The command demo: a page that translates what is drawn on it, or makes pictures from noise."""

import argparse
import sys
from pathlib import Path

from components.params import load_params
from components.serving.serving import serve
from components.storage.home import LOCAL

SHARDS = Path("data/shards")


def serve_demo(chosen: argparse.Namespace) -> None:
    """The command `demo`."""
    # What loads torch and MLflow, seconds that the other commands need not wait.
    from components.pages.demo.app import demo_app
    from components.pages.demo.models import choose_versions, load_easels, load_models
    from components.pages.demo.noise import noise_app
    from components.tracking.store import open_store, tracking_uri

    config = load_params(chosen.params).register_
    store = open_store(tracking_uri(LOCAL), LOCAL, config.experiment, make=False)
    versions, note = choose_versions(store, chosen.model or config.model, chosen.version)
    if note:
        sys.stderr.write(f"pix2pipe: {note}\n")
    models = load_models(store, versions)
    if models[0].card.source is None:
        app = noise_app(models, note, chosen.host)
    else:
        app = demo_app(load_easels(store, models, SHARDS), note, chosen.host)
    serve(app, chosen.host, chosen.port, "the demo")
