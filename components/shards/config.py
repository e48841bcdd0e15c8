"""How samples are packed into shards."""

from pydantic import NonNegativeInt, PositiveInt

from components.samples.schema import Section


class ShardConfig(Section):
    """The writer's settings; how the raw pictures are cut is their source's own section, `cut`.

    Attributes:
        samples_per_shard: samples in one tar.
        max_bad: how many bad samples may be left out; with more the stage stops.
        num_workers: processes that decode and encode; 0 is one for each core. The bytes written do not depend on it.
    """

    samples_per_shard: PositiveInt = 512
    max_bad: NonNegativeInt = 0
    num_workers: NonNegativeInt = 0
