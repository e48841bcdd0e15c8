"""Task: what a system is asked for, in the names of a sample's domains."""

from typing import Self

from pydantic import Field, model_validator

from components.samples.domain import DomainName
from components.samples.schema import Section


class Task(Section):
    """What is made, and of what.

    Attributes:
        target: the domain whose pictures are made.
        source: the domain whose pictures are translated; None where pictures are made from noise. It may be the target
            itself, where a picture is shown in another condition.
        condition: a category, or attributes, that a picture is made to show; None where none is asked for.
        reference: the domain of a picture in whose style it is made; None where none is given.
    """

    target: DomainName
    source: DomainName | None = None
    condition: DomainName | None = None
    reference: DomainName | None = Field(default=None, exclude_if=lambda value: value is None)

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if self.condition is not None and self.condition in (self.source, self.target):
            raise ValueError(f"{self.condition} cannot be both the condition and a picture")
        return self

    @property
    def domains(self) -> tuple[str, ...]:
        """Every domain that a sample must show, the source first."""
        return tuple(dict.fromkeys(name for name in (self.source, self.target, self.condition) if name is not None))

    @property
    def within(self) -> bool:
        """Whether pictures of one domain are shown in another condition."""
        return self.condition is not None and self.source == self.target

    @property
    def name(self) -> str:
        """What folders and metrics of the task are filed under: photo, photo_by_kind, labels_to_photo, or
        photo_to_another_kind."""
        if self.within:
            return f"{self.target}_to_another_{self.condition}{'_by_reference' * (self.reference is not None)}"
        way = self.target if self.source is None else f"{self.source}_to_{self.target}"
        return way if self.condition is None else f"{way}_by_{self.condition}"

    @property
    def title(self) -> str:
        """The same as people read it: photo, photo by kind, labels to photo, or photo to another kind."""
        if self.within:
            return f"{self.target} to another {self.condition}{' by reference' * (self.reference is not None)}"
        way = self.target if self.source is None else f"{self.source} to {self.target}"
        return way if self.condition is None else f"{way} by {self.condition}"

    def back(self) -> "Task":
        """The way back: source and target in each other's place.

        Raises:
            ValueError: there is no source.
        """
        if self.source is None:
            raise ValueError(f"{self.name} has no source, and so no way back")
        return Task(target=self.source, source=self.target, condition=self.condition)
