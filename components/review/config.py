"""Params of the review: what a candidate must show before it may be promoted."""

import difflib
from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveInt

from components.evaluation.config import LUMA_FIGURES, PIXEL_FIGURES, POINT_FIGURES, EvaluateConfig
from components.samples.schema import Section

RowName = Literal["real", "floor", "mean_colour", "mismatched", "input", "bicubic"]


class ReviewConfig(Section):
    """Rules on metrics of data/metrics; a rule applies to the translations that have its metric.

    Attributes:
        require: metrics by which a candidate must be better than the champion, with its whole interval.
        no_worse_than: metric -> how much worse than the champion the worst end of its interval may be, in the metric's
            unit.
        floors: metric -> the row that a candidate must be better than, with its whole interval; this applies also to
            the first version, when there is no champion yet.
        pictures: test samples shown side by side.
    """

    require: Annotated[tuple[str, ...], Field(min_length=1)] = ("fid_efficientnet_lite0",)
    no_worse_than: dict[str, NonNegativeFloat] = Field(default_factory=dict)
    floors: dict[str, RowName] = Field(default_factory=dict)
    pictures: PositiveInt = 8

    def require_known(self, evaluate: EvaluateConfig) -> None:
        """Refuse a metric that no translation can have with these params of evaluate.

        Raises:
            ValueError: naming the rule, the metric, and those that exist.
        """
        known = figure_names(evaluate)
        for param, figure in self.named():
            if figure not in known:
                close = difflib.get_close_matches(figure, known, n=1)
                hint = f"did you mean {close[0]}? " if close else ""
                raise ValueError(f"{param}: evaluate has no metric {figure}; {hint}it may have {', '.join(known)}")

    def named(self) -> list[tuple[str, str]]:
        """Each param that names a figure, and that figure."""
        rules = (("require", self.require), ("no_worse_than", self.no_worse_than), ("floors", self.floors))
        return [(f"review.{rule}", figure) for rule, figures in rules for figure in figures]


def figure_names(config: EvaluateConfig) -> list[str]:
    """Every metric that some translation may have with these params; those of single classes are left out."""
    suffixes = [*(f"_{name}" for name in config.features), *([""] if config.inception else [])]
    networks = [f"{figure}{suffix}" for suffix in suffixes for figure in ("fid", "kid", "inception_score")]
    read = [
        f"{prefix}_{kind}{figure}"
        for prefix in ("fcn", "labels")
        for kind in ("", "legacy_")
        for figure in ("pixel_accuracy", "class_accuracy", "class_iou")
    ]
    return [*networks, "inception_score_judge", *read, *PIXEL_FIGURES, *LUMA_FIGURES, *POINT_FIGURES]
