"""Reviews a version, makes its pictures, and keeps the verdict with it."""

from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from components.faults import Fault
from components.review.config import ReviewConfig
from components.review.review import Review, find_state, keep_verdict, review
from components.review.side_by_side import Sample, grid, side_by_side
from components.review.text import markdown
from components.storage.files import atomic_path
from components.storage.home import AnyPath
from components.storage.scratch import scratch
from components.tracking.lineage import Lineage, find_lineage, keep_picture
from components.tracking.record import plain_name
from components.tracking.store import Store
from components.tracking.versions import find_version


@dataclass(frozen=True)
class PicturedReview:
    """A review with its pictures.

    Attributes:
        samples: side by side; none where `excuse` says why.
        picture: the file of them, in `folder`; None where there are none.
    """

    review: Review
    lineage: Lineage
    folder: Path
    samples: list[Sample] = field(default_factory=list)
    picture: Path | None = None
    excuse: str = ""

    @property
    def columns(self) -> dict[str, str]:
        """What the columns of the pictures are called."""
        card, champion = self.review.candidate.card, self.review.state.champion
        return {
            "source": card.task.source or "",
            "champion": f"version {champion.number}, champion" if champion else "champion",
            "candidate": f"version {self.review.version.number}",
            "truth": f"true {card.task.target}",
        }


def look(store: Store, model: str, which: str, config: ReviewConfig, shards: AnyPath, out: Path) -> PicturedReview:
    """Review a version, write the pictures below `out`, and keep verdict and pictures with it in MLflow.

    Args:
        which: the version's number or an alias. shards: whose test samples are shown.

    Raises:
        Fault: no such version, its files are missing or changed, or MLflow refuses.
    """
    version, state = find_version(store, model, which), find_state(store, model)
    lineage = find_lineage(store, version)
    name = f"{plain_name(model)}_v{version.number}"
    with scratch() as temporary:
        found = review(store, state, version, config, Path(temporary))
        seen = PicturedReview(found, lineage, out / name)
        try:
            samples = side_by_side(shards, found.candidate, found.against, config.pictures)
        except Fault as fault:
            seen = PicturedReview(found, lineage, out / name, excuse=str(fault))
        else:
            picture = out / name / f"{name}.png"
            with atomic_path(picture) as part:
                Image.fromarray(grid(samples, seen.columns)).save(part, format="PNG", optimize=True)
            seen = PicturedReview(found, lineage, out / name, samples, picture)
    kept = keep_picture(store, version, seen.picture) if seen.picture else ""
    keep_verdict(store, found, markdown(found, lineage, kept))
    return seen
