"""Study: what happens when a participant joins, looks and answers."""

import secrets
from collections import OrderedDict
from dataclasses import dataclass
from random import Random, SystemRandom
from threading import Lock
from typing import Any

from components.storage.files import sha256_json
from components.study.algorithms import Algorithm
from components.study.config import EXPOSURE_MS, Settings
from components.study.plan import Pair, make_plan
from components.study.shown import ShownPictures
from components.study.votes import Vote, Votes

_PAIR_SECONDS = 4  # about what a person takes for one
_CODE_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


@dataclass(frozen=True)
class Shown:
    """What a page needs to show the pair that is due: the names of its two pictures, and of the showing itself."""

    position: int
    left: str
    right: str
    name: str


class Study:
    """One study: its settings, its pictures and its votes. Safe to use from several threads.

    Each participant sees one algorithm, as in the papers: practice with one is of no use for another. A new participant
    gets an algorithm with the fewest participants so far, so that their numbers differ by at most one.

    The page gets names of pictures that are drawn for this showing and valid for one request. They are kept in memory,
    so after a restart of the server the page asks for new ones.

    Args:
        random: what plans are drawn from; only simulations and tests give one.

    Raises:
        Fault: there are fewer samples than pairs, or the votes are another study's.
    """

    def __init__(
        self,
        settings: Settings,
        algorithms: list[Algorithm],
        pictures: ShownPictures,
        votes: Votes,
        random: Random | None = None,
    ) -> None:
        pictures.require(settings.pairs)
        self.settings, self.pictures, self.votes = settings, pictures, votes
        self._names = [algorithm.name for algorithm in algorithms]
        self._random = random or SystemRandom()
        self._lock, self._joining = Lock(), Lock()
        self._waiting: OrderedDict[str, dict[str, bytes]] = OrderedDict()
        self.about: dict[str, Any] = {
            "direction": algorithms[0].card.name,
            "settings": settings.model_dump(mode="json", exclude={"participants"}),
            "paired": pictures.paired,
            "test": pictures.manifest,
            "algorithms": {algorithm.name: algorithm.about() for algorithm in algorithms},
        }
        votes.begin(self.about)
        self.name = sha256_json(self.about)[:8]

    def invite(self, count: int) -> dict[str, bool]:
        """Have that many codes, drawing those that are missing; gives every code and whether it was used."""
        for _ in range(count - len(self.votes.codes())):
            self.votes.invite("".join(secrets.choice(_CODE_LETTERS) for _ in range(10)))
        return self.votes.codes()

    def join(self, token: str, code: str | None) -> str | None:
        """Let a participant in, or back in; returns the reason why not, or None."""
        if not self.settings.invited:
            code = None
        elif code not in self.votes.codes():
            return "This code is not one of the study's."
        with self._joining:
            joined = self.votes.join(token, code, self.settings.participants, self._assign)
        return None if joined else "The study has all the participants it needs. Thank you all the same."

    def state(self, token: str) -> dict[str, Any]:
        """What the page is to show: {"phase": ...} with where the participant is.

        Phases: `welcome`, then `pair` (one is to be shown), `question` (it was shown) and `done`.
        """
        standing = self.votes.standing(token)
        if standing is None:
            return {"phase": "welcome", "full": self.votes.joined() >= self.settings.participants}
        if standing.pair is None:
            return {"phase": "done"}
        practice = self.settings.practice
        inside = standing.position < practice
        return {
            "phase": "question" if standing.shown_as else "pair",
            "position": standing.position,
            "practice": inside,
            "number": standing.position + 1 - (0 if inside else practice),
            "of": practice if inside else self.settings.pairs - practice,
        }

    def show(self, token: str) -> Shown | None:
        """Make the two pictures of the pair that is due; None if none is, or it was shown already."""
        standing = self.votes.standing(token)
        if standing is None or standing.pair is None or standing.shown_as:
            return None
        pictures = self.pictures.encoded(standing.algorithm, standing.pair)
        left, right, name = (secrets.token_hex(16) for _ in range(3))
        with self._lock:
            # What an earlier showing of this participant has left is let go, so memory is bounded by theirs.
            self._waiting.pop(token, None)
            self._waiting[token] = {left: pictures[0], right: pictures[1]}
            while len(self._waiting) > 2 * self.settings.participants:
                self._waiting.popitem(last=False)
        return Shown(standing.position, left, right, name)

    def picture(self, token: str, name: str) -> bytes | None:
        """The PNG of a name, once and to the participant it was made for."""
        with self._lock:
            return self._waiting.get(token, {}).pop(name, None)

    def begin_exposure(self, token: str, position: int, name: str) -> bool:
        """Note that a pair is on screen from now on; False where another tab, or an earlier visit, has shown it."""
        return self.votes.show(token, position, name)

    def answer(self, token: str, position: int, vote: Vote) -> dict[str, Any] | None:
        """Keep the first answer to a pair; None if that pair is not due.

        Returns:
            {"real": side, "right": bool} in practice, else nothing: {}.
        """
        kept = self.votes.vote(token, position, vote)
        if kept is None:
            return None
        pair, first = kept
        if pair.kind != "practice":
            return {}
        return {"real": pair.real_side, "right": first.side == pair.real_side}

    def facts(self) -> dict[str, Any]:
        """What the page says and goes by."""
        settings, (height, width) = self.settings, self.pictures.size
        return {
            "practice": settings.practice,
            "asked": settings.trials + settings.vigilance,
            "vigilance": settings.vigilance,
            "minutes": -(-settings.pairs * _PAIR_SECONDS // 60),
            "invited": settings.invited,
            "exposure": EXPOSURE_MS,
            "width": width,
            "height": height,
        }

    def _assign(self, counts: dict[str, int]) -> tuple[str, list[Pair]]:
        fewest = min(counts.get(name, 0) for name in self._names)
        algorithm = self._random.choice([name for name in self._names if counts.get(name, 0) == fewest])
        return algorithm, make_plan(self.settings, self.pictures.samples(self._random), self._random)
