"""Portable: a generator as one graph with its encoding inside, which runs without pix2pipe: bytes in, bytes out."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from components.faults import Fault
from components.models.generator import Generator
from components.networks.noise import counted_draws, draw_rows
from components.samples.domain import Domain
from components.systems.system import Given

_RANGES = {"normal": "mean 0 and standard deviation 1", "uniform": "uniform from 0 to 1"}


@dataclass(frozen=True)
class Port:
    """One input or output of the graph: its name, its dtype, its shape (the batch is `N`), and what its values are."""

    name: str
    dtype: str
    shape: tuple[str | int, ...]
    values: str

    def described(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"name": self.name, "dtype": self.dtype, "shape": list(self.shape), "values": self.values}


class Portable(nn.Module):
    """A generator in eval mode, from uint8 to uint8. Takes its `inputs` in order.

    Raises:
        Fault: of a generator whose pixels no fixed graph gives.
    """

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.network, self._use = generator.trained
        card = self._card = generator.card
        random = (nn.Dropout, nn.modules.batchnorm._BatchNorm)
        if card.mode == "train" and any(isinstance(module, random) for module in self.network.modules()):
            raise Fault(
                "generate.mode train: dropout and the statistics of each picture cannot be exported faithfully; set "
                "generate.mode to eval in params.yaml, run dvc repro, and export the version that it registers"
            )
        if card.target.kind == "point":
            raise Fault("a generator of points cannot be exported; load the registered version with MLflow")
        if card.system.name == "cogan":
            raise Fault("system cogan searches for each picture's latent by gradient descent, and cannot be exported")
        self._domains = {"source": card.source, "condition": card.condition, "reference": card.target}
        self._needs = [need for need in self._domains if need in self._use.needs]
        for need in self._needs:
            domain = self._domains[need]
            assert domain is not None
            self.register_buffer(f"{need}_table", _table(domain), persistent=False)
        self.register_buffer("palette", torch.tensor(card.target.palette).float() / 127.5 - 1, persistent=False)
        self.noise = self._noise()

    @property
    def inputs(self) -> list[Port]:
        """What it takes, in order."""
        ports = [_port(need, self._domain(need)) for need in self._needs]
        if self.noise is not None:
            kind, count = self.noise
            ports.append(Port("noise", "float32", ("N", count), f"{_RANGES[kind]}, independent"))
        return ports

    @property
    def outputs(self) -> list[Port]:
        """What it gives."""
        return [_port("picture", self._card.target)]

    def examples(self, count: int = 2) -> tuple[list[Tensor], Tensor]:
        """Inputs that its ports allow, and the seeds of their noise, (N,)."""
        seeds = torch.arange(count)
        chance, given = torch.Generator().manual_seed(0), []
        for need in self._needs:
            domain = self._domain(need)
            top = 2 if domain.kind == "attributes" else len(domain.classes) or 256
            given.append(torch.randint(0, top, (count, *domain.shape), generator=chance).to(torch.uint8))
        if self.noise is not None:
            given.append(draw_rows(seeds, self.noise[1], self.noise[0], seeds.device))
        return given, seeds

    def forward(self, *given: Tensor) -> Tensor:
        """Pictures (N, H, W, 3) or class indices (N, H, W), uint8."""
        named = dict(zip([*self._needs, *(["noise"] if self.noise is not None else [])], given, strict=True))
        encoded = {need: self._encoded(need, named[need]) for need in self._needs}
        seeds = named["noise"] if self.noise is not None else torch.zeros(1, dtype=torch.int64)
        return self._decoded(self._use.run(self.network, Given(seeds, **encoded)))

    def _domain(self, need: str) -> Domain:
        domain = self._domains[need]
        assert domain is not None
        return domain

    @torch.no_grad()
    def _noise(self) -> tuple[str, int] | None:
        """The kind and the values a sample of the one draw that the generator makes, None where it makes none."""
        given, seeds = [], torch.zeros(2, dtype=torch.int64)
        for need in self._needs:
            given.append(self._encoded(need, torch.zeros(2, *self._domain(need).shape).byte()))
        encoded = dict(zip(self._needs, given, strict=True))
        with counted_draws() as draws:
            self._use.run(self.network, Given(seeds, **encoded))
        if len(draws) > 1:
            raise Fault(
                f"system {self._card.system.name} draws noise {len(draws)} times for a picture; only one draw can be "
                "exported"
            )
        return draws[0] if draws else None

    def _encoded(self, need: str, given: Tensor) -> Tensor:
        domain, table = self._domain(need), self.get_buffer(f"{need}_table")
        if domain.kind == "image":
            return given.permute(0, 3, 1, 2).float() / 127.5 - 1
        if domain.kind == "attributes":
            return given.float()
        seen = table[given.long()]
        return seen if domain.kind == "category" else seen.permute(0, 3, 1, 2)

    def _decoded(self, made: Tensor) -> Tensor:
        target = self._card.target
        if target.kind == "image":
            pixels = ((made.float().clamp(-1, 1) + 1) * 127.5).round()
            return pixels.to(torch.uint8).permute(0, 2, 3, 1).contiguous()
        if not target.in_colour:
            return made.argmax(dim=1).to(torch.uint8)
        dots = torch.einsum("nchw,kc->nkhw", made.float(), self.get_buffer("palette"))
        distances = self.get_buffer("palette").square().sum(dim=1)[:, None, None] - 2 * dots
        return distances.argmin(dim=1).to(torch.uint8)


def _table(domain: Domain) -> Tensor:
    """What a network sees of each byte, (256, channels): nothing, or black, of one that is no class."""
    classes = len(domain.classes)
    if domain.in_colour:
        colours = torch.zeros(256, 3)
        colours[:classes] = torch.tensor(domain.palette).float().reshape(-1, 3)
        return colours / 127.5 - 1
    return torch.eye(256)[:, :classes].contiguous()


def _port(name: str, domain: Domain) -> Port:
    values = "RGB from 0 to 255"
    if domain.kind != "image":
        values = "class indices: " + ", ".join(f"{i} {each}" for i, each in enumerate(domain.classes))
        if domain.kind == "attributes":
            values = "0 or 1 of each: " + ", ".join(domain.classes)
        if domain.ignore is not None:
            values += f"; {domain.ignore} is not labelled"
    return Port(name, "uint8", ("N", *domain.shape), values)
