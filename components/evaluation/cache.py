"""Features that need not be taken again: those of pictures that no training changes."""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from components.evaluation.protocol import ARITHMETIC, NetworkProtocol
from components.files import atomic_path, sha256_json
from components.networks.tensors import write_tensors


def content_hash(pictures: Iterable[NDArray[np.uint8]]) -> str:
    """sha256 of pictures in order, with their shapes."""
    digest = hashlib.sha256()
    for picture in pictures:
        digest.update(repr(picture.shape).encode())
        digest.update(picture.tobytes())
    return digest.hexdigest()


class FeatureCache:
    """Files of features and log p below a folder, named by the content of the pictures and the network.

    The folder can be removed at any time; a file that cannot be read is taken again.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(
        self, network: NetworkProtocol, content: str, take: Callable[[], tuple[Tensor, Tensor]]
    ) -> tuple[Tensor, Tensor]:
        """(features, log p) of the pictures whose `content_hash` is given; `take` makes them when not kept."""
        key = sha256_json({"network": network.model_dump(), "content": content, "arithmetic": ARITHMETIC})
        path = self._folder / f"{key}.safetensors"
        try:
            kept = load_file(path)
            return kept["features"], kept["log_p"]
        except (OSError, SafetensorError, KeyError):
            features, log_p = take()
        with atomic_path(path) as temporary:
            write_tensors(temporary, {"features": features, "log_p": log_p})
        return features, log_p
