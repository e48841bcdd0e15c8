"""Sample keys that are too long for a tar: shortened, and still different where they were."""

import hashlib

LONGEST = 80  # characters: a tar's member KEY.DOMAIN.png has 100
_DIGITS = 12


def shortened(key: str, longest: int = LONGEST) -> str:
    """The key as it is or, if it is longer than `longest`, its start and the start of its sha256."""
    return key if len(key) <= longest else marked(key, key, longest)


def marked(plain: str, name: str, longest: int = LONGEST) -> str:
    """A key of at most `longest` characters that tells names apart whose plain forms are the same: the start of the
    plain form, and the start of the name's sha256."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:_DIGITS]
    return f"{plain[: longest - _DIGITS - 1]}-{digest}"
