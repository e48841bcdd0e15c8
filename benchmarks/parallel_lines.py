"""Parallel lines (example 1 of Arjovsky et al. 2017, arXiv:1701.07875): what a discriminator says of two lines that
draw near to each other, and what a critic says.

P is (0, y) and Q is (theta, y), y uniform from 0 to 1. However small theta is, the lines have no point in common, so
their Jensen-Shannon divergence is log 2, and 0 at theta = 0: it has no slope that a generator could follow. Their
Wasserstein distance is |theta|. `python -m benchmarks.parallel_lines` trains the discriminators of a GAN and of WGAN-GP
by the systems' own terms against a generator that stands still, and writes a table and a plot to docs/results.
"""

import argparse
import math
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.optim import Adam
from tqdm import tqdm

from components.networks.noise import uniforms
from components.networks.points import PointDiscriminator
from components.samples.domain import Domain, Mixture
from components.shards.loader import position_seeds
from components.storage.files import atomic_path, write_json, write_text
from components.systems.generation.gan import GANConfig
from components.systems.generation.pair import pair
from components.systems.generation.wgan_gp import WGANGPConfig
from components.systems.moment import Moment
from components.systems.system import Batch, Published, Shape

OUT = Path("docs/results")
LOG2 = math.log(2)
Name = Literal["gan", "wgan_gp"]
_THETAS = tuple(round(0.1 * i, 1) for i in range(11))
_WIDTH, _DEPTH = 64, 2
_TARGETS = 7  # the stream of noise that the points of P are drawn from
_HELD_OUT = 1_000_000  # the position of the first point that nothing was trained on
_SHAPE = Shape(translated=None, target=Domain(kind="point", mixture=Mixture(centres=((0.0, 0.0), (1.0, 0.0)), std=1.0)))


@dataclass(frozen=True)
class Said:
    """What two trained discriminators say of one theta, beside the closed forms.

    Attributes:
        gan_loss: of the discriminator, in nats: 2 log 2 - 2 JS at its best.
        jensen_shannon: what follows from it, log 2 - gan_loss / 2. true_jensen_shannon: 0 or log 2.
        wasserstein: the critic's mean over P minus its mean over Q. true_wasserstein: theta.
    """

    theta: float
    gan_loss: float
    jensen_shannon: float
    true_jensen_shannon: float
    wasserstein: float
    true_wasserstein: float


class Line(nn.Module):
    """A generator that stands still: latents (N, 1), uniform from -1 to 1, to points (theta, y) of Q, (N, 2, 1, 1)."""

    def __init__(self, theta: float) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.tensor(theta))

    def forward(self, latent: Tensor) -> Tensor:
        """Points of latents."""
        heights = (latent + 1) / 2
        return torch.cat([self.theta.expand_as(heights), heights], dim=1)[:, :, None, None]


def train(name: Name, theta: float, steps: int, batch_size: int = 128, seed: int = 0) -> float:
    """The loss of a system's discriminator, its penalty left out, on 4,096 new points of either line.

    Args:
        theta: 0 or more. steps: of the discriminator. batch_size: points of either line in each.

    Returns:
        Of `gan` in nats, least 2 log 2 - 2 JS. Of `wgan_gp` the mean over Q minus the mean over P, -theta for the best
        critic of slope 1; the penalty of weight 10 lets it have a slope of 1 + theta / 20.
    """
    torch.manual_seed(seed)
    config = GANConfig(latent=1) if name == "gan" else WGANGPConfig(latent=1, prior="uniform")
    system = pair(config, _SHAPE, Line(theta), PointDiscriminator(_WIDTH, _DEPTH), Published())
    (phase,) = (phase for phase in system.phases if phase.name == "discriminator")
    judge = system.networks["discriminator"]
    adam = Adam(judge.parameters(), 3e-3, (0.0, 0.9))
    for step in range(steps):
        for group in adam.param_groups:
            group["lr"] = 3e-3 * (1 - step / steps)
        terms = phase.terms(system.networks, _batch(seed, step * batch_size, batch_size), Moment(step, steps, 0))
        adam.zero_grad()
        torch.stack(list(terms.values())).sum().backward()
        adam.step()
    batch = _batch(seed, _HELD_OUT, 4096)
    terms = phase.terms(system.networks, batch, Moment(steps, steps, 0))
    return float(terms["real"].detach() + terms["fake"].detach())


