"""Domain: what one of the aligned pictures of a sample is."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, PositiveFloat, PositiveInt, StringConstraints, model_validator

from components.faults import Fault
from components.samples.schema import Section

Channel = Annotated[int, Field(ge=0, le=255)]
Band = Annotated[int, Field(ge=0, le=3)]
Colour = tuple[Channel, Channel, Channel]
# (H, W, 3) RGB, (H, W) class indices, () one class index, (attributes,) of 0 and 1, or POINT_SIZE bytes of a point.
Picture = NDArray[np.uint8]
# Pixels: one side of a square, or [height, width].
ImageSize = Annotated[int | tuple[int, int], BeforeValidator(lambda value: _image_size(value))]
NO_ATTRIBUTE = "none"  # how people ask for a picture without any
POINT_SIZE = (8, 1)  # what a point fills: its two float32 values, little-endian, as a column of bytes
# As long as a tar's member KEY.DOMAIN.png (100 characters) allows beside the longest key (80).
_LONGEST_SIDE = 16_384
DomainName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,14}$")]
Stacked = tuple[DomainName, DomainName, DomainName]


def _image_size(value: Any) -> Any:
    sides = value if isinstance(value, list | tuple) else (value, value)
    if len(sides) != 2 or not all(type(side) is int and 0 < side <= _LONGEST_SIDE for side in sides):
        raise ValueError(f"is one side in pixels or [height, width], each from 1 to {_LONGEST_SIDE:,}")
    return value


def height_width(size: int | tuple[int, int]) -> tuple[int, int]:
    """(height, width) of what `image_size` says."""
    return (size, size) if isinstance(size, int) else size


class Mixture(Section):
    """The density that points are drawn from: as many of each of several round Gaussians of one deviation.

    Attributes:
        centres: (x, y) of each. std: standard deviation of each, in each direction.
    """

    centres: Annotated[tuple[tuple[float, float], ...], Field(min_length=2, max_length=10_000)]
    std: PositiveFloat


def bytes_of_points(points: NDArray[np.floating[Any]]) -> Picture:
    """Points (N, 2) as samples hold them, (N, 8, 1)."""
    return np.ascontiguousarray(points, "<f4").view(np.uint8).reshape(-1, *POINT_SIZE)


def points_of_bytes(held: Picture) -> NDArray[np.float32]:
    """The reverse: points (N, 2) of what samples hold, (N, 8, 1)."""
    return np.ascontiguousarray(held).reshape(len(held), -1).view("<f4").astype(np.float32)


class Domain(Section):
    """A photo, a map, a label map, a category, attributes or a point: one of the things that a sample holds.

    `size` is (height, width) in pixels of each picture of an image or label domain; None in params, which say what the
    pictures are before they are cut. The domains of a sample may differ in size, as where a picture is enlarged.

    kind "image": uint8 RGB, (height, width, 3). kind "label": uint8 class indices, (height, width), each
    below `len(classes)`; `palette` says how a class is drawn where people look. kind "category": one uint8 class index
    a sample, (). kind "attributes": of each of `classes` whether it holds of the sample, uint8 0 or 1, (classes,), any
    number of them at once. kind "point": a point of the plane, held as the bytes of two float32 values, POINT_SIZE, and
    `mixture` is the density that they are drawn from. `encoding` is how networks
    see a label map: `one_hot`, a channel a class, or `colour`, drawn in its palette, as the authors of
    pix2pix and CycleGAN do. `ignore` is the value of a label map that stands for "not labelled": one of the classes, or
    a value beyond them. Nothing is learned from such pixels, and they are not scored; networks see a value beyond the
    classes as none of them, and people see it black. `range` and `bands` say how files of an image are read: which
    values of 16-bit grey become 0 and 255, and which bands are red, green and blue. `stacked` is of an image whose
    channels are three pictures: the categories of what red, green and blue show. `in_key` is of a category: whether
    a sample's key ends in `-` and the name of its class, and those whose keys are alike but for it show one thing.
    """

    kind: Literal["image", "label", "category", "attributes", "point"]
    size: tuple[PositiveInt, PositiveInt] | None = Field(default=None, exclude_if=lambda value: value is None)
    classes: tuple[str, ...] = ()
    palette: tuple[Colour, ...] = ()
    encoding: Literal["one_hot", "colour"] = "one_hot"
    # Left out of manifests and cards where they say nothing, so that those of sets without them have kept their hashes.
    ignore: Channel | None = Field(default=None, exclude_if=lambda value: value is None)
    range: tuple[float, float] | None = Field(default=None, exclude_if=lambda value: value is None)
    bands: tuple[Band, Band, Band] | None = Field(default=None, exclude_if=lambda value: value is None)
    mixture: Mixture | None = Field(default=None, exclude_if=lambda value: value is None)
    stacked: Stacked | None = Field(default=None, exclude_if=lambda value: value is None)
    in_key: bool = Field(default=False, exclude_if=lambda value: not value)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.kind in ("label", "category", "attributes") and not 2 <= len(self.classes) <= 255:
            raise ValueError(f"a domain of kind {self.kind} names 2 to 255 classes")
        if self.kind in ("image", "point") and (self.classes or self.palette):
            raise ValueError(f"a domain of kind {self.kind} has no classes and no palette")
        if (self.kind == "point") != (self.mixture is not None):
            raise ValueError(f"mixture is the density of points, and this is of kind {self.kind}")
        if self.kind == "label" and len(self.palette) != len(self.classes):
            raise ValueError("palette gives one colour for each class")
        if not self.pictured and self.size is not None:
            raise ValueError(f"a domain of kind {self.kind} has no size in pixels")
        if not self.pictured and self.palette:
            raise ValueError(f"a domain of kind {self.kind} has no palette")
        if self.in_key and self.kind != "category":
            raise ValueError(f"in_key is of categories, and this is of kind {self.kind}")
        if self.kind != "label" and self.ignore is not None:
            raise ValueError(f"ignore is of label maps, and this is of kind {self.kind}")
        if self.kind != "image" and (self.range or self.bands or self.stacked):
            raise ValueError(f"range, bands and stacked are of photos, and this is of kind {self.kind}")
        if self.range and self.range[0] >= self.range[1]:
            raise ValueError(f"range: {self.range[0]:g} is not below {self.range[1]:g}")
        if self.kind == "attributes" and (odd := [name for name in self.classes if _unaskable(name)]):
            raise ValueError(f"classes: {odd[0]!r} could not be asked for; give another name, without , and =")
        for what, values in (("classes", self.classes), ("palette", self.palette)):
            if doubled := [value for index, value in enumerate(values) if value in values[:index]]:
                raise ValueError(f"{what}: {doubled[0]} stands for two classes")
        return self

    def stranger(self, picture: Picture) -> str:
        """What a label map holds that is no class, with its place; empty of an image, and where all is well.

        Of a point, a value that is not finite.
        """
        if self.kind == "point":
            return "" if np.isfinite(points_of_bytes(picture[None])).all() else "a point whose values are not finite"
        values = 2 if self.kind == "attributes" else len(self.classes)
        if self.kind == "image" or not picture.size or int(picture.max()) < values:
            return ""
        strange = picture >= values
        if self.ignore is not None:
            strange &= picture != self.ignore
        if not strange.any():
            return ""
        last = len(self.classes) - 1
        if self.kind == "category":
            return f"category {int(picture.ravel()[np.argmax(strange)])} is none of the {last + 1} (0 to {last})"
        if self.kind == "attributes":
            return f"attribute {self.classes[int(np.argmax(strange)) % len(self.classes)]} is neither 0 nor 1"
        row, column = divmod(int(np.argmax(strange)), picture.shape[1])
        value = int(picture[row, column])
        return f"label {value} at row {row}, column {column} is outside the {last + 1} classes (0 to {last})"

    @property
    def askable(self) -> bool:
        """Whether pictures can be asked to show it: a category, or attributes."""
        return self.kind in ("category", "attributes")

    @property
    def exclusive(self) -> bool:
        """Whether it is one class at a time, as a category is, and not any number of attributes at once."""
        return self.kind == "category"

    @property
    def pictured(self) -> bool:
        """Whether it is a picture of pixels, which has a size: an image or a label map."""
        return self.kind in ("image", "label")

    @property
    def in_colour(self) -> bool:
        """Whether networks see three channels in [-1, 1]: an image, or a label map drawn in its palette."""
        return self.kind == "image" or (self.kind == "label" and self.encoding == "colour")

    @property
    def extension(self) -> str:
        """What a sample's member of this domain ends in inside a tar."""
        return {"category": "cls", "attributes": "json"}.get(self.kind, "png")

    def at(self, size: tuple[int, int]) -> "Domain":
        """The same with pictures of a size, (height, width); what has no size in pixels stays as it is."""
        return self.model_copy(update={"size": size}) if self.pictured else self

    @property
    def height_width(self) -> tuple[int, int]:
        """Of each picture, in pixels; of a point, POINT_SIZE.

        Raises:
            Fault: it has no size.
        """
        if self.kind == "point":
            return POINT_SIZE
        if self.size is None:
            raise Fault(f"a domain of kind {self.kind} has no size here")
        return self.size

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of what a sample holds: (H, W, 3), (H, W), () of a category, (classes,) of attributes, or
        POINT_SIZE.

        Raises:
            Fault: it is a picture without a size.
        """
        if self.kind == "category":
            return ()
        if self.kind == "attributes":
            return (len(self.classes),)
        return (*self.height_width, 3) if self.kind == "image" else self.height_width

    def void(self, labels: Picture) -> NDArray[np.bool_]:
        """Which pixels of a label map, (H, W), are not labelled."""
        return np.zeros(labels.shape, bool) if self.ignore is None else labels == self.ignore

    @property
    def channels(self) -> int:
        """Channels as a network sees them: of a point its two values."""
        if self.kind == "point":
            return 2
        return 3 if self.in_colour else len(self.classes)


def _unaskable(attribute: str) -> bool:
    return attribute in ("", NO_ATTRIBUTE) or attribute != attribute.strip() or not {",", "="}.isdisjoint(attribute)


def enlargement(source: Domain, target: Domain) -> int:
    """How many times as high and as wide as a source its target is, a whole number; 1 where none is, and of all but
    images."""
    if not source.kind == target.kind == "image":
        return 1
    (low, narrow), (high, wide) = source.height_width, target.height_width
    times = high // low
    return times if times > 1 and (low * times, narrow * times) == (high, wide) else 1


def sized(domains: Mapping[str, Domain], size: tuple[int, int]) -> dict[str, Domain]:
    """Domains whose pictures all have one size, (height, width)."""
    return {name: domain.at(size) for name, domain in domains.items()}
