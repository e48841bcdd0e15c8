"""Params of the tune stage."""

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from components.samples.schema import Section

Scalar = bool | int | float | str
Bounds = tuple[float, float]


class Dimension(Section):
    """The values that one param may take: exactly one of the three.

    Attributes:
        uniform: between two bounds. loguniform: the same on a logarithmic scale, both above 0.
        choice: one of these.
    """

    uniform: Bounds | None = None
    loguniform: Bounds | None = None
    choice: Annotated[tuple[Scalar, ...], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        given = [kind for kind in (self.uniform, self.loguniform, self.choice) if kind is not None]
        if len(given) != 1:
            raise ValueError("give one of uniform, loguniform and choice")
        bounds = self.uniform or self.loguniform
        if bounds and bounds[0] >= bounds[1]:
            raise ValueError(f"the lower bound {bounds[0]:g} is not below the upper {bounds[1]:g}")
        if self.loguniform and self.loguniform[0] <= 0:
            raise ValueError("the lower bound of a logarithmic range must be above 0")
        if self.choice and len(set(map(repr, self.choice))) < len(self.choice):
            raise ValueError("a value is given twice")
        return self


class TuneConfig(Section):
    """What is searched, how, and how long.

    Attributes:
        space: dotted path of a param (`system.lambda_l1`, `train.learning_rate`) -> its values.
        objective: a metric of the evaluation, measured on `val`; None is the class IoU of the labels, read by the judge
            or the target's own, or KID if there are no labels.
        samples: val samples it is measured on, evenly spread; None: all.
        num_trials: configurations tried; 0 leaves the params as they are.
        start: try the present params first, so that the winner is never worse than them.
        sampler: Optuna's TPE (Bergstra et al. 2011), random, or grid (`resolution` values of each continuous
            dimension, in an order drawn by `seed`).
        scheduler: asha (Li et al. 2018, arXiv:1810.05934) ends a trial at `grace_steps`, and again after each
            `reduction_factor` times as many, unless it is among the best 1/`reduction_factor` there; none
            trains all to `max_steps`.
        num_seeds: the best `finalists` are trained this often in all, with different seeds, and the best mean wins,
            since two runs of a GAN differ much.
        num_workers: data-parallel ranks of a trial; 0 trains it in one process.
        max_concurrent: trials at once; None: as many as the CPUs (or GPUs) give one core each.
        trials_per_gpu: how many trials of one process share a GPU; a small trial alone does not fill one.
    """

    space: dict[str, Dimension] = Field(default_factory=dict)
    objective: str | None = None
    samples: Annotated[int, Field(ge=2)] | None = None
    num_trials: NonNegativeInt = 0
    start: bool = True
    sampler: Literal["tpe", "random", "grid"] = "tpe"
    resolution: PositiveInt = 3
    scheduler: Literal["asha", "none"] = "asha"
    max_steps: PositiveInt = 300
    grace_steps: PositiveInt = 30
    reduction_factor: Annotated[int, Field(ge=2)] = 3
    seed: NonNegativeInt = 0
    num_seeds: PositiveInt = 1
    finalists: PositiveInt = 3
    num_workers: NonNegativeInt = 0
    max_concurrent: PositiveInt | None = None
    trials_per_gpu: PositiveInt = 1

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.num_trials and not self.space:
            raise ValueError("num_trials is above 0 but space is empty")
        if self.grace_steps > self.max_steps:
            raise ValueError(f"grace_steps {self.grace_steps} is above max_steps {self.max_steps}")
        return self

    def rungs(self) -> tuple[int, ...]:
        """The steps at which a trial is measured; the last is `max_steps`."""
        if self.scheduler == "none":
            return (self.max_steps,)
        rungs, step = [], self.grace_steps
        while step < self.max_steps:
            rungs.append(step)
            step *= self.reduction_factor
        return (*rungs, self.max_steps)

    def decisive(self) -> dict[str, object]:
        """The params that decide the trials: not where they run, nor how many there are, since a search may go on with
        more."""
        return self.model_dump(mode="json", exclude={"num_trials", "max_concurrent", "num_workers", "finalists"})
