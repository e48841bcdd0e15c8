"""The params of tars in the WebDataset format, made by somebody else."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, StringConstraints, model_validator

from components.samples.domain import Domain, DomainName
from components.samples.schema import Section, UserPath
from components.samples.task import Task
from components.sources.fit import PictureCut
from components.sources.folder_config import FileKind, Sha256, Side, SplitName, check_url
from components.sources.formats import EXTENSIONS

# What comes behind the first dot of a member's name, in small letters, as the WebDataset library gives it.
Ending = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]+(\.[a-z0-9_-]+)*$", max_length=40)]
INDEX_ENDINGS = frozenset({"cls", "cls2", "class", "index", "inx", "id"})  # which the library decodes as one integer


class WebdatasetConfig(Section):
    """Tars in the WebDataset format: members KEY.ENDING that stand together and have one KEY are a sample.

    Attributes:
        path: a folder of tars, at any depth, one tar, or an https URL of one (.tar .tar.gz .tgz .tar.xz .tar.bz2).
        sha256: of the tar; a URL must have it.
        members: ending -> domain, such as {jpg: photo, seg.png: labels, cls: kind}. Pictures of any kind that is read;
            endings of an index (cls and the like) make a category, and json attributes. Two endings of one domain, such
            as jpg and png, are two ways to write it, of which a sample has one. null: members of this ending are as if
            they were not there. Members of endings that are not named are passed over.
        domains: what the files of a domain are, where they are not photos: palette or classes of a label map, classes
            of a category, range and bands of a photo.
        splits: pattern -> split, such as {"val-*": val}, of a sample's place, which is the path of its tar without the
            ending, a slash and its key; the first pattern that matches counts, and * matches slashes too. Of the others
            a word of the path says it: train, val or test between anything that is no letter.
        holdout: share of the training samples that becomes each split that is not found.
        max_gigabytes: most that a tar may hold, unpacked, and that is downloaded.
    """

    name: Literal["webdataset"]
    path: UserPath
    sha256: Sha256 = ""
    members: Annotated[dict[Ending, DomainName | None], Field(min_length=1, max_length=100)]
    domains: dict[DomainName, FileKind] = Field(default_factory=dict)
    splits: dict[str, SplitName] = Field(default_factory=dict)
    holdout: Annotated[float, Field(gt=0, lt=0.5)] = 0.1
    max_gigabytes: PositiveFloat = 20.0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_url(self.path, self.sha256)
        if stranger := next((name for name in self.domains if name not in self.endings), None):
            raise ValueError(f"domains: {stranger} is the domain of no ending in members")
        for name, endings in self.endings.items():
            kinds = {_kind_of(ending): ending for ending in endings}
            if strange := kinds.get(None):
                raise ValueError(
                    f"members: {strange} is the ending of no picture, of no index, such as cls, and not json"
                )
            if len(kinds) > 1:
                said = " and ".join(f"{kind} ({ending})" for kind, ending in kinds.items())
                raise ValueError(f"members: {name} would be both {said}")
            files = self._files(name)
            if "picture" not in kinds and (len(files.classes) < 2 or files != FileKind(classes=files.classes)):
                raise ValueError(f"domains.{name}: has classes alone, two or more, such as {{classes: [cat, dog]}}")
        self.task  # noqa: B018 (refuses members without a photo)
        return self

    @property
    def endings(self) -> dict[str, tuple[str, ...]]:
        """Of each domain, in the order of `members`, the endings that it is written with."""
        names = dict.fromkeys(name for name in self.members.values() if name is not None)
        return {name: tuple(ending for ending, of in self.members.items() if of == name) for name in names}

    @property
    def sides(self) -> dict[str, Side]:
        """How the pictures of each domain that has some are read."""
        return {
            name: Side(name=name, **self._files(name).model_dump())
            for name, domain in self.shown.items()
            if domain.pictured
        }

    @property
    def shown(self) -> dict[str, Domain]:
        """What each domain of a sample is, without sizes."""
        return {name: self._domain(name, _kind_of(endings[0])) for name, endings in self.endings.items()}

    @property
    def task(self) -> Task:
        """From the first label map, or the first of two photos, to the first other photo; of one photo alone, pictures
        from noise, by the first category or, where there is none, the first attributes, if there are some.

        Raises:
            ValueError: no domain is a photo.
        """
        photos, labels, kinds, traits = (
            [name for name, domain in self.shown.items() if domain.kind == kind]
            for kind in ("image", "label", "category", "attributes")
        )
        if not photos:
            raise ValueError(
                "members: names no photo, and a photo is what is made; name the ending of one, such as jpg"
            )
        if labels:
            return Task(source=labels[0], target=photos[0])
        if len(photos) > 1:
            return Task(source=photos[0], target=photos[1])
        return Task(target=photos[0], condition=next(iter([*kinds, *traits]), None))

    def kept(self) -> dict[str, object]:
        """The params as they are written beside the samples: of a place on this machine, the name alone."""
        return self.model_dump(mode="json") | {"path": Path(self.path).name or "."}

    def _domain(self, name: str, kind: str | None) -> Domain:
        files = self._files(name)
        if kind == "category":
            return Domain(kind="category", classes=files.classes)
        return Domain(kind="attributes", classes=files.classes) if kind == "attributes" else files.domain()

    def _files(self, name: str) -> FileKind:
        return self.domains.get(name, FileKind())


def _kind_of(ending: str) -> str | None:
    """Which kind of domain the last part of an ending makes; None if none."""
    last = ending.rpartition(".")[2]
    if last in INDEX_ENDINGS:
        return "category"
    if last == "json":
        return "attributes"
    return "picture" if f".{last}" in EXTENSIONS else None


class WebdatasetCut(PictureCut):
    """How pictures in tars become samples: see PictureCut."""

    name: Literal["webdataset"]
