"""The loss of a classifier: of one class at a time, or of attributes."""

import torch.nn.functional as F
from torch import Tensor


def class_loss(logits: Tensor, shown: Tensor, exclusive: bool) -> Tensor:
    """The mean over the pictures, a scalar: cross-entropy or, of attributes, binary cross-entropy, summed over them as
    StarGAN's authors do.

    Args:
        logits: (N, classes). shown: (N, classes), one-hot, or 0 and 1. exclusive: whether it is one class at a time.
    """
    if exclusive:
        return F.cross_entropy(logits, shown)
    return F.binary_cross_entropy_with_logits(logits, shown, reduction="sum") / len(logits)
