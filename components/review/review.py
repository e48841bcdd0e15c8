"""A review: one version beside the present champion, its verdict, and what the verdict is based on."""

from dataclasses import dataclass
from pathlib import Path

from components.faults import Fault
from components.review.config import ReviewConfig
from components.review.gate import Verdict, judge
from components.review.measured import MeasuredVersion, read_measured
from components.tracking.promotions import Promotion, champions, finish_promotion, finished_tag, read_promotions
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
class ModelState:
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
    def unfinished(self) -> Promotion | None:
        """The last promotion if it is recorded and the alias has not been moved yet: it is under way, or was killed."""
        last = self.promotions[-1] if self.promotions else None
        if last is None or (self.champion.number if self.champion else None) == last.after:
            return None
        promoted = next((version for version in self.versions if version.number == last.after), None)
        return last if promoted is not None and finished_tag(last) not in promoted.tags else None

    @property
    def outside(self) -> str:
        """The version that the alias was moved to outside of the record, as a word; empty otherwise."""
        found = self.champion.number if self.champion else None
        return "" if self.unfinished or found == self.recorded else str(found or "none")

    @property
    def notice(self) -> str:
        """A line about an alias that is not where the record says; empty where it is."""
        if self.unfinished:
            how = f"the {self.unfinished.kind} of version {self.unfinished.after} by {self.unfinished.by}"
            return f"{how} is on record and not finished; if it was cut short, the next promote or rollback finishes it"
        if not self.outside:
            return ""
        now = f"on version {self.outside}" if self.champion else "on no version"
        said = f"version {self.recorded}" if self.recorded else "that none was promoted"
        return f"the alias {CHAMPION} is {now} and the record says {said}: it was moved outside pix2pipe"

    @property
    def mark(self) -> dict[str, str]:
        """Tags that say which champion a verdict was about."""
        return {AGAINST: str(self.champion.number if self.champion else "none"), AFTER: str(len(self.promotions))}


@dataclass(frozen=True)
class Review:
    """The result for one version; `against` is the champion's files, None if there is no champion or its files are
    bad."""

    version: Version
    state: ModelState
    candidate: MeasuredVersion
    against: MeasuredVersion | None
    verdict: Verdict


def find_state(store: Store, model: str) -> ModelState:
    """The versions of a model, its champion and its record.

    Raises:
        Fault: there is no such model, or MLflow refuses.
    """
    versions = list_versions(store, model)
    return ModelState(versions, champion_of(versions), read_promotions(store, model))


def settle(store: Store, model: str) -> ModelState:
    """Where a model stands, after an interrupted promotion has been finished; for callers that change something.

    Raises:
        Fault: there is no such model, or MLflow refuses.
    """
    state = find_state(store, model)
    if state.unfinished is None:
        return state
    finish_promotion(store, model, state.unfinished)
    return find_state(store, model)


def review(store: Store, state: ModelState, version: Version, config: ReviewConfig, folder: Path) -> Review:
    """Compare a version with the present champion.

    Args:
        folder: where both versions' files are brought; `MeasuredVersion.folder` lies in it.

    Raises:
        Fault: the version's own files are missing or changed. Where the champion's are, it is a verdict.
    """
    candidate = read_measured(version, fetch_version(store, version, folder / str(version.number)))
    champion, against = state.champion, None
    if champion is not None and champion.number == version.number:
        passed = version.tags.get(GATE) == "passed"  # as it was when it was promoted
        return Review(version, state, candidate, None, Verdict("champion", passed, ("it is the champion",)))
    try:
        if champion is not None:
            against = read_measured(champion, fetch_version(store, champion, folder / str(champion.number)))
        verdict = judge(candidate, against, config)
    except Fault as fault:
        verdict = Verdict("not comparable", False, (str(fault),))
    return Review(version, state, candidate, against, verdict)


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
    note_version(store, found.version, tags | found.state.mark, description)
