"""How much of the real pictures a model covers, and how near its pictures are to its training pictures."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from components.evaluation.intervals import Figure, mean_figure
from components.evaluation.sets import require_sets
from components.networks.tensors import compute_device
from components.samples.domain import Picture

_ROWS = 1024  # of a table of distances that are in memory at once
_SIDE = 16  # pixels a side that pictures are shrunk to before they are compared


def precision_recall(
    made: Tensor, real: Tensor, made_draws: Tensor, real_draws: Tensor, neighbours: int = 3
) -> tuple[Figure, Figure]:
    """Improved precision and recall (Kynkäänniemi et al. 2019, arXiv:1904.06991).

    Precision: the share of made pictures that lie in the ball around some real one which reaches to its k-th nearest
    real one. Recall: the same with the sets exchanged.

    Args:
        made: features (n, d). real: features (m, d), both of more than `neighbours` images.
        made_draws, real_draws: counts of `intervals.draws`. neighbours: k.

    Raises:
        Fault: fewer than two images on a side, features that are not finite, or of two networks.
    """
    require_sets("precision and recall", made, real)
    covered = _inside(made, real, neighbours), _inside(real, made, neighbours)
    return mean_figure(covered[0].double(), made_draws), mean_figure(covered[1].double(), real_draws)


def nearest(pictures: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """The distance to the nearest of some other pictures, in grey levels (root mean square), and its place: (n,) each.

    Args:
        pictures, others: (n, values) and (m, values), of `shrunk`.
    """
    device, scale = compute_device(), pictures.shape[1] ** 0.5
    others = others.to(device)
    found = [torch.cdist(rows.to(device), others).min(dim=1) for rows in pictures.split(_ROWS)]
    return (torch.cat([part.values for part in found]) / scale).cpu(), torch.cat([part.indices for part in found]).cpu()


def shrunk(read: Callable[[int], Picture], count: int) -> Tensor:
    """Pictures as people see them, shrunk to 16 pixels a side: (count, 768) float32 from 0 to 255."""
    return torch.from_numpy(np.stack([_shrunk(read(i)) for i in range(count)])).float()


def _shrunk(picture: Picture) -> NDArray[np.uint8]:
    small = Image.fromarray(np.ascontiguousarray(picture)).resize((_SIDE, _SIDE), Image.Resampling.BOX)
    return np.asarray(small).reshape(-1)


def _inside(points: Tensor, others: Tensor, neighbours: int) -> Tensor:
    """Which points lie in the ball of some other, (n,) bool."""
    points, others = points.to(compute_device()), others.to(compute_device())
    place = min(neighbours + 1, len(others))  # the nearest of a set to itself is itself
    radii = torch.cat([torch.cdist(rows, others).kthvalue(place, dim=1).values for rows in others.split(_ROWS)])
    return torch.cat([(torch.cdist(rows, others) <= radii).any(dim=1) for rows in points.split(_ROWS)]).cpu()
