"""Pictures: the real and the generated ones, encoded such that only their pixels can tell them apart."""

import hashlib
import io
from random import Random

import numpy as np
from PIL import Image

from components.evaluation.sides import open_sides
from components.faults import Fault
from components.samples.domain import Domain, Picture
from components.shards.reader import Split
from components.shards.turns import Turns, open_turns
from components.storage.home import AnyPath
from components.study.algorithms import Algorithm
from components.study.plan import Pair
from components.tasks.encoding import render

_BLOCKS = 8  # of an obvious fake, a side


def encode_picture(picture: Picture) -> bytes:
    """A PNG of a uint8 picture (H, W, 3): the pixels as they are, not compressed, and nothing else.

    So its length follows from its size alone, and all pictures of a study are of one length.
    """
    file = io.BytesIO()
    Image.fromarray(picture).save(file, format="PNG", compress_level=0)
    return file.getvalue()


class ShownPictures:
    """What a study may show: true test pictures, and what each algorithm made of the same samples.

    Where the data holds no pairs, any true picture stands beside any generated one.

    Args:
        shards: with the test split. algorithms: of one task and size.

    Attributes:
        size: (height, width). paired: whether both pictures of a pair are of one sample.
        manifest: sha256 of the true pictures' set.

    Raises:
        Fault: a set is broken, or has a sample that the shards do not have.
    """

    def __init__(self, shards: AnyPath, algorithms: list[Algorithm]) -> None:
        card = algorithms[0].card
        self._target, self.size = card.task.target, card.target.height_width
        sides = open_sides(shards, card.task)
        turns = open_turns(sides.test, card.task.condition) if card.task.within and card.task.condition else None
        # Of each picture that may be made the true one, where there are such.
        self._true = dict(zip(sides.asked.keys, sides.asked.keys, strict=True)) if turns is None else true_keys(turns)
        self.paired = card.task.source is not None and sides.sources is None and bool(self._true)
        asked = set(sides.asked.keys if turns is None else turns.keys)
        self.manifest = sides.test.manifest.sha256
        self._real = sides.test
        self._fake = {algorithm.name: Split(algorithm.folder, "test") for algorithm in algorithms}
        self._places = {id(split): _places(split) for split in (self._real, *self._fake.values())}
        common = set(self._fake[algorithms[0].name].keys)
        for algorithm in algorithms:
            if stranger := set(self._fake[algorithm.name].keys) - asked:
                raise Fault(f"{algorithm.folder}: sample {min(stranger)} is not in {shards}; run dvc repro generate")
            common &= set(self._fake[algorithm.name].keys)
        self._keys = sorted(common)

    def samples(self, random: Random) -> list[tuple[str, str]]:
        """(real, fake) keys that may stand side by side, each key once."""
        if self.paired:
            return [(self._true[key], key) for key in self._keys]
        real = list(self._real.keys)
        random.shuffle(real)
        return list(zip(real, random.sample(self._keys, len(self._keys)), strict=False))

    def require(self, pairs: int) -> None:
        """Refuse a session of more pairs than there are samples.

        Raises:
            Fault: naming both numbers.
        """
        if (there := min(len(self._keys), len(self._real))) < pairs:
            raise Fault(
                f"a participant would see {pairs} pairs, but there are only {there} test samples; "
                "take fewer with --trials, --practice and --vigilance"
            )

    def encoded(self, algorithm: str, pair: Pair) -> tuple[bytes, bytes]:
        """The left and the right picture of a pair, made alike in this order."""
        pictures = {"real": self._picture(self._real, pair.real)}
        if pair.kind == "vigilance":
            pictures["fake"] = obvious(pair.fake, self.size)
        else:
            pictures["fake"] = self._picture(self._fake[algorithm], pair.fake)
        order = ("real", "fake") if pair.real_side == "left" else ("fake", "real")
        left, right = (encode_picture(pictures[name]) for name in order)
        return left, right

    def everything(self, algorithm: str | None = None) -> list[bytes]:
        """Every real picture, or every one of an algorithm, as it is sent."""
        split = self._real if algorithm is None else self._fake[algorithm]
        return [encode_picture(self._picture(split, key)) for key in split.keys]

    def _picture(self, split: Split, key: str) -> Picture:
        domain: Domain = split.domains[self._target]
        return render(domain, split.picture(self._places[id(split)][key], self._target)[None])[0]


def true_keys(turns: Turns) -> dict[str, str]:
    """The key of the true picture of each that is shown in another category; empty where the set does not hold them."""
    if turns.truths is None:
        return {}
    return {key: turns.split.keys[place] for key, place in zip(turns.keys, turns.truths.tolist(), strict=True)}


def obvious(seed: str, size: tuple[int, int]) -> Picture:
    """An obvious fake: blocks of random colour, uint8 (H, W, 3)."""
    random = np.random.default_rng(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big"))
    blocks = random.integers(0, 256, (_BLOCKS, _BLOCKS, 3), dtype=np.uint8)
    rows, columns = (np.arange(length) * _BLOCKS // length for length in size)
    return blocks[rows][:, columns]


def _places(split: Split) -> dict[str, int]:
    return {key: i for i, key in enumerate(split.keys)}
