"""Keeps features of pictures that no training changes, so that they need not be computed again."""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from torch import Tensor

from components.evaluation.protocol import ARITHMETIC, NetworkProtocol
from components.networks.tensors import write_tensors
from components.storage.files import atomic_path, sha256_json


def content_hash(pictures: Iterable[NDArray[Any]]) -> str:
    """sha256 of pictures, or other arrays, in order and with their shapes."""
    digest = hashlib.sha256()
    for picture in pictures:
        digest.update(repr(picture.shape).encode())
        digest.update(np.ascontiguousarray(picture).data)
    return digest.hexdigest()


class FeatureCache:
    """Files of features and log p below a folder, named by the content of the pictures and the network.

    The folder can be removed at any time; a damaged file is computed again.
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
            with safe_open(path, framework="pt") as file:
                said = file.metadata() or {}
                kept = file.get_tensor("features"), file.get_tensor("log_p")
            if said == {"key": key, "sha256": _sha256(*kept)}:
                return kept
        except (OSError, SafetensorError, KeyError, ValueError, RuntimeError):
            pass  # taken again below, as where there is none
        features, log_p = take()
        with atomic_path(path) as temporary:
            said = {"key": key, "sha256": _sha256(features, log_p)}
            write_tensors(temporary, {"features": features, "log_p": log_p}, said)
        return features, log_p


def _sha256(*tensors: Tensor) -> str:
    """Of the values: what says that a kept file is the one that was written."""
    return content_hash(tensor.numpy() for tensor in tensors)
