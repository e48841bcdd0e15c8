"""Generator: a trained generator as people use it, uint8 in and uint8 out."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from components.faults import Fault
from components.models.card import CARD, WEIGHTS, Card, condition_of, count_given, read_card, require_truncations
from components.networks.tensors import compute_device
from components.samples.condition import ask_all
from components.samples.domain import Domain, Picture
from components.systems import build
from components.systems.use import Given, Use, styled
from components.systems.weights import load_weights, require_fit, require_sha256
from components.tasks.encoding import content_seed, decode, encode

Shares = Sequence[float] | Sequence[Sequence[float]]


class Generator:
    """Makes pictures; the same bytes in give the same bytes out, alone or in any batch.

    Batches are padded to one fixed size, so the same arithmetic runs whatever is asked together, and what is random
    (a latent, dropout, noise) is seeded: where pictures are translated from each source's own bytes, else as asked.
    Without padding a picture costs what one picture costs, and a value may be 1 of 255 off where a device sums a
    smaller batch in another order.
    """

    def __init__(self, card: Card, network: nn.Module, use: Use, device: torch.device) -> None:
        self.card, self._device = card, device
        self._use = styled(use, card.style) if card.style else use
        self.target, self.needs = card.target, use.needs
        self._network = network.to(device).train(card.mode == "train").requires_grad_(False)
        self._asked: Picture | None = None
        self._reference: np.ndarray | None = None

    @classmethod
    def load(cls, folder: Path, device: str = "auto") -> "Generator":
        """Read a folder with generator.json and generator.safetensors.

        Raises:
            Fault: a file is missing, or the weights are not those of the card's network.
        """
        card = read_card(folder / CARD)
        require_sha256(folder / WEIGHTS, card.weights_sha256, CARD, "run dvc repro -f generate")
        return cls.of(card, load_weights(folder / WEIGHTS), str(folder / WEIGHTS), device)

    @classmethod
    def of(cls, card: Card, weights: dict[str, Tensor], where: str, device: str = "auto") -> "Generator":
        """Make one of weights that are in memory.

        Args:
            where: what to call the weights when they are refused.

        Raises:
            Fault: they are not those of the card's network.
        """
        system = build(card.system, card.shape())
        if card.use not in system.uses:
            raise Fault(f"system {card.system.name} has no use {card.use}; it has {', '.join(system.uses)}")
        use = system.uses[card.use]
        network = use.of(system.networks)
        what = f"{card.system.name}'s {' and '.join(use.networks)}"
        require_fit(weights, network.state_dict(), where, what)
        network.load_state_dict(weights)
        return cls(card, network, use, torch.device("cpu") if device == "cpu" else compute_device())

    def in_style(self, weights: Mapping[str, float]) -> "Generator":
        """The same generator, which shows everything in this mixture of its styles.

        Raises:
            Fault: it has no styles, or not those; or no weight is above 0, or one is below or is not finite.
        """
        other = copy.copy(self)
        other._use = styled(self._use, weights)
        return other

    @property
    def trained(self) -> tuple[nn.Module, Use]:
        """The network itself, and how it is used."""
        return self._network, self._use

    @property
    def source(self) -> Domain:
        """What it translates.

        Raises:
            Fault: it makes pictures from noise.
        """
        if self.card.source is None:
            raise Fault(
                f"{self.card.system.name} makes {self.card.task.title} from noise; it does not translate pictures"
            )
        return self.card.source

    def in_condition(self, asked: str | Picture, reference: np.ndarray | None = None) -> "Generator":
        """The same generator, which is asked to show one condition in everything that it translates.

        Args:
            asked: as text (`parse_condition`), or as samples hold it.
            reference: (H, W, 3) of the card's size, a picture of the class in whose style, where it needs one.

        Raises:
            Fault: it takes no condition, or there is no such class; it names those that there are.
        """
        other = copy.copy(self)
        other._asked = condition_of(self.card, asked) if isinstance(asked, str) else asked
        other._reference = reference
        return other

    def translate(self, batch: np.ndarray, padded: bool = True) -> np.ndarray:
        """Translate uint8 pictures, (N, H, W, 3) images or (N, H, W) class indices, of the size of its source.

        Args:
            padded: as of `make`.

        Raises:
            Fault: as `make`; or it does not make pictures of a source alone, nor is it one of `in_condition`.
        """
        if "source" not in self.needs:
            raise Fault(
                f"{self.card.system.name} makes {self.card.task.title} from noise; it does not translate pictures"
            )
        conditions = None if self._asked is None else ask_all(self._asked, len(batch))
        references = None if self._reference is None else np.repeat(self._reference[None], len(batch), axis=0)
        return self.make(sources=batch, conditions=conditions, references=references, padded=padded)

    @torch.inference_mode()
    def make(
        self,
        *,
        sources: np.ndarray | None = None,
        conditions: np.ndarray | None = None,
        seeds: Sequence[int] | None = None,
        towards: Sequence[int] | None = None,
        shares: Shares | None = None,
        truncations: Sequence[float] | None = None,
        references: np.ndarray | None = None,
        padded: bool = True,
    ) -> np.ndarray:
        """Make uint8 pictures, (N, H, W, 3) images or (N, H, W) class indices.

        Args:
            sources: (N, H, W, 3) images or (N, H, W) class indices, uint8, of the size of the card's source.
            conditions: (N,) indices of the classes that are asked for, or (N, classes) of 0 and 1, the attributes.
            seeds: of N pictures, below 2^63; with sources, by default their contents'.
            towards, shares: of pictures from noise, N further seeds and how far, from 0 to 1, each picture lies on the
                way from the latent of its seed to theirs; of StyleGAN also N rows, how far the style of each layer is.
            truncations: of a system that keeps an average of W, how far each picture goes from the average one, from -1
                to 1; by default all the way, as 1.
            references: (N, H, W, 3) uint8 of the card's size, pictures of the classes that are asked for.
            padded: whether batches are filled up to the card's size, as `generate` does, for its very pixels.

        Raises:
            Fault: something that it needs is not given, or is of another size, kind or dtype; a class that is none;
                or the network gives no finite values, which no picture can show.
        """
        count = count_given(self.card, self.needs, sources, conditions, seeds, references)
        if (towards is None) != (shares is None) or (towards is not None and self.card.source is not None):
            raise Fault(f"{self.card.system.name}: give towards and shares together, and only for pictures from noise")
        if towards is not None and shares is not None and not len(towards) == len(shares) == count:
            raise Fault(
                f"{self.card.system.name}: give as many values of towards and of shares as there are seeds, {count}"
            )
        if truncations is not None:
            require_truncations(self.card, truncations, count)
        if shares and not isinstance(shares[0], float | int) and not self.card.system.truncates:
            raise Fault(f"{self.card.system.name}: has no style for each layer; give one share for each seed")
        fixed = 1 if self.card.mode == "train" else self.card.batch_size
        parts = []
        for start in range(0, count, fixed):
            part = slice(start, start + fixed)
            parts.append(
                self._run(
                    None if sources is None else sources[part],
                    None if conditions is None else conditions[part],
                    None if seeds is None else seeds[part],
                    None if towards is None or shares is None else (towards[part], shares[part]),
                    None if truncations is None else truncations[part],
                    None if references is None else references[part],
                    min(fixed, count - start),
                    fixed if padded else min(fixed, count - start),
                )
            )
        empty = np.empty((0, *self.target.shape), np.uint8)
        return np.concatenate(parts) if parts else empty

    def _run(
        self,
        sources: np.ndarray | None,
        conditions: np.ndarray | None,
        seeds: Sequence[int] | None,
        between: tuple[Sequence[int], Shares] | None,
        truncations: Sequence[float] | None,
        references: np.ndarray | None,
        count: int,
        fixed: int,
    ) -> np.ndarray:
        fill = fixed - count
        source = None if sources is None else np.concatenate([sources, np.repeat(sources[-1:], fill, axis=0)])
        if seeds is None:
            assert source is not None
            drawn = torch.tensor([content_seed(picture) for picture in source])
        else:
            drawn = torch.tensor([*seeds, *([seeds[-1]] * fill)])
        condition = None
        if conditions is not None:
            assert self.card.condition is not None
            padded = np.concatenate([conditions, np.repeat(conditions[-1:], fill, axis=0)]).astype(np.uint8)
            condition = encode(self.card.condition, padded, self._device)
        torch.manual_seed(int(drawn[0]))
        encoded = None if source is None else encode(self.source, source, self._device)
        given = Given(drawn, encoded, condition)
        if references is not None:
            filled = np.concatenate([references, np.repeat(references[-1:], fill, axis=0)])
            given = replace(given, reference=encode(self.target, filled, self._device))
        if between is not None:
            ends, shares = between
            others = torch.tensor([*ends, *([ends[-1]] * fill)])
            given = Given(drawn, None, condition, others, torch.tensor([*shares, *([shares[-1]] * fill)]))
        if truncations is not None:
            given = replace(given, truncation=torch.tensor([*truncations, *([truncations[-1]] * fill)]))
        made = self._use.run(self._network, given)
        if not bool(made.isfinite().all()):
            raise Fault(
                f"{self.card.system.name} of step {self.card.step} gives values that are not finite; train again"
            )
        return decode(self.target, made)[:count]
