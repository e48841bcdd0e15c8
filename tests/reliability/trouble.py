"""Small GANs that are well, and GANs that are ill in a way that is known."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.systems import AnySystemConfig
from components.systems.parts import EncoderDecoderConfig, PatchGANConfig, ResNetConfig, TextureUNetConfig, UNetConfig
from components.systems.translation.bigan import BiGANConfig
from components.systems.translation.cogan import CoGANConfig
from components.systems.translation.cyclegan import CycleGANConfig
from components.systems.translation.discogan import DiscoGANConfig
from components.systems.translation.pix2pix import Pix2PixConfig
from components.systems.translation.simgan import SimGANConfig
from components.training.config import TrainConfig
from components.training.run import Run, plan

NEVER = 1e-12  # a learning rate at which nothing is learnt
STEPS, SAVED, LOGGED = 320, 40, 20


@dataclass(frozen=True)
class Case:
    """A system, how it is trained, and the alarms that are due: all of these, and none where there are none."""

    name: str
    system: AnySystemConfig
    due: tuple[str, ...] = ()
    train: dict[str, Any] = field(default_factory=dict)

    def plan(self, shards: Path, root: Path) -> Run:
        """The run of it: 320 steps at 32x32, logged each 20 and validated each 40."""
        settings = {
            "steps": STEPS,
            "batch_size": 4,
            "checkpoint_every": SAVED,
            "log_every": LOGGED,
            "learning_rate": 5e-4,
            "ema": 0.99,
            "validation_samples": 8,
            "labels": "one_hot" if self.system.paired else "colour",
        }
        return plan(self.system, TrainConfig(**(settings | self.train)), shards, root)


def aligned(adversarial: str = "vanilla", lambda_l1: float = 5.0, **system: Any) -> Pix2PixConfig:
    """The default recipe, small; a critic gets its Lipschitz constraint."""
    settings = {
        "patch_size": 16,
        "generator": TextureUNetConfig(widths=(8, 16, 16)),
        "discriminator": PatchGANConfig(width=8, norm="none", spectral=adversarial == "wasserstein"),
    }
    return Pix2PixConfig(adversarial=adversarial, lambda_l1=lambda_l1, **(settings | system))


def unaligned(config: Callable[..., AnySystemConfig], **system: Any) -> AnySystemConfig:
    """A system without pairs, small."""
    settings = {
        "patch_size": 16,
        "generator": ResNetConfig(width=4, blocks=1),
        "discriminator": PatchGANConfig(width=8, norm="instance"),
    }
    return config(**(settings | system))


def rates(**learning_rates: float) -> dict[str, Any]:
    """How single phases are trained, at rates that stay."""
    return {"learning_rates": learning_rates, "constant_share": 1.0}


WINS, LOSES, CONSTANT = "discriminator_wins", "discriminator_loses", "generator_constant"
KINDS = ("vanilla", "lsgan", "hinge", "wasserstein")
FROZEN = rates(discriminator=NEVER, generator=4e-3)

FREE = {"discriminator": PatchGANConfig(width=8, norm="none")}  # a critic under a constraint takes longer to win

ILL = (
    *(
        Case(f"the generator learns nothing, {k}", aligned(k, **FREE), (WINS, CONSTANT), rates(generator=NEVER))
        for k in KINDS
    ),
    *(Case(f"the discriminator learns nothing, {k}", aligned(k, 0), (LOSES,), FROZEN) for k in KINDS[:3]),
    Case("the generator's rate 100 times", aligned("hinge", 0), (WINS, CONSTANT), rates(generator=5e-2)),
    Case(
        "both generators learn nothing",
        unaligned(CycleGANConfig, lambda_identity=0, pool_size=8),
        (WINS, f"{WINS}_back", CONSTANT, f"{CONSTANT}_back"),
        rates(generators=NEVER),
    ),
    Case(
        "no discriminator, and a generator that learns nothing",
        aligned(lambda_adversarial=0),
        (CONSTANT,),
        rates(generator=NEVER),
    ),
)

UNET, DECODER = UNetConfig(width=6, levels=3), EncoderDecoderConfig(width=6, levels=2)
BATCH = PatchGANConfig(width=8)
WELL = (
    *(Case(f"{kind}, seed {seed}", aligned(kind), train={"seed": seed}) for kind in KINDS for seed in (0, 1)),
    Case("the papers' pix2pix", aligned(lambda_l1=100, generator=UNET, discriminator=BATCH), train={"batch_size": 1}),
    Case("its encoder-decoder", aligned(lambda_l1=100, generator=DECODER, discriminator=BATCH)),
    Case("its unconditional GAN with L1", aligned(lambda_l1=100, generator=UNET, conditional=False)),
    Case("L1 alone", aligned(lambda_adversarial=0)),
    Case("1 pixel a patch", aligned(patch_size=1)),
    Case("a spectral discriminator, hinge", aligned("hinge", discriminator=PatchGANConfig(width=8, spectral=True))),
    Case("CycleGAN", unaligned(CycleGANConfig, lambda_identity=0, pool_size=8)),
    Case("CycleGAN with its identity loss", unaligned(CycleGANConfig, pool_size=8), train={"seed": 1}),
    Case("DiscoGAN", unaligned(DiscoGANConfig, generator=DECODER, discriminator=BATCH)),
    Case("SimGAN", unaligned(SimGANConfig, history_size=8)),
    Case("BiGAN", unaligned(BiGANConfig, pool_size=8)),
    Case(
        "CoGAN",
        CoGANConfig(latent=32, width=16, inversion_steps=50),
        train={"learning_rates": {"discriminator": 2e-4}, "batch_size": 16},
    ),
)
