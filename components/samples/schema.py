"""Section: the base of every part of params.yaml; UserPath: a place in it that belongs to a person."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict


class Section(BaseModel):
    """A frozen, typed group of params; unknown keys are refused (components/params.py words the refusal)."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class _Place:
    """Marks a param that names a file, a folder or a URL."""


UserPath = Annotated[str, _Place()]
"""A file, a folder or a URL that a person names; no stage may replace what lies there (components/storage/outputs)."""


def _of_every_node(value: str) -> str:
    if not Path(value).expanduser().is_absolute():
        raise ValueError("is a path from / or ~, since ranks run in other folders")
    return value


NodePath = Annotated[str, _Place(), AfterValidator(_of_every_node)]
"""A UserPath to a file that every rank opens where its node has it."""


def user_paths(value: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """(dotted param, its value) of every UserPath in a section and the sections inside it."""
    if isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            inner, dotted = getattr(value, name), f"{where}.{field.alias or name}".lstrip(".")
            if any(isinstance(mark, _Place) for mark in field.metadata):
                yield dotted, inner
            yield from user_paths(inner, dotted)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from user_paths(inner, f"{where}.{key}")
    elif isinstance(value, tuple | list):
        for index, inner in enumerate(value):
            yield from user_paths(inner, f"{where}.{index}")
