"""A clip: pictures one after another as an MP4 (H.264) that browsers and players show."""

from collections.abc import Iterable
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from components.faults import Fault
from components.samples.domain import Picture
from components.storage.files import atomic_path

PER_SECOND = 30
_LEAST = 256  # pixels of the shorter side: smaller pictures are enlarged, since H.264 halves the colours' resolution
_QUALITY = "16"  # x264's constant rate factor: 0 is lossless, 51 the worst


def require_encoder() -> None:
    """Raise a Fault that says what to install if clips cannot be encoded.

    Raises:
        Fault: with the line for pip.
    """
    if find_spec("av") is None:
        raise Fault("a clip needs av: run pip install 'pix2pipe[clip]'")


def write_clip(pictures: Iterable[Picture], path: Path) -> None:
    """Write pictures of one size as a clip of 30 a second; the file gets its name when it is complete.

    Small pictures are enlarged by a whole factor, to 256 pixels or more; an odd side gets one more row or column.

    Args:
        pictures: uint8 (H, W, 3), at least one.

    Raises:
        Fault: the encoder is not installed, or the disk refuses.
    """
    require_encoder()
    import av  # the extra `clip`

    with (
        atomic_path(path) as temporary,
        av.open(temporary, "w", format="mp4", options={"movflags": "faststart"}) as file,
    ):
        stream = file.add_stream("libx264", rate=Fraction(PER_SECOND), options={"crf": _QUALITY})
        stream.pix_fmt = "yuv420p"
        for number, picture in enumerate(pictures):
            shown = _shown(picture)
            if number == 0:
                stream.height, stream.width = shown.shape[:2]
            file.mux(stream.encode(av.VideoFrame.from_ndarray(shown, format="rgb24")))
        file.mux(stream.encode(None))


def _shown(picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    times = -(-_LEAST // min(height, width))
    large = picture.repeat(times, axis=0).repeat(times, axis=1)
    return np.pad(large, ((0, large.shape[0] % 2), (0, large.shape[1] % 2), (0, 0)), mode="edge")
