"""Domain: what one of the aligned pictures of a sample is."""

from typing import Literal, Self

from pydantic import model_validator

from components.schema import Section

Colour = tuple[int, int, int]


class Domain(Section):
    """A photo, a map or a label map; a sample holds one picture of each of its domains, all of one size.

    kind "image": uint8 RGB, (height, width, 3). kind "label": uint8 class indices, (height, width), each
    below `len(classes)`; `palette` says how a class is drawn where people look.
    """

    kind: Literal["image", "label"]
    classes: tuple[str, ...] = ()
    palette: tuple[Colour, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.kind == "label" and not 2 <= len(self.classes) <= 255:
            raise ValueError("a label domain names 2 to 255 classes")
        if self.kind == "image" and (self.classes or self.palette):
            raise ValueError("an image domain has no classes and no palette")
        if self.kind == "label" and len(self.palette) != len(self.classes):
            raise ValueError("palette gives one colour for each class")
        return self

    @property
    def channels(self) -> int:
        """Channels as a network sees them: 3 for an image, one a class for a label map (one-hot)."""
        return 3 if self.kind == "image" else len(self.classes)
