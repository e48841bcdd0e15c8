"""A review: one version beside the champion of now, its verdict, and what it was told on."""

from dataclasses import dataclass
from pathlib import Path

from components.faults import Fault
from components.review.config import ReviewConfig
from components.review.gate import Verdict, judge
from components.review.kept import Kept, read_kept
from components.tracking.promotions import Promotion, champions, read_promotions
from components.tracking.store import Store
from components.tracking.versions import (
    CHAMPION,
    GATE,
    VERDICT,
    Version,
    champion_of,
    fetch_version,
    list_versions,
    note_version,
)

AGAINST, AFTER, REASONS = "review.champion", "review.after_promotion", "review.reasons"


@dataclass(frozen=True)
class Standing:
    """Where a model stands.

    Attributes:
        versions: the newest first. champion: None where there is none.
        promotions: the record, the oldest first.
    """

    versions: list[Version]
    champion: Version | None
    promotions: list[Promotion]

    @property
    def recorded(self) -> int | None:
        """The champion by the record."""
        return champions(self.promotions)[-1] if self.promotions else None

    @property
    def outside(self) -> str:
        """What the alias is on where that is not what the record says, as a word; empty where they agree."""
        found = self.champion.number if self.champion else None
        return "" if found == self.recorded else str(found or "none")

    @property
    def notice(self) -> str:
        """A line about an alias that was moved by other hands; empty where it was not."""
        if not self.outside:
            return ""
        now = f"on version {self.outside}" if self.champion else "on no version"
        said = f"version {self.recorded}" if self.recorded else "that none was promoted"
        how = "it was moved outside pix2pipe, or a promotion was cut short"
        return f"the alias {CHAMPION} is {now} and the record says {said}: {how}"

    @property
    def mark(self) -> dict[str, str]:
        """Tags that say which champion a verdict was about."""
        return {AGAINST: str(self.champion.number if self.champion else "none"), AFTER: str(len(self.promotions))}


@dataclass(frozen=True)
class Review:
    """What was found of one version; `against` is the champion's files, None where there is none or they are bad."""

    version: Version
    standing: Standing
    candidate: Kept
    against: Kept | None
    verdict: Verdict


def find_standing(store: Store, model: str) -> Standing:
    """The versions of a model, its champion and its record.

    Raises:
        Fault: there is no such model, or MLflow refuses.
    """
    versions = list_versions(store, model)
    return Standing(versions, champion_of(versions), read_promotions(store, model))


def review(store: Store, standing: Standing, version: Version, config: ReviewConfig, folder: Path) -> Review:
    """Compare a version with the champion of now.

    Args:
        folder: where both versions' files are brought; `Kept.folder` lies in it.

    Raises:
        Fault: the version's own files are missing or changed. Where the champion's are, it is a verdict.
    """
    candidate = read_kept(version, fetch_version(store, version, folder / str(version.number)))
    champion, against = standing.champion, None
    if champion is not None and champion.number == version.number:
        return Review(version, standing, candidate, None, Verdict("champion", False, ("it is the champion",)))
    try:
        if champion is not None:
            against = read_kept(champion, fetch_version(store, champion, folder / str(champion.number)))
        verdict = judge(candidate, against, config)
    except Fault as fault:
        verdict = Verdict("not comparable", False, (str(fault),))
    return Review(version, standing, candidate, against, verdict)


def keep_verdict(store: Store, found: Review, description: str) -> None:
    """Write the verdict on the version, as tags and description; a champion keeps what it was promoted with.

    Raises:
        Fault: MLflow refuses.
    """
    if found.verdict.word == "champion":
        return
    tags = {
        VERDICT: found.verdict.word,
        GATE: "passed" if found.verdict.passed else "failed",
        REASONS: "; ".join(found.verdict.reasons),
    }
    note_version(store, found.version, tags | found.standing.mark, description)
