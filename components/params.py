"""Params: params.yaml, typed and validated once at the top of every stage."""

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar, get_args, get_origin

from pydantic import BaseModel, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from components.evaluation.config import EvaluateConfig
from components.faults import Fault
from components.models.card import GenerateConfig
from components.pages.config import ReportConfig
from components.review.config import ReviewConfig
from components.samples.domain import DomainName
from components.samples.schema import Section
from components.samples.task import Task
from components.search.config import TuneConfig
from components.search.space import check_space, extremes
from components.shards.config import ShardConfig
from components.sources import CutConfig, FetchConfig, shows
from components.sources.earth import NAMES, EarthConfig
from components.storage.yaml_file import read_yaml, shown
from components.systems import SystemConfig
from components.systems.judge import JudgeConfig
from components.tables.config import RunParams, TablesParams
from components.tasks.derive import Derivation
from components.tasks.gathered import GatherNames
from components.tracking.config import RegisterConfig
from components.training.config import TrainConfig

_Model = TypeVar("_Model", bound=BaseModel)
_LONGEST = 300  # characters of a message


class ShardSection(ShardConfig):
    """The `shard` section: how the source is cut into samples, and how those are packed.

    Attributes:
        cut: the source's own.
        derive: further domains of every sample, by name, each made of an image domain (docs/tasks.md).
        gather: image domains whose pictures become samples of one domain, after `derive` (docs/tasks.md).
        task: what is asked of the samples, `{source: labels, target: photo}`; null is the source's own.
    """

    cut: CutConfig
    derive: dict[DomainName, Derivation] = Field(default_factory=dict)
    gather: GatherNames = ()
    task: Task | None = None

    def asked(self) -> Iterator[tuple[str, str]]:
        """Each param that names a domain which the source itself must have, and that domain."""
        made: set[str] = set()
        for name, config in self.derive.items():
            if config.of not in made:
                yield f"shard.derive.{name}.of", config.of
            made.add(name)
        asked = self.task.domains if self.task and not self.gather else ()
        for param, names in (("shard.gather", self.gather), ("shard.task", asked)):
            yield from ((param, name) for name in names if name not in made)


class JudgeSection(Section):
    """The `judge` section: the network of the FCN-score, and its own training; `system` null leaves it out."""

    system: Annotated[JudgeConfig, Field(discriminator="name")] | None
    train: TrainConfig


class Params(Section):
    """Every knob of a run: one section a stage, `system`, and `review`, the rules of the registry's gate."""

    fetch: FetchConfig
    shard: ShardSection
    judge: JudgeSection
    tune: TuneConfig
    system: SystemConfig
    train: TrainConfig
    generate: GenerateConfig
    evaluate: EvaluateConfig
    register_: RegisterConfig = Field(alias="register")
    report: ReportConfig
    review: ReviewConfig

    @model_validator(mode="after")
    def _figures_there(self) -> Self:
        self.review.require_known(self.evaluate)
        return self

    @model_validator(mode="after")
    def _judge_there(self) -> Self:
        asked = [*self.review.named(), *([("tune.objective", self.tune.objective)] if self.tune.objective else [])]
        for param, metric in asked if self.judge.system is None else ():
            if metric.startswith(("fcn_", "condition_")) or metric == "inception_score_judge":
                needs = f"{metric} needs a judge, and judge.system is null"
                raise ValueError(f"{param}: {needs}; name another metric, or a judge")
        return self

    @model_validator(mode="after")
    def _domains_there(self) -> Self:
        fetch, shard = self.fetch, self.shard
        if fetch.name != shard.cut.name:
            raise ValueError(f"fetch.name is {fetch.name} but shard.cut.name is {shard.cut.name}")
        there = shows(fetch, shard.cut).domains
        for param, name in shard.asked():
            if name not in there:
                fault = ": no such domain; there are"
                if isinstance(fetch, EarthConfig) and name in NAMES:
                    fault = " is not fetched; name it in fetch.pictures, which has"
                raise ValueError(f"{param}: {name}{fault} {', '.join(there)}")
        return self


def load_params(path: Path) -> Params:
    """Read and validate a params file.

    Raises:
        Fault: one line with the dotted path of the first thing wrong, and the names that are valid there.
    """
    params = parse_params(read_yaml(path), str(path))
    _check_candidates(params, str(path))
    return params


def load_tables(path: Path) -> TablesParams:
    """Read and validate a tables/params.yaml, and every run that it names; faults as of `load_params`."""
    tables = _parse(TablesParams, read_yaml(path), str(path))
    for name in tables.runs:
        run_params(tables, name, str(path))
    return tables


