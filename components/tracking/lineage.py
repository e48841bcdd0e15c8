"""Lineage: where a version came from, as its run says, and where MLflow's pages show more."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from components.tracking.store import Store, faults_of_the_store
from components.tracking.versions import Version

_FACTS = (
    ("commit that trained", "pix2pipe.commit.trained"),
    ("commit that registered", "pix2pipe.commit.registered"),
    ("dvc.lock", "pix2pipe.dvc"),
    ("data manifest", "pix2pipe.manifest"),
    ("Ray job", "pix2pipe.ray_job"),
)


@dataclass(frozen=True)
class Lineage:
    """What a version was made of.

    Attributes:
        facts: (what, its hash or id), those that the run has. page: of the run, below MLflow's own address.
        files: path of the run's own folder of artifacts, on MLflow's page.
    """

    facts: tuple[tuple[str, str], ...]
    page: str

    @property
    def files(self) -> str:
        """MLflow's page of the run's artifacts."""
        return f"{self.page}/artifacts"


def find_lineage(store: Store, version: Version) -> Lineage:
    """The lineage of a version that `register` made.

    Raises:
        Fault: its run is gone, or MLflow refuses.
    """
    with faults_of_the_store(store.uri):
        run = store.client.get_run(version.run_id)
    facts = [(what, run.data.tags[tag]) for what, tag in _FACTS if tag in run.data.tags]
    protocol = [("protocol", version.tags["protocol_hash"])] if "protocol_hash" in version.tags else []
    page = f"#/experiments/{quote(run.info.experiment_id)}/runs/{quote(run.info.run_id)}"
    return Lineage((*facts, *protocol, ("run", run.info.run_id)), page)


def keep_picture(store: Store, version: Version, file: Path) -> str:
    """Log a picture of a review with the version's run; gives its path among the artifacts."""
    with faults_of_the_store(store.uri):
        store.client.log_artifact(version.run_id, str(file), "review")
    return f"review/{file.name}"
