"""A fragment of params, such as configs/facades.yaml, taken into the text of params.yaml."""

import io
from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError

from components.faults import Fault
from components.params import Params

_Sections = list[type[BaseModel]]


def take(text: str, fragment: str, defaults: str, name: str) -> tuple[str, list[str]]:
    """A params text with a fragment's values, its own comments kept.

    The result does not depend on fragments taken before: a section that the fragment names is first set back to the
    defaults, and a section inside it that the fragment does not name stays as it is. A section with a `name` (fetch,
    shard.cut, system) is replaced whole, since its other keys belong to that choice.

    Args:
        text: of params.yaml. fragment: of the file whose values win. defaults: of configs/default.yaml, or `text`
            itself to keep every value that the fragment does not give.
        name: of the fragment, for messages.

    Returns:
        The text, and a line for each value that is another now: `train.steps: 3000 -> 1000`.

    Raises:
        Fault: one of them is not YAML, or not a mapping.
    """
    old, new, base = _load(text, "params.yaml"), _load(fragment, name), _load(defaults, "configs/default.yaml")
    before = dict(_leaves(old))
    _take(old, base, new, [Params])
    after = dict(_leaves(old))
    changed = [
        f"{path}: {_shown(before, path)} -> {_shown(after, path)}"
        for path in [*before, *(path for path in after if path not in before)]
        if before.get(path, _shown) != after.get(path, _shown)
    ]
    stream = io.StringIO()
    _yaml().dump(old, stream)
    return stream.getvalue(), changed


def _take(old: CommentedMap, base: Mapping[str, Any], new: CommentedMap, models: _Sections) -> None:
    """Take the keys of `new` into `old`, whose other keys begin anew from `base`."""
    for key in [key for key in old if key not in new and not _stays(old[key], _sections(models, key))]:
        if key in base:
            old[key] = base[key]
        else:
            del old[key]
    for key in [key for key in base if key not in old and key not in new and not _sections(models, key)]:
        _put(old, key, base)
    for key, value in new.items():
        inside = _sections(models, key)
        both = inside and isinstance(value, CommentedMap) and isinstance(old.get(key), CommentedMap)
        if both and "name" not in value and not value.fa.flow_style():
            _take(old[key], base.get(key, {}), value, inside)
        else:
            _put(old, key, new)


def _stays(value: Any, inside: _Sections) -> bool:
    """Whether a value is a section, which a fragment leaves as it is if it does not name it; null is none."""
    return bool(inside) and isinstance(value, CommentedMap)


def _put(old: CommentedMap, key: str, giver: Mapping[str, Any]) -> None:
    """A key with its value and the comment behind it."""
    old[key] = giver[key]
    if isinstance(giver, CommentedMap) and key in giver.ca.items:
        old.ca.items[key] = giver.ca.items[key]


def _sections(models: _Sections, key: str) -> _Sections:
    """The sections that may stand under a key; none where it holds a value, or a mapping with names of one's own."""
    fields = [field for model in models for name, field in model.model_fields.items() if key in (name, field.alias)]
    return [section for field in fields for section in _in(field.annotation)]


def _in(annotation: Any) -> _Sections:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (dict, tuple, list):
        return []
    return [section for inner in get_args(annotation) for section in _in(inner)]


def _leaves(values: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(values, dict) and values:
        for key, value in values.items():
            yield from _leaves(value, f"{path}.{key}".lstrip("."))
    else:
        yield path, values


def _shown(values: Mapping[str, Any], path: str) -> str:
    if path not in values:
        return "(none)"
    value = values[path]
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _load(text: str, name: str) -> CommentedMap:
    try:
        values = _yaml().load(text)
    except YAMLError as error:
        raise Fault(f"{name}: not YAML ({' '.join(str(error).split())[:200]})") from error
    if not isinstance(values, CommentedMap):
        raise Fault(f"{name}: not a mapping of params")
    return values


def _yaml() -> YAML:
    """A reader and writer that keeps comments, quotes and line breaks as they are."""
    yaml = YAML()
    yaml.width = 4096
    yaml.preserve_quotes = True
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.representer.add_representer(
        type(None), lambda writer, _: writer.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    return yaml
