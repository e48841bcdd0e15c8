"""TrainConfig: how any system is trained."""

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from components.samples.schema import Section
from components.samples.task import Task
from components.training.jitter import AugmentConfig

Share = Annotated[float, Field(ge=0, lt=1)]
Placement = Literal["PACK", "SPREAD", "STRICT_PACK", "STRICT_SPREAD"]


# A version, a run, a weights file.
_START = r"^(models:/[^/@]+[/@][\w-]+|run:[0-9a-f]{4,16}|.+\.safetensors)$"


class TrainConfig(Section):
    """One of `steps` and `epochs` says how long; all the rest has the papers' values by default.

    `num_workers` data-parallel processes share each batch of `batch_size` samples through Ray Train; 0
    trains in this process without Ray. Each `checkpoint_every` steps the run is validated on
    `validation_samples` of the val split, draws a sample grid and is saved; the last `keep_checkpoints` and
    the best are kept. The best is chosen `best_by` the lowest KID of the validation samples (kid), where a KID judges
    what the system makes, or by the first metric of its own validation (docs/training.md). `optimizer`,
    `learning_rate`, `betas` (of Adam), `eps`, `momentum` (of RMSProp and SGD) and
    `weight_decay` are, where null, those that the system was published with; `learning_rates` overrides the rate for
    single optimizers or networks. With `schedule` linear the rate is constant for `constant_share` of the steps and
    falls linearly to 0 over the rest; halved, it is halved after each `half_life` steps; exponential, it falls
    evenly, by half in as many. Networks see a label map as `labels` says: one_hot, a channel a class, or colour, drawn
    in its palette. Samples are shuffled within `shuffle_shards` shards in each of `lanes` places of the split at once
    (docs/scale.md); a split of no more
    than `shuffle_shards` is shuffled as a whole. An epoch is a pass over the training samples; where the two
    sides are drawn independently, over the larger side. `start_from` is what the networks begin as, instead of at
    random: a version (models:/NAME/3, models:/NAME@champion), the last checkpoint of a run (run:KEY), or a weights file
    (*.safetensors).

    Where it runs (docs/nodes.md): `placement` is Ray's strategy for the ranks over the nodes;
    `cpus_per_worker` 0 is as many as the nodes can give each rank; `workers_per_gpu` ranks share a GPU;
    `backend` auto is nccl where each rank has a GPU of its own, else gloo. `timeout_s` is how long a rank
    may take to give a sign of life, and how long lost ranks may wait for room on the nodes.

    On a GPU (docs/gpu.md): `graphs` auto captures the step as a CUDA graph where one rank has the GPU and the step
    can be captured, on refuses where it cannot, off never does. `cache` device keeps the decoded training pictures on
    the GPU, host keeps up to `cache_mb` MiB of them beside it, auto takes the GPU where they fit well.
    `deterministic` gives the same bits at every run and resume, at some cost; `tf32` lets float32 convolutions and
    products round their inputs to TF32, and `cudnn_benchmark` times the kernels of each convolution and takes the
    fastest.
    """

    task: Task | None = None
    labels: Literal["one_hot", "colour"] = "one_hot"
    steps: PositiveInt | None = None
    epochs: PositiveInt | None = None
    batch_size: PositiveInt = 1
    optimizer: Literal["adam", "rmsprop", "sgd"] | None = None
    learning_rate: PositiveFloat | None = None
    learning_rates: dict[str, PositiveFloat] = Field(default_factory=dict)
    betas: tuple[Share, Share] | None = None
    eps: PositiveFloat | None = None
    momentum: Share | None = None
    weight_decay: NonNegativeFloat | None = None
    schedule: Literal["linear", "halved", "exponential"] = "linear"
    half_life: PositiveInt | None = None
    constant_share: float = Field(default=0.5, ge=0, le=1)
    ema: float = Field(default=0.0, ge=0, lt=1)
    augment: AugmentConfig = AugmentConfig()
    start_from: Annotated[str, Field(pattern=_START)] | None = None
    seed: NonNegativeInt = 0
    precision: Literal["float32", "bfloat16"] = "float32"
    num_workers: NonNegativeInt = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    placement: Placement = "PACK"
    cpus_per_worker: NonNegativeInt = 0
    workers_per_gpu: PositiveInt = 1
    backend: Literal["auto", "gloo", "nccl"] = "auto"
    log_every: PositiveInt = 20
    checkpoint_every: PositiveInt = 250
    keep_checkpoints: PositiveInt = 2
    validation_samples: PositiveInt = 128
    best_by: Literal["kid", "validation"] = "kid"
    shuffle_shards: PositiveInt = 16
    lanes: PositiveInt = 128
    loader_threads: PositiveInt = 1
    prefetch: PositiveInt = 2
    pin_memory: bool = True
    cache: Literal["auto", "host", "device"] = "auto"
    cache_mb: NonNegativeFloat = 1024
    graphs: Literal["auto", "on", "off"] = "auto"
    deterministic: bool = False
    tf32: bool = True
    cudnn_benchmark: bool = True
    timeout_s: PositiveFloat = 300
    max_failures: NonNegativeInt = 2

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give either steps or epochs")
        if (self.schedule == "linear") != (self.half_life is None):
            raise ValueError("half_life goes with schedule halved or exponential, which need it")
        if self.backend == "nccl" and self.workers_per_gpu > 1:
            raise ValueError("nccl refuses two ranks on one GPU; set backend to gloo or workers_per_gpu to 1")
        return self

    def num_steps(self, samples: int) -> int:
        """Steps of the whole run over a training split of so many samples."""
        if self.steps is not None:
            return self.steps
        assert self.epochs is not None
        return max(1, self.epochs * samples // self.batch_size)

    def decisive(self, length: bool = True) -> dict[str, object]:
        """What decides the weights: all but where and how visibly the run takes place.

        The number of workers is left out, so a run may be resumed on more or fewer of them.

        Args:
            length: with the number of steps or epochs.
        """
        places = {
            "num_workers",
            "device",
            "placement",
            "cpus_per_worker",
            "workers_per_gpu",
            "backend",
            "log_every",
            "loader_threads",
            "prefetch",
            "pin_memory",
            "cache",
            "cache_mb",
            "graphs",
            "start_from",  # its content decides, which the run's key has
            "timeout_s",
            "max_failures",
        }
        return self.model_dump(mode="json", exclude=places if length else places | {"steps", "epochs"})