def run_params(tables: TablesParams, name: str, where: str) -> RunParams:
    """What one of the tables' runs trains: what all have in common, with its own values in their place.

    Raises:
        Fault: a value of the run is at a path that is no param, or is not valid there.
    """
    where = f"{where}: runs.{name}"
    common = tables.model_dump(mode="json", include={"system", "train"})
    return _parse(RunParams, _replaced(common, tables.runs[name], where), where)


def parse_params(values: Any, where: str) -> Params:
    """Validate params given as plain values; `where` names their origin in the message."""
    return _parse(Params, values, where)


def _parse(model: type[_Model], values: Any, where: str) -> _Model:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        faults = error.errors()
        unknown = [fault for fault in faults if fault["type"] == "extra_forbidden"]
        raise Fault(f"{where}: {_word((unknown or faults)[0], model)}"[:_LONGEST]) from None


def _check_candidates(params: Params, where: str) -> None:
    """Refuse candidates of a search that are no values of their param, as they would be in its place.

    Raises:
        Fault: naming the path and the candidate.
    """
    if not params.tune.num_trials:
        return
    check_space(params.tune)
    for path, value in extremes(params.tune):
        tried = with_values(params, {path: value}, f"{where}: tune.space")
        taken = value_at(tried, path)
        if taken != value or isinstance(taken, bool | str) != isinstance(value, bool | str):
            raise Fault(f"{where}: tune.space.{path}: {shown(value)} has another type than this param ({shown(taken)})")


def with_values(params: Params, values: Mapping[str, Any], where: str) -> Params:
    """Params with other values at dotted paths, validated as a whole; `where` names their origin in the message.

    Raises:
        Fault: a path that is no param, or a value that is not valid there.
    """
    return parse_params(_replaced(params.model_dump(mode="json", by_alias=True), values, where), where)


def _replaced(tree: dict[str, Any], values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A tree of plain values with others put at dotted paths."""
    for path, value in values.items():
        *parents, name = path.split(".")
        place = tree
        for parent in parents:
            if not isinstance(place.get(parent), dict):
                raise Fault(f"{where}: {path}: no such param; valid here: {', '.join(sorted(place))}")
            place = place[parent]
        place[name] = value
    return tree


def value_at(params: Params, path: str) -> Any:
    """The value at a dotted path that is valid."""
    place: Any = params.model_dump(mode="json", by_alias=True)
    for part in path.split("."):
        place = place[part]
    return place


def _word(fault: ErrorDetails, root: type[BaseModel]) -> str:
    keys, sections = _follow(fault["loc"], root)
    dotted = ".".join(str(key) for key in keys)
    if fault["type"] == "extra_forbidden":
        valid = sorted({field.alias or name for model in sections for name, field in model.model_fields.items()})
        close = difflib.get_close_matches(str(keys[-1]), valid, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        return f"{dotted}: no such param; {hint}valid here: {', '.join(valid)}"
    if fault["type"] == "union_tag_invalid":
        return f"{dotted}.name: {shown(fault['ctx']['tag'])} is not one of {fault['ctx']['expected_tags']}"
    if fault["type"] == "missing":
        return f"{dotted}: missing"
    message = fault["msg"].removeprefix("Value error, ")
    given = "" if isinstance(fault["input"], dict | BaseModel) else f" (given: {shown(fault['input'])})"
    return f"{dotted}: {message}{given}" if dotted else message


def _follow(path: tuple[int | str, ...], root: type[BaseModel]) -> tuple[list[int | str], list[type[BaseModel]]]:
    """The keys of the file along an error's path, without the tags of unions, and the sections it ends in."""
    keys: list[int | str] = []
    sections: list[type[BaseModel]] = [root]
    named = False
    for part in path:
        if named:  # an entry of a mapping: what it is called is the person's own choice
            keys.append(part)
            named = False
            continue
        fields = [f for section in sections for name, f in section.model_fields.items() if part in (name, f.alias)]
        tagged = [
            s for s in sections if "name" in s.model_fields and part in get_args(s.model_fields["name"].annotation)
        ]
        if not fields and tagged:
            sections = tagged
        else:
            keys.append(part)
            if fields:
                sections = [inner for field in fields for inner in _models(field.annotation)]
                named = any(get_origin(field.annotation) is dict for field in fields)
    return keys, sections


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The sections that an annotation may hold, itself or in a union."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _models(inner)]
