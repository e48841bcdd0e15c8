"""Versions of a registered model: found by alias or number, and their files, checked by hash."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from components.faults import Fault
from components.models.card import CARD, WEIGHTS
from components.storage.files import remove_folder, sha256_file
from components.tracking.store import Store, faults_of_the_store

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion


CHAMPION = "champion"  # the alias that promotion moves
VERDICT, GATE = "review.verdict", "review.gate"  # tags


@dataclass(frozen=True)
class Version:
    """A version of a registered model, with every alias it has now."""

    model: str
    number: int
    aliases: tuple[str, ...]
    tags: Mapping[str, str]
    description: str
    source: str
    run_id: str
    created_ms: int

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"{self.model} version {self.number}"


def list_versions(store: Store, model: str) -> list[Version]:
    """Every version of a model, the newest first.

    Raises:
        Fault: there is no such model, or MLflow refuses.
    """
    from mlflow.exceptions import MlflowException

    with faults_of_the_store(store.uri):
        try:
            # A search of versions leaves their aliases out; the model itself has them.
            aliases = store.client.get_registered_model(model).aliases
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            raise Fault(f"the registry has no model {model}; run dvc repro register first") from error
        found = [*_pages(store, model)]
    named: dict[int, list[str]] = {}
    for alias, number in sorted(aliases.items()):
        named.setdefault(int(number), []).append(alias)
    versions = [
        Version(
            model,
            int(version.version),
            tuple(named.get(int(version.version), ())),
            dict(version.tags),
            version.description or "",
            version.source,
            version.run_id or "",
            version.creation_timestamp,
        )
        for version in found
    ]
    return sorted(versions, key=lambda version: -version.number)


def find_version(store: Store, model: str, which: str) -> Version:
    """One version, by its number or an alias.

    Raises:
        Fault: there is none, saying which there are.
    """
    versions = list_versions(store, model)
    for version in versions:
        if which == str(version.number) or which in version.aliases:
            return version
    there = ", ".join(" ".join([str(v.number), *(f"@{alias}" for alias in v.aliases)]) for v in versions[:20])
    raise Fault(f"{model} has no version {which}; there are {there or 'none'}")


def champion_of(versions: list[Version]) -> Version | None:
    """The one that the alias is on, None where it is on none."""
    return next((version for version in versions if CHAMPION in version.aliases), None)


def note_version(store: Store, version: Version, tags: Mapping[str, str], description: str) -> None:
    """Write tags and the description (markdown) of a version, as MLflow's page shows them."""
    with faults_of_the_store(store.uri):
        for name, value in tags.items():
            if version.tags.get(name) != value:
                store.client.set_model_version_tag(version.model, str(version.number), name, value)
        if version.description != description:
            store.client.update_model_version(version.model, str(version.number), description)


def version_of_training(store: Store, model: str, key: str) -> Version | None:
    """The newest version of a model that came of a training; None where there is no such model or version.

    Args:
        key: of the training, as the versions' tag `key` has it.
    """
    with faults_of_the_store(store.uri):
        there = any(found.name == model for found in store.client.search_registered_models(f"name='{model}'"))
    found = list_versions(store, model) if there else []
    return next((version for version in found if version.tags.get("key") == key), None)


def fetch_version(store: Store, version: Version, folder: Path) -> Path:
    """Bring the files of a version to `folder`, each of the sha256 that it was registered with.

    Returns:
        The folder that `Generator.load` takes.

    Raises:
        Fault: an artifact is missing or changed since, or the version is not one that `register` made.
    """
    import mlflow.artifacts
    from mlflow.exceptions import MlflowException

    for tag in ("weights_sha256", "card_sha256"):
        if tag not in version.tags:
            raise Fault(f"{version.name}: has no tag {tag}, so it was not made by dvc repro register")
    with faults_of_the_store(store.uri):
        try:
            place = store.client.get_model_version_download_uri(version.model, str(version.number)).rstrip("/")
            remove_folder(folder / "artifacts")  # what an earlier one brought is not what is there now
            folder.mkdir(parents=True, exist_ok=True)
            artifacts = mlflow.artifacts.download_artifacts(
                artifact_uri=f"{place}/artifacts", dst_path=str(folder), tracking_uri=store.uri
            )
        except (OSError, MlflowException) as error:
            raise Fault(f"{version.name}: its artifacts cannot be fetched ({error}); register it again") from error
    for name, tag in ((WEIGHTS, "weights_sha256"), (CARD, "card_sha256")):
        path = Path(artifacts) / name
        if not path.is_file():
            raise Fault(f"{version.name}: the artifact {name} is missing; register it again")
        if (found := sha256_file(path)) != version.tags[tag]:
            raise Fault(
                f"{version.name}: the artifact {name} has the sha256 {found[:12]}, and was registered with "
                f"{version.tags[tag][:12]}: it is not what was reviewed; register it again"
            )
    return Path(artifacts)


def _pages(store: Store, model: str) -> "Iterator[ModelVersion]":
    token = None
    while True:
        page = store.client.search_model_versions(f"name='{model}'", page_token=token)
        yield from page
        token = page.token
        if not token:
            return
