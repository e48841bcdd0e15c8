"""Seeds as people write them: `5`, `0-63`, or `0-3,8,100-120`."""

from components.faults import Fault

MOST = 100_000  # seeds, or frames, of one command
_TOP = 2**63 - 1


def parse_seeds(text: str, option: str = "--seeds") -> list[int]:
    """The seeds that a text names, in its order; a range has both its ends.

    Args:
        option: that the text was given by, for the message.

    Raises:
        Fault: it does not parse, a range runs backwards, or there are more than 100,000 seeds.
    """
    ranges = [_range(part.strip(), text, option) for part in text.split(",")]
    if (count := sum(part.stop - part.start for part in ranges)) > MOST:
        raise Fault(f"{option} {text[:40]}: names {count:,} seeds; at most {MOST:,} are allowed")
    return [seed for part in ranges for seed in part]


def _range(part: str, text: str, option: str) -> range:
    ends = part.split("-")
    if len(ends) > 2 or not all(end.isascii() and end.isdigit() and len(end) < 20 for end in ends):
        raise Fault(f"{option} {text[:40]}: give seeds such as 5, 0-63 or 0-3,8")
    first, last = int(ends[0]), int(ends[-1])
    if last > _TOP:
        raise Fault(f"{option} {text[:40]}: seeds are integers from 0 to {_TOP}")
    if last < first:
        raise Fault(f"{option} {text[:40]}: {part} runs backwards; write {last}-{first}")
    return range(first, last + 1)
