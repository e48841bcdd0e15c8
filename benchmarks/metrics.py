"""What the set metrics cost: seconds and peak memory of FID, KID and Inception Score with their intervals.

    python -m benchmarks.metrics [--images 50000] [--dimensions 1280] [--reference]

Features are random; the arithmetic is that of `evaluate`, feature cache and bootstrap draws included.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import torch

from components.evaluation.cache import FeatureCache
from components.evaluation.frechet import frechet, frechet_distance
from components.evaluation.inception_score import inception_score
from components.evaluation.intervals import draws, linear_figure
from components.evaluation.kid import kid
from components.evaluation.protocol import NetworkProtocol

CLASSES, BOOTSTRAP = 1000, 1000


def main() -> None:
    """Print a line for each part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=50_000, help="of each of the two sets; default: 50,000")
    parser.add_argument("--dimensions", type=int, default=1280, help="of the features; default: 1280")
    parser.add_argument("--reference", action="store_true", help="take the FID by the eigenvalues of S1 S2 as well")
    chosen = parser.parse_args()
    shape, random = (chosen.images, chosen.dimensions), torch.Generator().manual_seed(0)
    protocol = NetworkProtocol(sha256="0" * 64, resize="none", normalisation="none", dimensions=chosen.dimensions)

    def make() -> tuple[torch.Tensor, torch.Tensor]:
        logits = torch.randn(chosen.images, CLASSES, generator=random)
        return torch.randn(shape, generator=random), logits.log_softmax(1)

    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        cache = FeatureCache(Path(folder))
        began = time.perf_counter()
        real, _ = cache.get(protocol, "real", make)
        fake, log_p = cache.get(protocol, "fake", make)
        fake *= 1.1
        began = said("features made and kept", began)
        real, _ = cache.get(protocol, "real", make)
        began = said("features read back", began)
        own, other = (draws(chosen.images, BOOTSTRAP, seed) for seed in range(2))
        began = said("draws", began)
        value = frechet_distance(fake, real)
        began = said(f"FID {value:.2f} alone", began)
        if chosen.reference:
            began = said(f"FID {by_eigenvalues(fake, real):.2f} by the eigenvalues of S1 S2", began)
        distance = frechet(fake, real)
        figure = linear_figure(distance.value, (distance.first, own), (distance.second, other))
        began = said(f"FID {figure.value:.2f} ({figure.low:.2f} to {figure.high:.2f})", began)
        figure = kid(fake, real, own, other, paired=False)
        began = said(f"KID {figure.value:.5f} ({figure.low:.5f} to {figure.high:.5f})", began)
        figure = inception_score(log_p, own, 10, 0)
        said(f"Inception Score {figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})", began)


def by_eigenvalues(first: torch.Tensor, second: torch.Tensor) -> float:
    """The Fréchet distance as FID's other implementations take it: by the eigenvalues of the product, which is not
    symmetric."""
    s1, s2 = (torch.cov(z.double().T) for z in (first, second))
    shift = first.double().mean(0) - second.double().mean(0)
    root = torch.linalg.eigvals(s1 @ s2).sqrt().real.sum()
    return float(shift @ shift + s1.trace() + s2.trace() - 2 * root)


def said(what: str, began: float) -> float:
    """Print the seconds since `began` and the peak memory so far; gives the time now."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{what:45} {time.perf_counter() - began:8.1f} s   peak {peak:6.0f} MB", flush=True)
    return time.perf_counter()


if __name__ == "__main__":
    main()
