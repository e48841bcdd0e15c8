"""Params of the report stage."""

from pydantic import PositiveInt

from components.samples.schema import Section


class ReportConfig(Section):
    """What the report shows.

    Attributes:
        pictures: test pictures in each of the groups best, median and worst.
        order_by: the per-sample metric that makes those groups, a column of per_sample.parquet; by default the first
            that exists of a feature distance, labels_pixel_accuracy and l1.
        grids: training steps whose sample grids are shown, evenly spaced.
    """

    pictures: PositiveInt = 4
    order_by: str | None = None
    grids: PositiveInt = 8
