"""One pass over a row's pictures, which reads and judges each once and gives all that its metrics need."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from components.evaluation.beside import read_ahead
from components.evaluation.cache import FeatureCache, content_hash
from components.evaluation.config import LUMA_FIGURES, PIXEL_FIGURES
from components.evaluation.fcn_score import attribute_confusions, confusions
from components.evaluation.features import FeatureNetwork
from components.evaluation.pixels import l1, luma, psnr, ssim
from components.evaluation.rows import Picture, Row
from components.evaluation.stacks import read_modes
from components.samples.domain import Domain
from components.shards.reader import Split
from components.systems.judge import Judge
from components.tasks.encoding import render

_VOID = np.uint8(255)  # beyond every class: a label map has 255 at most


@dataclass(frozen=True)
class Subset:
    """Some samples of a split, counted from 0: those whose indices are `chosen`, all where it is None."""

    split: Split
    chosen: tuple[int, ...] | None = None

    def __len__(self) -> int:
        return len(self.split) if self.chosen is None else len(self.chosen)

    @property
    def keys(self) -> list[str]:
        """The keys of the samples, in order."""
        return self.split.keys if self.chosen is None else [self.split.keys[i] for i in self.chosen]

    def picture(self, i: int, domain: str) -> Picture:
        """One picture of the i-th of them."""
        return self.split.picture(i if self.chosen is None else self.chosen[i], domain)


@dataclass(frozen=True)
class Truth:
    """What the rows are compared with.

    Attributes:
        test: the true samples. target: the domain they are compared in.
        labels: the domain whose classes are compared, None where there is none.
        judge: reads labels from pictures; None where the target is itself a label map, or nothing can.
        sources: the samples that are translated, where they are others than the true ones.
        paired: whether each picture has its own true one.
        translated: whether pictures are made of sources, and not from noise.
        told: what each picture was asked to show, (N, ...), where it is not what the true samples show.
        border: pixels at each edge that PSNR and SSIM of the luma leave off, as many as sides are enlarged by; 0 where
            pictures are not enlarged, and these are not taken.
        stacked: whether the judge reads the mode of each picture, whose channels are three pictures.
    """

    test: Subset
    target: str
    labels: str | None
    judge: Judge | None
    sources: Subset | None = None
    paired: bool = True
    translated: bool = True
    border: int = 0
    stacked: bool = False
    told: Picture | None = None

    @property
    def domains(self) -> dict[str, Domain]:
        """What the true samples show."""
        return self.test.split.domains

    @property
    def asked(self) -> Subset:
        """The samples that are translated."""
        return self.test if self.sources is None else self.sources

    @property
    def outputs(self) -> int:
        """Classes that may be predicted."""
        assert self.labels is not None
        return len(self.judge.classes if self.judge else self.domains[self.labels].classes)


@dataclass
class Measured:
    """Per-image results of a row, each with images in its first axis.

    Attributes:
        features, log_p: by network. judge_log_p: log of the judge's class shares, (N, classes); None of attributes.
        confusion: (N, classes, outputs) counts, or (N, attributes, 2, 2) of attributes. modes: of stacks, (N,).
        pixels: l1, psnr, ssim, and psnr_y, ssim_y of enlarged pictures.
    """

    features: dict[str, Tensor] = field(default_factory=dict)
    log_p: dict[str, Tensor] = field(default_factory=dict)
    judge_log_p: Tensor | None = None
    confusion: Tensor | None = None
    modes: Tensor | None = None
    pixels: dict[str, Tensor] = field(default_factory=dict)


class Measurer:
    """Measures rows with one set of networks.

    Args:
        networks: by suffix. truth: what is compared with.
        batch_size: pictures at once. cache: folder of kept features, None to keep none.
        bar: counts pictures.
    """

    def __init__(
        self,
        networks: dict[str, FeatureNetwork],
        truth: Truth,
        batch_size: int,
        cache: Path | None,
        bar: "tqdm[None]",
    ) -> None:
        self._networks, self._truth, self._batch, self._bar = networks, truth, batch_size, bar
        self._cache = FeatureCache(cache) if cache else None

    def measure(self, row: Row) -> Measured:
        """All per-image results of a row."""
        done = Measured()
        if row.distances or row.score or row.name == "real":
            content = content_hash(map(row.read, range(row.count))) if row.kept and self._cache else ""
            for suffix, network in self._networks.items():
                done.features[suffix], done.log_p[suffix] = self._features(row, network, content)
        self._compare(row, done)
        self._bar.update(row.count)
        return done

    def _features(self, row: Row, network: FeatureNetwork, content: str) -> tuple[Tensor, Tensor]:
        def take() -> tuple[Tensor, Tensor]:
            self._bar.set_postfix_str(f"{row.name}: features")
            parts = [network.extract(render(row.domain, pictures)) for _, pictures in read_ahead(self._batches(row))]
            features, log_p = zip(*parts, strict=True)
            return torch.cat(features), torch.cat(log_p)

        return self._cache.get(network.protocol, content, take) if self._cache and content else take()

    def _compare(self, row: Row, done: Measured) -> None:
        """What is read from the pictures themselves, beside the true ones of the same samples."""
        truth = self._truth
        target = truth.domains[truth.target]
        pixels = row.pixels and target.kind == "image"
        read = row.labels and truth.labels is not None and (truth.judge is not None or row.domain == target)
        if not (pixels or read or truth.stacked):
            return
        self._bar.set_postfix_str(f"{row.name}: what they show")
        counts, shares, figures, modes = [], [], [], []
        for indices, pictures in read_ahead(self._batches(row)):
            drawn = render(row.domain, pictures)
            if read and truth.labels is not None:
                predicted = torch.from_numpy(pictures)
                if truth.judge is not None:
                    logits = truth.judge.predict(drawn)  # (N, classes) or (N, classes, H, W)
                    predicted = truth.judge.read(logits)
                    if truth.judge.card.target.kind != "attributes":
                        p = logits.softmax(1).double()
                        shares.append(p.flatten(2).mean(2) if p.dim() > 2 else p)
                counts.append(self._counts(indices, predicted))
            if truth.stacked and truth.judge is not None:
                modes.append(read_modes(truth.judge, drawn))
            if pixels:
                real = _stack([truth.test.picture(i, truth.target) for i in indices])
                made = torch.from_numpy(np.ascontiguousarray(drawn))
                figures.append([l1(made, real), psnr(made, real), ssim(made, real)])
                if truth.border:
                    pair = luma(made, truth.border), luma(real, truth.border)
                    figures[-1] += [psnr(*pair), ssim(*pair, reflect=False)]
        if counts:
            done.confusion = torch.cat(counts)
        if modes:
            done.modes = torch.cat(modes)
        if shares:
            done.judge_log_p = torch.cat(shares).clamp_min(1e-30).log()
        if figures:
            names = PIXEL_FIGURES + LUMA_FIGURES if truth.border else PIXEL_FIGURES
            done.pixels = {name: torch.cat(parts) for name, *parts in zip(names, *figures, strict=True)}

    def _counts(self, indices: range, predicted: Tensor) -> Tensor:
        """What is predicted, beside what should be."""
        truth = self._truth
        assert truth.labels is not None
        domain = truth.domains[truth.labels]
        if truth.told is not None:
            there = list(truth.told[indices.start : indices.stop])
        else:
            there = [truth.test.picture(i % len(truth.test), truth.labels) for i in indices]
        labels = _stack([scored(domain, picture) for picture in there])
        if domain.kind == "attributes":
            return attribute_confusions(labels, predicted)
        return confusions(labels, predicted, len(domain.classes), truth.outputs)

    def _batches(self, row: Row) -> Iterator[tuple[range, Picture]]:
        for start in range(0, row.count, self._batch):
            indices = range(start, min(start + self._batch, row.count))
            yield indices, np.stack([row.read(i) for i in indices])


def scored(domain: Domain, labels: Picture) -> Picture:
    """A label map in which what is not labelled is no class, so that `confusions` does not count it."""
    return labels if domain.ignore is None else np.where(domain.void(labels), _VOID, labels)


def _stack(pictures: list[Picture]) -> Tensor:
    return torch.from_numpy(np.stack(pictures))
