"""A person's files that are not samples: counted by kind, so that nothing is left out silently."""

import sys
from collections import Counter
from pathlib import PurePosixPath

from tqdm import tqdm

from components.faults import Fault
from components.sources.formats import EXTENSIONS, UNREAD


class PassedOver:
    """What a place contains beside the pictures that become samples.

    Args:
        place: what messages call it.
    """

    def __init__(self, place: str) -> None:
        self._place = place
        self._kinds: Counter[str] = Counter()

    def add(self, name: str) -> None:
        """Count a file that is left out; hidden files are ignored.

        Raises:
            Fault: a picture of a kind that is not read.
        """
        path = PurePosixPath(name)
        if path.name.startswith("."):
            return
        kind = path.suffix.lower()
        if kind in UNREAD:
            taken = " ".join(sorted(EXTENSIONS))
            raise Fault(f"{name}: pictures of this kind cannot be read; convert it to one of {taken}, or remove it")
        self._kinds[kind or "without an ending"] += 1

    def say(self) -> None:
        """Report the kinds and their numbers on stderr, if there are any."""
        if self._kinds:
            kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self._kinds.items()))
            tqdm.write(f"{self._place}: passed over {kinds}", file=sys.stderr)
