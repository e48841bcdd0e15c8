"""The params of your own pictures."""

import colorsys
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, StringConstraints, model_validator

from components.samples.domain import Band, Channel, Colour, Domain, DomainName
from components.samples.schema import Section, UserPath
from components.samples.task import Task

Sha256 = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")]
SplitName = Literal["train", "val", "test"]


def check_url(path: str, sha256: str) -> None:
    """Refuse a URL without a hash.

    Raises:
        ValueError: saying how it is found.
    """
    if "://" in path and not sha256:
        raise ValueError("a URL needs sha256, the hash of the archive (sha256sum FILE)")


class FileKind(Section):
    """What the files of one domain are: photos, or label maps.

    Attributes:
        palette: class -> colour, for a label map drawn in colours (blurred by JPEG or not).
        classes: class names, for a label map whose pixel values are the class indices.
        ignore: of a label map, the value that stands for "not labelled", such as 255; of one with a palette, the place
            of the colour in it, counted from 0.
        range: of 16-bit grey, the values that become black and white, such as [0, 4095] of 12-bit data; by default
            all of the 16 bits.
        bands: of a picture of more than three bands, those that are red, green and blue, counted from 0.
    """

    palette: dict[str, Colour] = Field(default_factory=dict)
    classes: tuple[str, ...] = ()
    ignore: Channel | None = None
    range: tuple[float, float] | None = None
    bands: tuple[Band, Band, Band] | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.palette and self.classes:
            raise ValueError("give palette (drawn labels) or classes (index labels), not both")
        if self.palette and self.ignore is not None and self.ignore >= len(self.palette):
            raise ValueError(f"ignore: the palette has no colour {self.ignore}; the last is {len(self.palette) - 1}")
        self.domain()
        return self

    def domain(self) -> Domain:
        """The domain of these files; colours of index labels are spread over the hues."""
        if not (self.palette or self.classes):
            return Domain(kind="image", ignore=self.ignore, range=self.range, bands=self.bands)
        names = tuple(self.palette) or self.classes
        colours = tuple(self.palette.values()) or spread_colours(len(names))
        return Domain(
            kind="label", classes=names, palette=colours, ignore=self.ignore, range=self.range, bands=self.bands
        )


class Side(FileKind):
    """What the pictures of one side are, and how it is called.

    Attributes:
        name: of the domain, such as photo or labels; up to 15 of a-z 0-9 _.
        folder: layout `folders` only: the folder that holds it; A or B unless given.
        path, sha256: layout `unpaired` only: where this side's pictures are, if each side has its own place;
            as `path` and `sha256` of the whole.
    """

    name: DomainName
    folder: str = ""
    path: UserPath = ""
    sha256: Sha256 = ""

    @model_validator(mode="after")
    def _has_hash(self) -> Self:
        check_url(self.path, self.sha256)
        return self


