"""Sample keys from file names, made such that dots and directories never merge two samples."""

import re
from collections import Counter
from collections.abc import Sequence

from components.samples.key import LONGEST, marked


def sample_keys(names: Sequence[str]) -> list[str]:
    """A key for each name, [A-Za-z0-9_-]{1,80}, different for different names even where case is ignored.

    If a name's plain form is also that of another name, or is too long, or empty, the start of the name's sha256 is
    appended. So a key depends on the names, never on their order.

    Raises:
        ValueError: the same name twice.
    """
    if len(set(names)) != len(names):
        raise ValueError("the same name twice")
    plain = [re.sub(r"[^A-Za-z0-9_-]", "_", name) for name in names]
    clashing = {i for i, key in enumerate(plain) if not 0 < len(key) <= LONGEST}
    while True:
        keys = [marked(key, names[i]) if i in clashing else key for i, key in enumerate(plain)]
        taken = Counter(key.lower() for key in keys)
        # A marked key can meet another's plain form only by design; then that one is marked as well.
        rivals = {i for i, key in enumerate(keys) if taken[key.lower()] > 1} - clashing
        if not rivals:
            return keys
        clashing |= rivals
