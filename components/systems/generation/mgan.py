"""MGAN: generators that share all but their first layer, and a classifier that tells whose a picture is (Hoang et al.
2018, arXiv:1708.02556; losses and batches as in the authors' code, github.com/qhoangdl/MGAN)."""

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor, nn

from components.faults import Fault
from components.networks import across_ranks
from components.networks.dcgan import DCGANDiscriminator
from components.networks.layers import NormName, init_normal
from components.networks.mgan import MGANGenerator
from components.networks.noise import latents
from components.networks.points import PointHeads
from components.objectives.adversarial import ADVERSARIAL
from components.systems.generation.from_noise import FromNoise, NoiseSection, Prior, require_levels
from components.systems.generation.point_networks import many_headed
from components.systems.system import Batch, Moment, Phase, Published, Shape, System, Terms, output


class MGANConfig(NoiseSection):
    """The networks are DCGAN's but for the generator's first layer; of points, those of every system but for it.

    Attributes:
        num_heads: how many generators there are; it must divide each rank's part of a batch.
        beta: weight of how well the classifier tells the generators apart, in what the generator minimises.
        width: channels next to the pictures.
    """

    name: Literal["mgan"] = "mgan"
    prior: Prior = "uniform"
    num_heads: PositiveInt = 8
    beta: NonNegativeFloat = 0.01
    width: PositiveInt = 64
    kernel: Literal[4, 5] = 4
    norm: NormName = "batch"

    def require_batch(self, per_rank: int, ranks: int) -> None:
        """Each head makes as many pictures as every other, and enough of them to be normalised."""
        together = {"batch": per_rank, "sync_batch": per_rank * ranks}.get(self.norm)
        least = self.num_heads if together is None or together >= 2 * self.num_heads else 2 * self.num_heads
        if per_rank % self.num_heads or per_rank < least:
            raise Fault(
                f"system.num_heads {self.num_heads} does not divide the {per_rank} pictures that each worker has of "
                f"train.batch_size; make them a multiple of it"
                + (f", from {least} on for norm {self.norm}" if least > self.num_heads else "")
            )


def mgan(config: MGANConfig, shape: Shape) -> System:
    """Discriminator with classifier, then generator, each at every step, of the same fakes.

    Every head makes pictures of the same latents, as many as give the batch's number together. Discriminator and
    classifier are one network but for its last layer: the first of its outputs is the logit, the others are the heads.

    Raises:
        Fault: sides that the levels cannot halve; at a step, a part of a batch that heads do not divide.
    """
    loss = ADVERSARIAL["vanilla"]
    noise = FromNoise(shape, config.model_copy(update={"latent": config.latent + 1}))  # the last chooses the head

    def fakes(generator: nn.Module, seeds: Tensor) -> Tensor:
        assert isinstance(generator, MGANGenerator | PointHeads)
        config.require_batch(len(seeds), across_ranks.num_ranks())
        # One seed of each group of neighbours, so that two ranks take the seeds that one process would.
        latent = latents(seeds[:: config.num_heads], config.latent, next(generator.parameters()).device, config.prior)
        return output(shape.target, generator.of_every_head(latent))

    def told(judged: Tensor) -> Tensor:
        """The classifier's cross entropy on fakes that lie as `of_every_head` gives them."""
        heads = torch.arange(config.num_heads, device=judged.device)
        return F.cross_entropy(judged[:, 1:], heads.repeat_interleave(len(judged) // config.num_heads))

    def discriminator_terms(networks: nn.ModuleDict, batch: Batch, _: Moment) -> Terms:
        fake = batch["fake"] = fakes(networks["generator"], batch["seeds"])
        judged, real = networks["discriminator"](fake.detach()), networks["discriminator"](batch["target"])
        return loss.discriminator(batch, judged[:, :1], real[:, :1], share=1.0) | {"classifier": told(judged)}

    def generator_terms(networks: nn.ModuleDict, batch: Batch, _: Moment) -> Terms:
        judged = networks["discriminator"](batch["fake"])
        terms = {"adversarial": loss.generator(judged[:, :1])}
        if config.beta:
            terms["classifier"] = config.beta * told(judged)
        return terms

    return noise.system(
        networks=_networks(config, shape),
        phases=(
            Phase("discriminator", ("discriminator",), discriminator_terms),
            Phase("generator", ("generator",), generator_terms),
        ),
        published=Published(learning_rate=2e-4, betas=(0.5, 0.999)),
    )


def _networks(config: MGANConfig, shape: Shape) -> dict[str, nn.Module]:
    """Initialised; the discriminator has an output for the logit and one for each head."""
    normal = config.prior == "normal"
    if shape.target.kind == "point":
        heads, judge = many_headed(config, config.num_heads, normal)
        return {"generator": heads, "discriminator": judge}
    require_levels("mgan", shape.target.height_width)
    channels = shape.target.channels
    shared = (shape.target.height_width, config.width, config.kernel, config.norm)
    generator = MGANGenerator(config.num_heads, config.latent, channels, *shared, normal=normal)
    discriminator = DCGANDiscriminator(channels, *shared, classes=0, outputs=1 + config.num_heads)
    return {"generator": init_normal(generator), "discriminator": init_normal(discriminator)}
