"""The page of a review: one version beside the champion, self-contained as the report is."""

from pathlib import Path

from markupsafe import Markup

from components.pages.examples import data_uri
from components.pages.figures import title
from components.review.gate import words
from components.review.pictured import PicturedReview
from components.review.text import headline, mark
from components.serving.templates import PAGE_STYLE, template

_HERE = Path(__file__).parent
_MARKS = {"held": "✓", "broken": "✗", "open": "?", "set aside": "·"}


def build_page(seen: PicturedReview) -> str:
    """The page as HTML that needs no other file."""
    review = seen.review
    said = headline(review).removeprefix(f"{review.version.name}: ").removeprefix(f"{review.version.name} ")
    verdict, champion = review.verdict, review.state.champion
    style = "".join(css.read_text(encoding="utf-8") for css in (PAGE_STYLE, _HERE / "review.css"))
    return template(_HERE, "review.html").render(
        style=Markup(style),
        name=review.version.name,
        headline=said[0].upper() + said[1:],
        verdict=verdict,
        marks=_MARKS,
        champion=champion,
        card=review.candidate.card,
        notice=review.state.notice,
        promotions=list(reversed(review.state.promotions)),
        differences=[
            (
                *title(each.figure),
                each,
                words(each.gain),
                mark(each),
                _place(each.gain.low, each.gain.value, each.gain.high),
            )
            for each in verdict.differences
        ],
        columns=seen.columns,
        samples=[
            (sample.key, [(column, data_uri(picture)) for column, picture in sample.pictures.items()])
            for sample in seen.samples
        ],
        excuse=seen.excuse,
        facts=[*seen.lineage.facts, ("weights", review.version.tags["weights_sha256"])],
    )


def _place(low: float, value: float, high: float) -> tuple[float, float, float]:
    """The ends of an interval and its value in percent of a scale whose middle is no difference."""
    reach = max(abs(low), abs(high)) or 1.0
    place = tuple(round(50 + 46 * end / reach, 2) for end in (low, value, high))
    return (place[0], place[1], place[2])
