"""The command export: a version of the registered model as one file that runs without pix2pipe."""

import argparse
import json

from components.faults import Fault
from components.models.generator import Generator
from components.models.portable_file import require_format, write_portable
from components.params import load_params
from components.storage.home import LOCAL
from components.storage.scratch import scratch
from components.tracking.store import open_store, tracking_uri
from components.tracking.versions import fetch_version, find_version


def export_version(chosen: argparse.Namespace) -> None:
    """The command `export`: writes the file and prints what is in it as JSON."""
    if chosen.out.is_dir():
        raise Fault(f"--out {chosen.out}: is a folder; name a file")
    if chosen.out.exists() and not chosen.force:
        raise Fault(f"--out {chosen.out}: exists already; --force replaces it")
    require_format(chosen.format)
    config = load_params(chosen.params).register_
    store = open_store(tracking_uri(LOCAL), LOCAL, config.experiment, make=False)
    with scratch() as folder:
        version = find_version(store, chosen.model or config.model, chosen.version)
        generator = Generator.load(fetch_version(store, version, folder), device="cpu")
        written = write_portable(generator, version.name, chosen.format, chosen.out)
    print(json.dumps(written, indent=2))
