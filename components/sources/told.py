"""What small files say of a picture: the index of its class, or its attributes."""

import json
from pathlib import Path

import numpy as np

from components.samples.domain import Domain, Picture
from components.samples.source import BadSample

_MOST_INDEX, _MOST_JSON = 20, 1_000_000  # bytes of a file that are read
_SHOWN = 40  # of them, those that messages show


def told(path: Path, domain: Domain, name: str) -> Picture:
    """The index of a class, () uint8, in ASCII; or attributes, (classes,) uint8, in JSON: a list of 0 and 1 in the
    order of the classes, or an object from names to 0 and 1, which may hold more.

    Args:
        name: what to call the file when it is refused.

    Raises:
        BadSample: it is not there, or says anything else.
    """
    most = _MOST_INDEX if domain.kind == "category" else _MOST_JSON
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except FileNotFoundError:
        raise BadSample(f"{name}: not found") from None
    if len(data) > most:
        raise BadSample(f"{name}: has more than {most:,} bytes, too many for a domain of kind {domain.kind}")
    return _index(data, domain, name) if domain.kind == "category" else _attributes(data, domain, name)


def _index(data: bytes, domain: Domain, name: str) -> Picture:
    value, classes = data.strip(), len(domain.classes)
    if not value.isdigit() or int(value) >= classes:
        raise BadSample(f"{name}: {data[:_SHOWN]!r} is no index of the {classes} classes (0 to {classes - 1})")
    return np.array(int(value), np.uint8)


def _attributes(data: bytes, domain: Domain, name: str) -> Picture:
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        raise BadSample(f"{name}: {data[:_SHOWN]!r} is no JSON") from None
    if isinstance(values, dict):
        if missing := next((each for each in domain.classes if each not in values), None):
            raise BadSample(f"{name}: has no attribute {missing}")
        values = [values[each] for each in domain.classes]
    if not isinstance(values, list) or len(values) != len(domain.classes):
        raise BadSample(f"{name}: {data[:_SHOWN]!r} is no list of the {len(domain.classes)} attributes")
    for each, value in zip(domain.classes, values, strict=True):
        if value not in (0, 1):
            raise BadSample(f"{name}: the attribute {each} is {str(value)[:_SHOWN]!r}, neither 0 nor 1")
    return np.array(values, np.uint8)
