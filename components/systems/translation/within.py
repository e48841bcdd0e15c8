"""What systems have in common that translate within one domain, from any of its conditions to any other."""

from typing import ClassVar

import torch
from torch import Tensor

from components.faults import Fault
from components.networks import across_ranks
from components.networks.noise import uniforms
from components.objectives.sliced_wasserstein import sliced_wasserstein
from components.systems.system import Need, Shape, SystemSection


class WithinSection(SystemSection):
    """Params of a system that shows a picture in another condition."""

    needs: ClassVar[frozenset[Need]] = frozenset({"source", "condition"})
    within: ClassVar[bool] = True

    def require_batch(self, per_rank: int, ranks: int) -> None:
        """A picture is asked for the condition of another of its batch."""
        if per_rank * ranks < 2:
            raise Fault("train.batch_size 1: each picture is asked for the condition of another; make it 2 or more")


def require_pictures(name: str, shape: Shape, levels: int) -> None:
    """Refuse what networks of stride-2 levels cannot take.

    Raises:
        Fault: a target that is no image, or sides that the levels do not divide.
    """
    if shape.target.kind != "image":
        raise Fault(f"system {name} translates pictures, and the target is of kind {shape.target.kind}")
    if any(side % 2**levels for side in shape.target.height_width):
        raise Fault(
            f"system {name} halves the sides {levels} times: they must be multiples of {2**levels}, not "
            f"{shape.target.height_width[0]}x{shape.target.height_width[1]}; set another shard.cut.image_size"
        )


def partners(seeds: Tensor) -> Tensor:
    """The place of another sample for each of a batch, (N,): a random permutation which the seeds (N,) decide.

    Who is given to whom depends on who is in the batch, and not on the places in which they stand.
    """
    keys = uniforms(seeds, (2,), seeds.device)
    takers, givers = keys[:, 0].argsort(), keys[:, 1].argsort()
    return torch.empty_like(takers).index_copy(0, takers, givers)


def others(seeds: Tensor, shown: Tensor, first: Tensor) -> Tensor:
    """For each sample the place of one of the class of `first`'s, (N,), drawn by the seeds (N,): not `first` itself,
    unless the batch has no other of the class.

    Args:
        shown: the class of each sample, one-hot (N, classes). first: places, (N,).
    """
    ranks = seeds.argsort().argsort()  # so that it depends on no places either
    scores = uniforms(seeds, (len(seeds),), seeds.device, stream=1)[:, ranks]
    same = shown[first] @ shown.T > 0
    scores = torch.where(same, scores, -1.0).scatter(1, first[:, None], -0.5)
    return scores.argmax(dim=1)


def exchanged(condition: Tensor, seeds: Tensor) -> Tensor:
    """The conditions (N, classes) of a batch, each that of its partner (`partners`)."""
    return condition[partners(seeds)]


def exchanged_over_ranks(condition: Tensor, seeds: Tensor) -> Tensor:
    """The same over the joined batch of all ranks; gives this rank's part."""
    return across_ranks.own(exchanged(across_ranks.gather(condition), across_ranks.gather(seeds)))


def distance_by_class(made: Tensor, asked: Tensor, real: Tensor, shown: Tensor, exclusive: bool) -> Tensor:
    """How far pictures are from real ones of the class that they were asked for: the mean over the pictures, a scalar;
    of attributes the mean over the pictures and all attributes, of those that have one and of those that have not.

    It looks at values, and so is no term of a step.

    Args:
        made, real: (N, C, H, W). asked, shown: their classes (N, classes), one-hot or 0 and 1, each as often in both.
        exclusive: whether it is one class at a time.
    """
    if not exclusive:
        asked, shown = torch.cat([asked, 1 - asked], dim=1), torch.cat([shown, 1 - shown], dim=1)
    total = made.new_zeros(())
    for kind in range(shown.shape[1]):
        ours, theirs = asked[:, kind] > 0, shown[:, kind] > 0
        if count := int(theirs.sum()):
            total = total + count * sliced_wasserstein(made[ours], real[theirs])
    return total / shown.sum()
