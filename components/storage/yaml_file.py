"""YAML that a person wrote, read into plain values: bounded in size, each key once, and no dates, tags or the like."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from components.faults import Fault

_MOST_BYTES, _MOST_DEPTH, _MOST_NUMBER, _MOST_LETTERS = 1_000_000, 20, 2**31 - 1, 1000
_MOST_VALUES = 20_000
_SHOWN = 60  # characters of a value that a message holds


class _UniqueKeys(yaml.SafeLoader):
    """YAML in which a key may be given only once; PyYAML would silently use the last value."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        doubled = next((key for index, key in enumerate(keys) if key in keys[:index]), None)
        if doubled is not None:
            raise yaml.constructor.ConstructorError(
                None, None, f"key {str(doubled)[:_SHOWN]} is given twice", node.start_mark
            )
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> Any:
    """The plain values of a file: mappings by text, lists, text, finite numbers, booleans and null.

    Raises:
        Fault: it is missing, no regular file, larger than a megabyte, no YAML, or holds what is none of these.
    """
    try:
        if path.exists() and not path.is_file():
            raise Fault(f"{path}: is not a file")
        if path.stat().st_size > _MOST_BYTES:
            raise Fault(f"{path}: has {path.stat().st_size:,} bytes; a params file has at most {_MOST_BYTES:,}")
        values = yaml.load(path.read_text(encoding="utf-8"), _UniqueKeys)
    except FileNotFoundError:
        raise Fault(f"{path}: not found; run from the project's folder or pass --params") from None
    except OSError as error:
        raise Fault(f"{path}: cannot be read ({error.strerror})") from error
    except RecursionError:
        raise Fault(f"{path}: not YAML that can be read (nested too deeply)") from None
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, OverflowError, TypeError, AttributeError) as error:
        raise Fault(f"{path}: not YAML ({' '.join(str(error).split())[:200]})") from error
    # Aliases may make few lines stand for more values than there are atoms, or for themselves.
    for count, _ in enumerate(_plain(values, str(path), "", 0)):
        if count > _MOST_VALUES:
            raise Fault(f"{path}: its aliases (*name) stand for more than {_MOST_VALUES:,} values")
    return values


def shown(value: Any) -> str:
    """A value as a message holds it."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _plain(value: Any, where: str, path: str, depth: int) -> Iterator[None]:
    """Each value in turn; refuses dates, bytes, sets, numbers beyond bounds and text of several lines, by their key."""
    yield
    named = f"{where}: {path[-120:]}" if path else where
    if depth > _MOST_DEPTH:
        raise Fault(f"{named}: nested more than {_MOST_DEPTH} deep")
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise Fault(f"{named}: the key {shown(key)} is not text; put it in quotes")
            yield from _plain(key, where, path, depth + 1)
            yield from _plain(inner, where, f"{path}.{key}".lstrip("."), depth + 1)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _plain(inner, where, f"{path}.{index}".lstrip("."), depth + 1)
    elif isinstance(value, str):
        if not value.isprintable():
            raise Fault(f"{named}: {shown(value)} holds a line break or another character that cannot be printed")
        if len(value) > _MOST_LETTERS:
            raise Fault(f"{named}: a text of {len(value):,} characters; at most {_MOST_LETTERS:,} are allowed")
    elif isinstance(value, int) and abs(value) > _MOST_NUMBER:
        raise Fault(f"{named}: {shown(value)} is too large; the largest number allowed is {_MOST_NUMBER:,}")
    elif not (value is None or isinstance(value, bool | int | float)):
        raise Fault(f"{named}: {shown(value)} is a {type(value).__name__}; put it in quotes if it is text")
