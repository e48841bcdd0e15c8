"""A fragment of params, such as configs/facades.yaml, taken into the text of params.yaml."""

from typing import Any

import yaml

from components.faults import Fault


def merge(text: str, fragment: str, name: str) -> str:
    """A params text with the values of a fragment, the comments of both kept.

    A mapping that has a `name` (fetch, shard.cut, system) replaces the whole one in its place, since the keys
    beside belong to that choice; so does one written on a single line. Any other is merged key by key.

    Args:
        text: of params.yaml.
        fragment: of the file whose values win.
        name: of the fragment, for messages.

    Raises:
        Fault: the fragment is not YAML or not a mapping.
    """
    try:
        new = yaml.compose(fragment)
    except yaml.YAMLError as error:
        raise Fault(f"{name}: not YAML ({' '.join(str(error).split())})") from error
    if not isinstance(new, yaml.MappingNode):
        raise Fault(f"{name}: not a mapping of params")
    return _merge(text, [], new, fragment.splitlines())


def _merge(text: str, path: list[str], new: yaml.MappingNode, lines: list[str]) -> str:
    """Take each key of `new`, which lies at `path`, into the text."""
    for key, value in new.value:
        # Line numbers move with every edit, so the place is looked up afresh; the texts are short.
        parent = _find(yaml.compose(text), path)
        old = next((pair for pair in parent.value if pair[0].value == key.value), None)
        both = old is not None and all(
            isinstance(node, yaml.MappingNode) and not node.flow_style for node in (old[1], value)
        )
        if both and "name" not in [inner.value for inner, _ in value.value]:
            text = _merge(text, [*path, key.value], value, lines)
            continue
        block = lines[key.start_mark.line : _last_line(value) + 1]
        column = parent.value[0][0].start_mark.column if parent.value else 0
        shift = column - key.start_mark.column
        block = [_shifted(line, shift) for line in block]
        kept = text.splitlines()
        if old is None:
            start = stop = _last_line(parent) + 1
        else:
            start, stop = old[0].start_mark.line, _last_line(old[1]) + 1
        text = "\n".join([*kept[:start], *block, *kept[stop:]]) + "\n"
    return text


def _shifted(line: str, shift: int) -> str:
    spaces = len(line) - len(line.lstrip(" "))
    return " " * max(0, spaces + shift) + line[spaces:] if line.strip() else line


def _find(node: Any, path: list[str]) -> Any:
    for part in path:
        node = next(value for key, value in node.value if key.value == part)
    return node


def _last_line(node: Any) -> int:
    """The last line that holds something of a node, comments and blank lines after it left out."""
    if isinstance(node, yaml.MappingNode) and not node.flow_style and node.value:
        return _last_line(node.value[-1][1])
    if isinstance(node, yaml.SequenceNode) and not node.flow_style and node.value:
        return _last_line(node.value[-1])
    block_scalar = isinstance(node, yaml.ScalarNode) and node.style in ("|", ">")
    return int(node.end_mark.line) - int(block_scalar)
