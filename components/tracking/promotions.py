"""Promotions: who made which version the champion, when and why, as records that cannot be changed in MLflow.

Promotion number N is a param of one run, named by its number. MLflow keeps the first value of a param and refuses
another one. So records cannot be changed, and if two people promote at once, both write the same number and one of them
is refused.
"""

import json
from typing import TYPE_CHECKING, Literal

from pydantic import PositiveInt, ValidationError

from components.faults import Fault
from components.samples.schema import Section
from components.tracking.note import NOTE
from components.tracking.store import Store, experiment_beside, faults_of_the_store
from components.tracking.versions import CHAMPION, list_versions

if TYPE_CHECKING:
    from mlflow.entities import Run

RECORD = "pix2pipe.promotions"  # tag of the registered model: the id of the run that holds its record


class Promotion(Section):
    """One record.

    Attributes:
        number: its place, from 1. at: UTC, ISO 8601.
        before: the version that was the champion, None where there was none.
        after: the version that is, and the sha256 of what it holds.
        verdict, reasons: of the review at that moment. overridden: whether it was promoted against it.
        outside: what the alias was on before, where that was not what the record said; "none" where it was gone.
    """

    number: PositiveInt
    kind: Literal["promotion", "rollback"]
    at: str
    by: str
    why: str
    before: PositiveInt | None
    after: PositiveInt
    weights_sha256: str
    card_sha256: str
    metrics_sha256: str
    verdict: str
    reasons: tuple[str, ...] = ()
    overridden: bool = False
    outside: str = ""


def read_promotions(store: Store, model: str) -> list[Promotion]:
    """Every record of a model, the oldest first.

    Raises:
        Fault: the record's run is deleted, or holds what is no record.
    """
    with faults_of_the_store(store.uri):
        run_id = store.client.get_registered_model(model).tags.get(RECORD) or _pointer(store, model)
        return _records(store.client.get_run(run_id), model) if run_id else []


def champions(promotions: list[Promotion]) -> list[int]:
    """The champions that a rollback can go back through, the present one last, as the record says."""
    stack: list[int] = []
    for each in promotions:
        if each.kind == "rollback":
            del stack[-2:]
        if stack[-1:] != [each.after]:
            stack.append(each.after)
    return stack


def append_promotion(store: Store, model: str, promotion: Promotion) -> None:
    """Write a record and move the alias to where the record says.

    Raises:
        Fault: another record has that number, naming who was first; or MLflow refuses. Nothing is changed then.
    """
    with faults_of_the_store(store.uri):
        _write(store, model, _record_run(store, model), promotion)
    finish_promotion(store, model, promotion)


def finish_promotion(store: Store, model: str, promotion: Promotion) -> None:
    """Do all that follows from a record which is written: move the alias, and say so on MLflow's pages.

    The process that wrote the record does this, or another one if that was killed before; doing it twice does no harm.
    """
    with faults_of_the_store(store.uri):
        run_id = _record_run(store, model)
        # Whoever comes between a record and its move of the alias has written a later one, which holds.
        last, moved = promotion, None
        while moved != last.number:
            store.client.set_registered_model_alias(model, CHAMPION, str(last.after))
            moved = last.number
            last = _records(store.client.get_run(run_id), model)[-1]
        records = _records(store.client.get_run(run_id), model)
        said, now = (f"{each.at} UTC by {each.by}" for each in (promotion, last))
        page = f"#/experiments/{store.client.get_run(run_id).info.experiment_id}/runs/{run_id}"
        now = f"Version {last.after} is the champion ({now}). [Every promotion]({page})"
        described = (store.client.get_registered_model(model).description or "").split("\n\n")[0]
        store.client.update_registered_model(model, f"{described}\n\n{now}")
        store.client.set_model_version_tag(model, str(promotion.after), finished_tag(promotion), said)
        store.client.set_tag(run_id, NOTE, _table(model, records))


def finished_tag(promotion: Promotion) -> str:
    """The tag of the version promoted that says when and by whom; it is written once the alias has been moved."""
    return f"{promotion.kind}.{promotion.number}"


def _write(store: Store, model: str, run_id: str, promotion: Promotion) -> None:
    from mlflow.exceptions import MlflowException

    key, value = f"{promotion.number:04d}", promotion.model_dump_json()
    try:
        store.client.log_param(run_id, key, value)
    except MlflowException:
        first = next(
            (each for each in _records(store.client.get_run(run_id), model) if each.number == promotion.number), None
        )
        if first is None or first == promotion:
            raise
        raise Fault(
            f"{model}: version {first.after} was made champion by {first.by} at {first.at}, while this was going on; "
            f"pix2pipe review {promotion.after} compares with that"
        ) from None


def _records(run: "Run", model: str) -> list[Promotion]:
    if run.info.lifecycle_stage != "active":
        raise Fault(
            f"{model}: the run {run.info.run_id}, which records its promotions, was deleted; restore it in MLflow"
        )
    try:
        found = [Promotion.model_validate_json(value) for key, value in run.data.params.items() if key.isdigit()]
    except ValidationError as error:
        raise Fault(
            f"{model}: the run {run.info.run_id} holds an entry that is not a promotion ({error.errors()[0]['msg']})"
        ) from error
    return sorted(found, key=lambda promotion: promotion.number)


def _record_run(store: Store, model: str) -> str:
    """The run of the model's record; made at the first promotion.

    Two who make one at once both write the pointer to theirs, a param too, of the first version's run: the second
    finds the other's and takes that.
    """
    from mlflow.exceptions import MlflowException

    known = store.client.get_registered_model(model).tags.get(RECORD) or _pointer(store, model)
    if known is None:
        first = list_versions(store, model)[-1].run_id
        tags = {"mlflow.source.name": "pix2pipe", "mlflow.source.type": "PROJECT", "pix2pipe.model": model}
        apart = experiment_beside(store, "promotions")  # so that the list of trainings holds no other runs
        made = store.client.create_run(apart, run_name=f"promotions of {model}", tags=tags).info.run_id
        store.client.set_terminated(made, "FINISHED")
        try:
            store.client.log_param(first, f"{RECORD}.{model}", made)
        except MlflowException:
            if _pointer(store, model) is None:
                raise
            store.client.delete_run(made)
        known = _pointer(store, model)
        assert known is not None
        store.client.set_registered_model_tag(model, RECORD, known)
    return known


def _pointer(store: Store, model: str) -> str | None:
    versions = list_versions(store, model)
    if not versions or not versions[-1].run_id:
        return None
    value = store.client.get_run(versions[-1].run_id).data.params.get(f"{RECORD}.{model}")
    return str(value) if value else None


def _table(model: str, records: list[Promotion]) -> str:
    """The record as MLflow's page of the run shows it."""
    lines = [f"Who made which version of {model} the champion. The params of this run are the record itself.", ""]
    lines += ["| | at (UTC) | by | from | to | verdict | why |", "| --- | --- | --- | --- | --- | --- | --- |"]
    for each in reversed(records[-50:]):
        verdict = each.verdict + (", overridden" if each.overridden else "")
        cells = (each.kind, each.at, each.by, each.before or "none", each.after, verdict, each.why)
        lines.append("| " + " | ".join(json.dumps(str(cell))[1:-1].replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)