class FolderConfig(Section):
    """Your own pictures, in pairs or not.

    Attributes:
        path: a folder, an archive (.zip .tar .tar.gz .tgz .tar.xz .tar.bz2), or an https URL of one; empty
            where each side has its own.
        sha256: of the archive; a URL must have it.
        layout: side_by_side (A|B in one picture), folders (A/ and B/ with equal names), unpaired (trainA/, trainB/),
            photos (pictures of `a` alone), classes (pictures of `a`, each in the folder of its class: `b` names the
            category, and `b.classes` the folders), attributes (pictures of `a`, and beside them an attributes.csv that
            names a picture a row: `b` names the attributes together, and `b.classes` the columns).
        direction: AtoB or BtoA: which side is translated into which.
        a, b: what the left picture or folder A is, and the right one or folder B; of photos there is `a` alone.
        splits: folder -> split, where names differ: {val: test} makes the folder val (unpaired:
            valA and valB) the test split.
        holdout: share of the training samples (unpaired: of each side) that becomes val, and test, where there is none.
        max_gigabytes: most that an archive may be, packed and unpacked.
    """

    name: Literal["folder"]
    path: UserPath = ""
    sha256: Sha256 = ""
    layout: Literal["side_by_side", "folders", "unpaired", "photos", "classes", "attributes"] = "side_by_side"
    direction: Literal["AtoB", "BtoA"] = "AtoB"
    a: Side = Side(name="a")
    b: Side = Side(name="b")
    splits: dict[str, SplitName] = Field(default_factory=dict)
    holdout: Annotated[float, Field(gt=0, lt=0.5)] = 0.1
    max_gigabytes: PositiveFloat = 20.0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.layout == "photos":
            self._check_photos()
        elif self.layout in ("classes", "attributes"):
            self._check_classes()
        elif self.a.name == self.b.name:
            raise ValueError(f"a and b are both named {self.a.name}")
        if self.layout != "unpaired" and (self.a.path or self.b.path):
            raise ValueError("a.path and b.path are for layout unpaired; every other layout has one path")
        if bool(self.a.path) != bool(self.b.path) or bool(self.path) == bool(self.a.path):
            raise ValueError("give path; or, with layout unpaired, a.path and b.path instead")
        check_url(self.path, self.sha256)
        return self

    def _check_classes(self) -> None:
        if len(self.b.classes) < 2 or self.b.palette or self.b.ignore is not None:
            each = "folder for each class" if self.layout == "classes" else "column for each attribute"
            raise ValueError(f"layout {self.layout} has a {each}; name two or more in b.classes, such as [cat, dog]")
        if self.a.domain().kind != "image" or self.direction != "AtoB":
            raise ValueError(
                f"with layout {self.layout} a is photos and b what they show: give a no palette or classes, and leave "
                "direction out"
            )
        if self.a.name == self.b.name:
            raise ValueError(f"a and b are both named {self.a.name}")

    def _check_photos(self) -> None:
        if self.b != Side(name="b"):
            raise ValueError("layout photos has one side, a, but b is given; remove b, or take another layout")
        if self.a.domain().kind == "label":
            given = "palette" if self.a.palette else "classes"
            raise ValueError(f"layout photos derives pictures from photos, and a.{given} makes a label map; remove it")
        if self.direction != "AtoB":
            raise ValueError("layout photos has no second side for direction to go to; name both domains in shard.task")

    @property
    def sides(self) -> tuple[Side, ...]:
        """The sides that there are: a alone, or both."""
        return (self.a,) if self.layout == "photos" else (self.a, self.b)

    @property
    def domains(self) -> dict[str, Domain]:
        """What the pictures of each side are; of the layouts classes and attributes the second is not drawn."""
        found = {side.name: side.domain() for side in self.sides}
        if self.layout == "classes":
            found[self.b.name] = Domain(kind="category", classes=self.b.classes)
        elif self.layout == "attributes":
            found[self.b.name] = Domain(kind="attributes", classes=self.b.classes)
        return found

    @property
    def task(self) -> Task:
        """From side to side; of photos alone, or of a class or attributes that are asked for, pictures are made from
        noise, unless `shard.task` says otherwise."""
        first, last = self.sides[0].name, self.sides[-1].name
        if first == last:
            return Task(target=first)
        if self.layout in ("classes", "attributes"):
            return Task(target=first, condition=last)
        return Task(source=first, target=last) if self.direction == "AtoB" else Task(source=last, target=first)

    @property
    def origins(self) -> tuple["Origin", ...]:
        """The place, or with unpaired pictures perhaps the two places, that the pictures come from."""
        if self.path:
            return (Origin("fetch", self.path, self.sha256, ""),)
        sides = (("a", self.a), ("b", self.b))
        return tuple(Origin(f"fetch.{key}", side.path, side.sha256, side.name) for key, side in sides)


@dataclass(frozen=True)
class Origin:
    """Where pictures come from.

    Attributes:
        section: of the params that says so, such as fetch or fetch.a.
        path: a folder, an archive or a URL.
        sha256: of the archive, or empty.
        folder: below the pictures, where they are put; empty where there is one origin alone.
    """

    section: str
    path: str
    sha256: str
    folder: str


def spread_colours(count: int) -> tuple[Colour, ...]:
    """Colours that differ: hues by the golden angle, in three brightnesses."""
    hues = ((i * 0.61803398875 % 1, 0.75, (1.0, 0.75, 0.5)[i % 3]) for i in range(count))
    colours = (colorsys.hsv_to_rgb(*hue) for hue in hues)
    return tuple((round(255 * r), round(255 * g), round(255 * b)) for r, g, b in colours)
