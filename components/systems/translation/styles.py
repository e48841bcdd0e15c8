"""Style pictures, as params name them and as tensors."""

import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import numpy as np
import torch
from PIL import Image, ImageOps
from pydantic import BeforeValidator, Field, StringConstraints
from torch import Tensor

from components.faults import Fault
from components.networks.frozen import require_bytes
from components.samples.schema import NodePath, Section

SampleName = Literal[
    "astronaut", "brick", "chelsea", "coffee", "grass", "gravel", "hubble_deep_field", "moon", "rocket"
]
SAMPLES: tuple[SampleName, ...] = get_args(SampleName)
_SHA256: dict[SampleName, str] = {
    "astronaut": "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
    "brick": "7966caf324f6ba843118d98f7a07746d22f6a343430add0233eca5f6eaaa8fcf",
    "chelsea": "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
    "coffee": "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7",
    "grass": "b6b6022426b38936c43a4ac09635cd78af074e90f42ffa8227ac8b7452d39f89",
    "gravel": "c48615b451bf1e606fbd72c0aa9f8cc0f068ab7111ef7d93bb9b0f2586440c12",
    "hubble_deep_field": "3a19c5dd8a927a9334bb1229a6d63711b1c0c767fb27e2286e7c84a3e2c2f5f4",
    "moon": "78739619d11f7eb9c165bb5d2efd4772cee557812ec847532dbb1d92ef71f577",
    "rocket": "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c",
}
_PICTURES = (".avif", ".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
_MOST_PIXELS = 80_000_000
_NO_NAME = re.compile(r"[^a-z0-9]+")


class SamplePicture(Section):
    """A picture that comes with scikit-image."""

    name: Literal["sample"] = "sample"
    picture: SampleName


class FilePicture(Section):
    """A picture of yours, the same file on every node."""

    name: Literal["file"] = "file"
    path: NodePath


def _named(value: Any) -> Any:
    """A folder, a list of files and samples, or a mapping of names to these, as a mapping of names to sections."""
    if isinstance(value, str):
        folder = Path(value).expanduser()
        if not folder.is_dir():
            raise ValueError("is a folder of pictures, a list of files and samples, or names with them")
        value = [str(file.absolute()) for file in sorted(folder.iterdir()) if file.suffix.lower() in _PICTURES]
        if not value:
            raise ValueError(f"is a folder that holds no pictures ({' '.join(_PICTURES)})")
    if isinstance(value, list | tuple):
        named: dict[str, Any] = {}
        for picture in value:
            name = _name_of(picture) if isinstance(picture, str) else str(picture)
            if name in named:
                raise ValueError(f"{picture} and {named[name]} would both be called {name}; give them names")
            named[name] = picture
        value = named
    if not isinstance(value, Mapping):
        return value
    # By their names, in which order they are written does not matter.
    return {name: _section(value[name]) for name in sorted(value, key=str)}


def _name_of(picture: str) -> str:
    name = _NO_NAME.sub("_", Path(picture).stem.lower()).strip("_")[:30]
    return name if name[:1].isalpha() else f"style_{name}"[:30]


def _section(picture: Any) -> Any:
    if not isinstance(picture, str):
        return picture
    return {"name": "sample", "picture": picture} if picture in SAMPLES else {"name": "file", "path": picture}


StyleName = Annotated[str, StringConstraints(pattern="^[a-z][a-z0-9_]{0,29}$")]
StylePicture = Annotated[SamplePicture | FilePicture, Field(discriminator="name")]
Styles = Annotated[dict[StyleName, StylePicture], BeforeValidator(_named), Field(min_length=1, max_length=1000)]


def read_style(name: str, style: SamplePicture | FilePicture, side: int) -> Tensor:
    """A style picture, (1, 3, H, W) in [-1, 1], its shorter side so many pixels.

    Raises:
        Fault: no such file, not a picture, or another sample than expected.
    """
    path = _sample(style.picture) if isinstance(style, SamplePicture) else Path(style.path).expanduser()
    try:
        with Image.open(path) as file:
            if file.width * file.height > _MOST_PIXELS:
                raise Fault(f"system.styles.{name}: {path}: has more than {_MOST_PIXELS:,} pixels; make it smaller")
            picture = ImageOps.exif_transpose(file).convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise Fault(f"system.styles.{name}: {path}: is no picture that can be read ({error})") from error
    scale = side / min(picture.size)
    size = max(side, round(picture.width * scale)), max(side, round(picture.height * scale))
    pixels = np.asarray(picture.resize(size, Image.Resampling.LANCZOS), np.float32)
    return torch.from_numpy(pixels / 127.5 - 1).permute(2, 0, 1)[None]


def _sample(picture: SampleName) -> Path:
    package = find_spec("skimage")
    if package is None or package.origin is None:
        raise Fault(f"system.styles: {picture} comes with scikit-image, which is not installed")
    (path,) = [*(Path(package.origin).parent / "data").glob(f"{picture}.*")] or [Path(f"{picture}.png")]
    require_bytes(path, _SHA256[picture])
    return path