def said(theta: float, steps: int) -> Said:
    """Both discriminators of one theta, each after so many steps."""
    loss = train("gan", theta, steps)
    return Said(
        theta=theta,
        gan_loss=loss,
        jensen_shannon=LOG2 - loss / 2,
        true_jensen_shannon=LOG2 if theta else 0.0,
        wasserstein=-train("wgan_gp", theta, steps),
        true_wasserstein=theta,
    )


def _batch(seed: int, first: int, count: int) -> Batch:
    """Points of P and the seeds of those of Q, a function of their positions."""
    seeds = torch.from_numpy(position_seeds(seed, range(first, first + count)))
    heights = uniforms(seeds, (1,), torch.device("cpu"), _TARGETS)
    return {"target": torch.cat([torch.zeros_like(heights), heights], dim=1)[:, :, None, None], "seeds": seeds}


def markdown(found: list[Said], steps: int) -> str:
    """The table for people."""
    lines = [
        "## Parallel lines (WGAN, example 1, Arjovsky et al. 2017)",
        "",
        "| theta | loss of the GAN's discriminator | JS from it | true JS | WGAN-GP's critic, P - Q | true distance |",
        "| --- | --- | --- | --- | --- | --- |",
        *(
            f"| {one.theta:g} | {one.gan_loss:.4f} | {one.jensen_shannon:.4f} | {one.true_jensen_shannon:.4f} | "
            f"{one.wasserstein:.4f} | {one.true_wasserstein:.4f} |"
            for one in found
        ),
        "",
        f"Each discriminator was trained alone for {steps:,} steps of 128 points of either line, and measured on 4,096 "
        "new ones. Losses and JS are in nats.",
    ]
    return "\n".join(lines) + "\n"


def plot(found: list[Said]) -> Figure:
    """What was trained as dots on the closed forms."""
    figure = Figure(figsize=(8, 3.2), layout="constrained", dpi=120)
    left, right = figure.subplots(1, 2)
    thetas = [one.theta for one in found]
    left.plot([0, max(thetas)], [LOG2, LOG2], color="0.6", label="log 2, for every theta but 0")
    left.plot([0], [0], "o", markerfacecolor="white", markeredgecolor="0.6", markersize=11, label="0, for theta = 0")
    left.plot(thetas, [one.jensen_shannon for one in found], "o", color="C3", label="GAN's discriminator")
    left.set(title="Jensen-Shannon divergence, nats", xlabel="theta", ylim=(-0.08, 1.05))
    right.plot(thetas, thetas, color="0.6", label="|theta|")
    right.plot(thetas, [one.wasserstein for one in found], "o", color="C0", label="WGAN-GP's critic")
    right.set(title="Wasserstein distance", xlabel="theta")
    for axes in (left, right):
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def main(arguments: list[str] | None = None) -> None:
    """Write OUT/parallel_lines.md, .json and .png, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=600, help="of each discriminator (default: 600)")
    parser.add_argument("--thetas", type=float, nargs="+", default=list(_THETAS), help="0 or more (default: 0 to 1)")
    parser.add_argument("--out", type=Path, default=OUT, help=f"default: {OUT}")
    given = parser.parse_args(arguments)
    if given.steps < 1 or min(given.thetas) < 0:
        parser.error("--steps must be 1 or more and --thetas 0 or more")
    found = [said(theta, given.steps) for theta in tqdm(given.thetas, desc="parallel lines", file=sys.stderr)]
    text = markdown(found, given.steps)
    print(text)
    write_text(given.out / "parallel_lines.md", text)
    write_json(given.out / "parallel_lines.json", {"steps": given.steps, "lines": [asdict(one) for one in found]})
    with atomic_path(given.out / "parallel_lines.png") as temporary:
        plot(found).savefig(temporary, format="png", metadata={"Software": None})


if __name__ == "__main__":
    main()
