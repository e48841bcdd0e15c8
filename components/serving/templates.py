"""Templates of pages: all in one dialect."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2

PAGE_STYLE = Path(__file__).with_name("page.css")  # of every page; a page adds its own


def template(folder: Path, name: str, **filters: Callable[..., Any]) -> jinja2.Template:
    """A template of a folder, with the filters it uses; values are text and never markup, and none may be missing."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters
    return environment.get_template(name)
