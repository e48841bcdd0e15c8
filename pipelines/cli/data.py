"""Commands about data and params: verify, sources, use."""

import argparse
import sys
from pathlib import Path
from typing import Any

import yaml

from components.faults import Fault
from components.fragment import take
from components.params import parse_params
from components.shards.verify import verify
from components.sources import SOURCES
from components.storage.dvc_cache import verify_cache
from components.storage.files import write_text
from components.storage.home import located
from components.storage.node_cache import fresh_cache

DEFAULTS = Path(__file__).parents[2] / "configs/default.yaml"
SHARDS = Path("data/shards")


def verify_all(chosen: argparse.Namespace) -> None:
    """The command `verify`."""
    root: str | None = chosen.root
    # With a cache of its own, so that the files at the root are checked and not a node's copies of them.
    with fresh_cache():
        whole, faults = verify(located(root) if root and "://" in root else Path(root or SHARDS))
    if root is None:
        cached = verify_cache(Path.cwd())
        whole, faults = whole + cached[0], faults + cached[1]
    print(*whole, sep="\n")
    if faults:
        sys.exit("\n".join(faults))


def list_sources(_: argparse.Namespace) -> None:
    """The command `sources`."""
    for name, kind in SOURCES.items():
        print(f"{name}: {(kind.config.__doc__ or '').splitlines()[0]} Licence: {kind.licence}.")
        for section, config in (("fetch", kind.config), ("shard.cut", kind.cut)):
            fields = {key: field for key, field in config.model_fields.items() if key != "name"}
            described = (
                key if field.is_required() else f"{key}={_short(field.get_default(call_default_factory=True))}"
                for key, field in fields.items()
            )
            print(f"  {section}: {', '.join(described) or 'no params'}")


def _short(value: Any) -> str:
    if isinstance(value, dict) and value:
        return "{" + ", ".join(value) + "}"
    if hasattr(value, "name"):
        return str(value.name)
    return "[" + ", ".join(map(str, value)) + "]" if isinstance(value, tuple) else repr(value)


def use(chosen: argparse.Namespace) -> None:
    """The command `use`."""
    file, params = chosen.file, chosen.params
    try:
        old, fragment = params.read_text(encoding="utf-8"), file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise Fault(f"{error.filename}: not found") from None
    defaults = old if chosen.keep else DEFAULTS.read_text(encoding="utf-8")
    text, changed = take(old, fragment, defaults, str(file))
    parse_params(yaml.safe_load(text), f"{params} with {file}")
    write_text(params, text)
    print(*(f"  {line}" for line in changed), sep="\n")
    print(f"{params}: took {', '.join(yaml.safe_load(fragment))} from {file}; next: dvc repro")
