"""Store: the MLflow that keeps runs and models; if it cannot be used, one line says so soon."""

import fcntl
import logging
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from components.faults import Fault
from components.storage.files import faults_of_the_disk
from components.storage.home import LOCAL, shared
from components.tracking.reachable import ADVICE, MAKE, URI, require_reachable, require_there, shown
from components.tracking.rehome import rehome

if TYPE_CHECKING:
    from mlflow import MlflowClient

_BROKEN = "put a whole copy of it in its place, or move it away and register again: dvc repro -f -s register"
_NO_DATABASE = re.compile("malformed|not a database|disk image|no such table|unable to open")
_NO_ADDRESS = re.compile(r"\?|%[0-9A-Fa-f]{2}")
_SHOWN = 160  # characters of what a library says
_KIND = {"mlflow.experimentKind": "custom_model_development"}  # so that MLflow's pages show runs, not prompts
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # 7 retries of a server that has gone would take four minutes
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",  # seconds without an answer; MLflow's own are 120, three times
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


@dataclass(frozen=True)
class Store:
    """An open MLflow: its client, its address, the experiment of this project, and the project's own folder."""

    client: "MlflowClient"
    uri: str
    experiment_id: str
    home: Path


def tracking_uri(home: Path) -> str:
    """The address in MLFLOW_TRACKING_URI, or a sqlite file below `home`; absolute, so it holds in any process.

    Raises:
        Fault: the path contains what an address would read as options (?) or as another character (%41).
    """
    if os.environ.get(URI):
        return os.environ[URI]
    if found := _NO_ADDRESS.search(str(home.resolve())):
        raise Fault(
            f"{home.resolve()}: MLflow cannot keep a database below a folder with {found[0]} in its name; rename it"
        )
    return f"sqlite:///{home.resolve() / 'mlflow.db'}"


def use_registry(project: Path | str = ".") -> None:
    """Point MLflow's own functions at the registry of a project, for `mlflow.pyfunc.load_model` and the like.

    The registry is the database below its .pix2pipe or, if there is none, the address in MLFLOW_TRACKING_URI.

    Raises:
        Fault: there is neither; nothing is made.
    """
    home = Path(project).resolve() / ".pix2pipe"
    own = home / "mlflow.db"
    uri = f"sqlite:///{own}" if own.is_file() else tracking_uri(home)
    require_there(uri)
    with faults_of_the_store(uri):
        require_reachable(uri)
        import mlflow

        if own.is_file():
            rehome(own, home / "mlartifacts")
        mlflow.set_tracking_uri(uri)
        mlflow.set_registry_uri(uri)


def open_store(uri: str, home: Path, experiment: str, make: bool = True) -> Store:
    """Open the MLflow at `uri` and find its experiment, or make it.

    A database is first upgraded to the schema of this MLflow, under a lock, since processes that open a new one at the
    same time would disturb each other. Without a server the client itself keeps artifacts: those of a new experiment go
    to mlartifacts below PIX2PIPE_ROOT or, if that is not set, below `home`, by absolute path.

    Args:
        make: make what is missing; false is for callers that only read, and raises a Fault if there is nothing to read.

    Raises:
        Fault: the server does not answer or MLflow refuses, within about ten seconds; or nothing is there to read.
    """
    if not make:
        require_there(uri)
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    served = urlsplit(uri).scheme in ("http", "https")
    with faults_of_the_store(uri):
        require_reachable(uri)
        from mlflow import MlflowClient

        for chatter in ("mlflow", "alembic"):
            logging.getLogger(chatter).setLevel(logging.WARNING)
        # It prints the traceback of what it raises anyway.
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
        with _alone(home) if make or home.is_dir() else nullcontext():
            database = Path(uri.removeprefix("sqlite:///"))
            if uri.startswith("sqlite:///") and database.parent == home.resolve():
                _make_ready(database)
                rehome(database, home.resolve() / "mlartifacts")
            client = MlflowClient(tracking_uri=uri, registry_uri=uri)
            found = client.get_experiment_by_name(experiment)
            if found is None and not make:
                raise Fault(f"{shown(uri)} has no experiment {experiment}; {MAKE}")
            if found is None:
                location = None if served else _artifacts(home)
                return Store(client, uri, _make_experiment(client, experiment, location), home)
        if found.lifecycle_stage != "active":
            raise Fault(f"register.experiment: {experiment} is deleted in {shown(uri)}; restore it or name another")
        return Store(client, uri, found.experiment_id, home)


def experiment_beside(store: Store, what: str) -> str:
    """The id of the experiment "NAME: WHAT" beside the project's own, made where there is none."""
    own = store.client.get_experiment(store.experiment_id)
    name = f"{own.name}: {what}"
    found = store.client.get_experiment_by_name(name)
    served = urlsplit(store.uri).scheme in ("http", "https")
    if found is None:
        return _make_experiment(store.client, name, None if served else _artifacts(store.home))
    return str(found.experiment_id)


@contextmanager
def faults_of_the_store(uri: str) -> Iterator[None]:
    """Report in one line what MLflow, its database or the connection refused inside the block."""
    from mlflow.exceptions import MlflowException
    from requests import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, RequestException, SQLAlchemyError, sqlite3.Error, ImportError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:_SHOWN]
        advice = ADVICE
        if isinstance(error, ImportError):  # the driver of a database, or the client of an object store
            advice = "install the package that this address needs"
        elif _NO_DATABASE.search(reason):
            reason, advice = f"its database is damaged ({reason})", _BROKEN
        elif "database is locked" in reason:
            reason, advice = "its database is locked by another writer", "nothing was written; run this again"
        raise Fault(f"MLflow at {shown(uri)}: {reason}; {advice}") from error


def _make_experiment(client: "MlflowClient", name: str, location: str | None) -> str:
    """A new experiment; returns its id, also if another machine has made it at the same moment."""
    from mlflow.exceptions import MlflowException

    try:
        return client.create_experiment(name, artifact_location=location, tags=_KIND)
    except MlflowException as error:
        found = client.get_experiment_by_name(name) if error.error_code == "RESOURCE_ALREADY_EXISTS" else None
        if found is None:
            raise
        return str(found.experiment_id)


def _artifacts(home: Path) -> str:
    root = shared()
    place = (home.resolve() if root is LOCAL else root) / "mlartifacts"
    return place.as_uri() if isinstance(place, Path) else str(place)


def _make_ready(database: Path) -> None:
    """Make the project's own database, or upgrade it to this MLflow's schema; a shared one is for its owner to upgrade.

    A new one is first made under another name, since the migrations are not one transaction: after a kill among them
    MLflow could never open the database again.
    """
    if database.exists():
        _upgrade(database)
        return
    fresh = database.with_name(f".{database.name}.tmp")
    for left in database.parent.glob(f"{fresh.name}*"):  # by a kill, with sqlite's journal
        left.unlink()
    _upgrade(fresh)
    fresh.replace(database)


def _upgrade(database: Path) -> None:
    """`mlflow db upgrade`."""
    from mlflow.db import upgrade

    assert upgrade.callback is not None
    upgrade.callback(f"sqlite:///{database}")


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """One process of this machine at a time."""
    with faults_of_the_disk(home):
        home.mkdir(parents=True, exist_ok=True)
        lock = (home / "mlflow.lock").open("w", encoding="utf-8")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
