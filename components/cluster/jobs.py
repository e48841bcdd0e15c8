"""Jobs: sends the stages of a graph to a Ray cluster, follows them and stops them, through its job server."""

import asyncio
import json
import logging
import os
import shlex
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, TextIO
from urllib.parse import urlsplit

from components.cluster.job import VERSIONS
from components.cluster.session import TOKEN_ADVICE, knock
from components.cluster.upload import Upload
from components.faults import Fault
from components.storage.home import ROOT

ADDRESS = "RAY_API_SERVER_ADDRESS"
_ANSWER_S = 10.0
# What a job is told of the environment it was submitted from. It is readable by whoever can list jobs, so
# never a secret: keys of object stores and passwords are the nodes' own.
_PASSED_ON = (ROOT, "MLFLOW_TRACKING_URI", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION")
_OURS = "pix2pipe_root"
_COMMAND = ("python", "-m", "components.cluster.job")


@dataclass(frozen=True)
class Job:
    """A job of this project on the cluster.

    Attributes:
        status: PENDING, RUNNING, STOPPED, SUCCEEDED or FAILED.
        root: where its results are kept; None for somebody else's job.
        stages: that it was asked for; none means the whole graph.
        started: Unix seconds.
        message: the job server's own, which says why a job that never began did not.
    """

    id: str
    status: str
    root: str | None
    stages: tuple[str, ...]
    started: float
    message: str

    @property
    def ended(self) -> bool:
        """Whether it will not change any more."""
        return self.status in ("STOPPED", "SUCCEEDED", "FAILED")


class Jobs:
    """The job server of a cluster."""

    def __init__(self, address: str) -> None:
        """Connect.

        Args:
            address: http://HEAD:8265.

        Raises:
            Fault: nobody answers, another kind of address, or a token that is missing or wrong; in seconds.
        """
        self.address = address
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Fault(f"{ADDRESS}={address}: give the http address of the job server, as http://HEAD:8265")
        knock(f"{ADDRESS}={address}", parts.hostname, parts.port or (443 if parts.scheme == "https" else 80))
        self.is_open = self._takes_anybody()
        from ray.job_submission import JobSubmissionClient

        for module in ("dashboard_sdk", "job.sdk"):  # which tell of every upload and every closed socket
            logging.getLogger(f"ray.dashboard.modules.{module}").setLevel(logging.WARNING)
        with self._said():
            self._client = JobSubmissionClient(address)

    @classmethod
    def connect(cls) -> "Jobs":
        """The job server at RAY_API_SERVER_ADDRESS."""
        address = os.environ.get(ADDRESS, "").rstrip("/")
        if not address:
            raise Fault(f"{ADDRESS} is not set; set it to the cluster's job server, as http://HEAD:8265")
        return cls(address)

    def notes(self) -> list[str]:
        """What a person should know about this cluster before sending it a job."""
        notes = []
        if self.is_open:
            notes.append(
                f"{self.address} takes jobs from anybody who reaches it; start the cluster with RAY_AUTH_MODE=token "
                "(docs/cluster.md)"
            )
        theirs = self._client._server_ray_version  # asked for when it connected; Ray has no public name for it
        if theirs and theirs != version("ray"):
            notes.append(f"the cluster runs Ray {theirs}, this machine {version('ray')}; install the same on both")
        return notes

    def submit(self, upload: Upload, root: str, stages: Sequence[str]) -> str:
        """Send a job, which starts as soon as the cluster has a place for it.

        Returns:
            Its id.

        Raises:
            Fault: another job of this project is at work on the same root, or the cluster refuses.
        """
        rival = next((job for job in self.list() if job.root == root and not job.ended), None)
        if rival is not None:
            raise Fault(
                f"job {rival.id} is at work on {root}: follow it with `pix2pipe attach {rival.id}` or end it with "
                f"`pix2pipe stop {rival.id}`"
            )
        variables = {name: os.environ[name] for name in _PASSED_ON if os.environ.get(name)}
        from components.training.export import COMMIT, git_commit  # it loads torch, which the other calls do without

        variables[COMMIT] = git_commit()
        variables[VERSIONS] = f"ray={version('ray')} torch={version('torch')}"
        with self._said():
            return str(
                self._client.submit_job(
                    entrypoint=shlex.join([*_COMMAND, *stages]),
                    runtime_env={
                        "working_dir": str(upload.archive),
                        "env_vars": variables | {"RAY_USAGE_STATS_ENABLED": "0"},
                    },
                    metadata={_OURS: root},
                )
            )

    def list(self) -> list[Job]:
        """All jobs that the cluster knows, the newest last."""
        with self._said():
            return sorted(map(_job, self._client.list_jobs()), key=lambda job: job.started)

    def get(self, job: str) -> Job:
        """One job.

        Raises:
            Fault: there is none of this id.
        """
        with self._said(f"no job {job}; `pix2pipe jobs` lists them"):
            return _job(self._client.get_job_info(job))

    def stop(self, job: str) -> None:
        """End a job; what it has finished stays at the root."""
        self.get(job)
        with self._said():
            self._client.stop_job(job)

    def follow(self, job: str, out: TextIO) -> Job:
        """Copy a job's log, from its beginning, until the job ends.

        A connection that breaks is resumed where it broke.

        Raises:
            Fault: the job or the cluster is gone.
        """
        shown = 0
        self.get(job)
        while True:
            shown = asyncio.run(self._tail(job, out, shown))
            # The log ends a moment before the status is written.
            state = self.get(job)
            if state.ended:
                return state
            time.sleep(1)

    async def _tail(self, job: str, out: TextIO, shown: int) -> int:
        """Copy what the log has after its first `shown` characters; how many there are now."""
        from aiohttp import ClientError

        seen = 0
        try:
            async for text in self._client.tail_job_logs(job):
                seen += len(text)
                if seen > shown:
                    out.write(text[-(seen - shown) :])
                    out.flush()
                    shown = seen
        except (RuntimeError, OSError, ClientError):
            pass  # the websocket broke; whether the cluster is gone shows in the next question
        return shown

    def _takes_anybody(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.address}/api/authentication_mode", timeout=_ANSWER_S) as answer:
                return bool(json.load(answer).get("authentication_mode") == "disabled")
        except urllib.error.HTTPError as error:
            if error.code in (401, 403):
                return False  # a proxy's own guard
            raise Fault(
                f"{ADDRESS}={self.address}: no Ray job server ({error}); is the port the dashboard's?"
            ) from error
        except (OSError, ValueError) as error:
            raise Fault(
                f"{ADDRESS}={self.address}: no Ray job server ({error}); is the port the dashboard's?"
            ) from error

    @contextmanager
    def _said(self, missing: str = "") -> Iterator[None]:
        """One line of what the cluster answers, with what to do."""
        from ray.exceptions import AuthenticationError
        from requests import RequestException

        where = f"{ADDRESS}={self.address}"
        try:
            yield
        except AuthenticationError as error:
            reason = str(error).splitlines()[0].split(". ")[0]
            raise Fault(f"{where}: {reason}; {TOKEN_ADVICE}") from error
        except (ConnectionError, RequestException) as error:
            raise Fault(f"{where}: does not answer any more ({_line(error)})") from error
        except RuntimeError as error:
            if missing and "404" in str(error):
                raise Fault(f"{where}: {missing}") from error
            raise Fault(f"{where}: {_line(error)}") from error


def _job(details: Any) -> Job:
    metadata = details.metadata or {}
    return Job(
        id=details.submission_id or details.job_id,
        status=str(getattr(details.status, "value", details.status)),
        root=metadata.get(_OURS),
        stages=_stages(details.entrypoint or ""),
        started=(details.start_time or 0) / 1000,
        message=details.message or "",
    )


def _stages(command: str) -> tuple[str, ...]:
    """The stages that a job's command names; so those of Ray's own `ray job submit` are known, too."""
    try:
        words = shlex.split(command)
    except ValueError:
        return ()
    length = len(_COMMAND)
    return next((tuple(words[i + length :]) for i in range(len(words)) if tuple(words[i : i + length]) == _COMMAND), ())


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
