"""Stages as jobs: the job itself, and through a real Ray head that wants a token."""

import os
import re
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import boto3
import pytest
import yaml
from moto.server import ThreadedMotoServer
from ray.dashboard.modules.job.pydantic_models import JobDetails

from components.cluster import submit as home
from components.cluster.job import check_packages
from components.cluster.jobs import Jobs, _job
from components.cluster.state import State
from components.cluster.upload import listed, pack
from components.faults import Fault
from tests.storage.s3 import forget_clients
from tests.test_graph import ROOT, Project, ran

BIN = Path(sys.executable).parent
MOTO_WARNINGS = pytest.mark.filterwarnings(
    "ignore::ResourceWarning",  # moto's server leaves its sockets to the interpreter's end
    "ignore::pytest.PytestUnraisableExceptionWarning",  # the same sockets, found by the collector
)


class Small(Project):
    """A project whose first two stages take seconds, driven by the pix2pipe command."""

    def __init__(self, folder: Path, root: str, **environment: str) -> None:
        folder.mkdir(parents=True)
        super().__init__(folder)
        for name in ("pyproject.toml", ".gitignore", ".rayignore"):
            shutil.copy(ROOT / name, folder / name)
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")} | {
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(folder),
            "PIX2PIPE_ROOT": root,
            **environment,
        }

    def command(self, *command: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env={key: value for key, value in (self.environment | environment).items() if value},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *command: str, status: int = 0, **environment: str) -> str:
        process = self.command(*command, **environment)
        output, _ = process.communicate(timeout=400)
        assert process.returncode == status, output
        assert "Traceback" not in output
        return output

    def job(self, *stages: str, status: int = 0, **environment: str) -> str:
        """What the cluster would run, without a cluster."""
        return self.run(sys.executable, "-m", "components.cluster.job", *stages, status=status, **environment)

    def pix2pipe(self, *arguments: str, status: int = 0, **environment: str) -> str:
        return self.run(sys.executable, "-m", "pipelines.cli", *arguments, status=status, **environment)

    def dvc_status(self, *stages: str) -> str:
        return self.run(sys.executable, "-m", "dvc", "status", *stages)


@pytest.fixture
def small(tmp_path):
    return Small(tmp_path / "project", str(tmp_path / "root"))


# The upload


def test_the_upload_is_what_the_stages_read_and_nothing_of_this_machine(small, tmp_path):
    for name in ("data/raw/x", ".pix2pipe/x", ".dvc/config.local", ".dvc/cache/x", ".env", "dvc.lock", ".git/x"):
        (small.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (small.folder / name).write_text("x")
    names = {path.relative_to(small.folder).as_posix() for path in listed(small.folder)}
    assert {"dvc.yaml", "params.yaml", ".dvcignore", ".dvc/config", "pipelines/shard.py", "pictures/val/0.png"} <= names
    kept = {"data/study/result.json"}  # what git has of data/
    assert not [name for name in names - kept if re.match(r"(data|\.pix2pipe|\.git|\.env|dvc\.lock)(/|$)", name)]
    assert not names & {".dvc/config.local", ".dvc/cache/x"}
    first, again = pack(small.folder, tmp_path / "a"), pack(small.folder, tmp_path / "b")
    assert first.archive.read_bytes() == again.archive.read_bytes()
    assert str(first).startswith(f"{len(names)} files, ")
    (small.folder / "params.yaml").write_text("{}")
    assert pack(small.folder, tmp_path / "a").archive.name != first.archive.name


def test_the_upload_of_this_project_has_what_stages_depend_on_and_no_tests():
    names = {path.relative_to(ROOT).as_posix() for path in listed(ROOT)}
    graph = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    needed = {dep for stage in graph.values() for dep in stage.get("deps", []) if not dep.startswith("data/")}
    assert not [dep for dep in needed if dep not in names and not any(name.startswith(f"{dep}/") for name in names)]
    assert {"pipelines/run", "params.yaml", "pyproject.toml"} <= names
    assert not [name for name in names if name.startswith(("tests/", "docs/", "benchmarks/"))]


def test_a_job_of_one_stage_is_listed_as_one_whoever_sent_it():
    def sent(command: str) -> tuple[str, ...]:
        return _job(JobDetails(type="SUBMISSION", submission_id="a", status="RUNNING", entrypoint=command)).stages

    assert sent("python -m components.cluster.job train") == ("train",)
    assert sent("env A=1 python -m components.cluster.job train generate") == ("train", "generate")
    assert sent("python -m components.cluster.job") == ()
    assert sent("echo 'unclosed") == ()


def test_an_upload_of_forgotten_data_is_refused_with_the_largest_names(small, tmp_path):
    (small.folder / "weights.bin").write_bytes(bytes(21 << 20))
    with pytest.raises(Fault, match=r"2\d MB to upload.*\.rayignore.*weights\.bin \(22\.0 MB\)"):
        pack(small.folder, tmp_path)


# The job, as the cluster runs it


def test_a_job_keeps_each_finished_stage_and_the_next_one_goes_on(small, tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    small.environment["TMPDIR"] = str(scratch)
    bad = small.folder / "pictures/train/bad.png"
    bad.write_bytes(b"no picture")
    output = small.job("shard", status=1)
    assert ran(output) == ["fetch", "shard"]
    assert re.search(r"^shard: .*bad", output, re.MULTILINE)
    assert "job: failed to reproduce 'shard': failed to run: sh pipelines/run shard" in output
    small.set("shard.max_bad", 1)
    output = small.job("shard")
    assert ran(output) == ["shard"]
    assert "job: kept at " in output
    assert [path.name for path in (small.folder / "data").iterdir()] == ["study"]  # as before
    left = [path.name for path in scratch.iterdir() if not path.name.startswith("torchinductor_")]  # torch's own cache
    assert left == []  # no workspace is left behind


@MOTO_WARNINGS
@pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")  # pygtrie, through DVC
def test_a_root_in_an_object_store(tmp_path, monkeypatch):
    server = ThreadedMotoServer(port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        secrets_of_the_node = {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        for name, value in secrets_of_the_node.items():
            monkeypatch.setenv(name, value)
        forget_clients()
        boto3.client("s3").create_bucket(Bucket="bucket")
        small = Small(tmp_path / "project", "s3://bucket/prefix")
        assert ran(small.job("fetch")) == ["fetch"]
        State("s3://bucket/prefix").bring_home(small.folder, ["fetch"])
        assert "up to date" in small.dvc_status("fetch")
        (small.folder / "data/raw/mine.txt").write_text("mine")
        with pytest.raises(Fault, match=r"saved nowhere else \(.*data/raw/mine\.txt\); move those away"):
            State("s3://bucket/prefix").bring_home(small.folder, ["fetch"])
        output = small.job("fetch", status=1, PIX2PIPE_ROOT="s3://nobody/prefix")
        assert ran(output) == []
        assert "job: PIX2PIPE_ROOT=s3://nobody/prefix: " in output
    finally:
        forget_clients()
        server.stop()


def test_packages_that_a_node_lacks_are_named(tmp_path, capsys):
    project = tmp_path / "pyproject.toml"
    project.write_text('[project]\ndependencies = ["torch>=1", "ray[train]<1", "no-such-package"]\n')
    with pytest.raises(Fault, match=r"lacks ray \(.*, not <1\), no-such-package \(missing\)"):
        check_packages(project, "")
    check_packages(ROOT / "pyproject.toml", "torch=0.1")
    assert re.search(r"note: torch is \S+ here and 0\.1 where the job was submitted", capsys.readouterr().err)


# Settings


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"PIX2PIPE_ROOT": ""}, "PIX2PIPE_ROOT is not set; set it to a folder that all nodes share or to s3://"),
        ({"PIX2PIPE_ROOT": "here"}, "PIX2PIPE_ROOT=here: not an absolute path"),
        ({"RAY_API_SERVER_ADDRESS": ""}, "RAY_API_SERVER_ADDRESS is not set"),
        ({"RAY_API_SERVER_ADDRESS": "head:8265"}, "give the http address"),
        ({"RAY_API_SERVER_ADDRESS": "http://127.0.0.1:9"}, "http://127.0.0.1:9: nobody answers"),
    ],
)
def test_a_setting_that_is_missing_or_wrong_is_one_line_in_seconds(small, monkeypatch, environment, said):
    for name, value in ({"PIX2PIPE_ROOT": "/r", "RAY_API_SERVER_ADDRESS": "http://127.0.0.1:9"} | environment).items():
        monkeypatch.setenv(name, value)
    began = time.perf_counter()
    with pytest.raises(Fault, match=re.escape(said)):
        home.submit(small.folder, [], detach=False)
    assert time.perf_counter() - began < 10


def test_a_stage_that_is_not_there_is_refused_with_those_that_are(small, monkeypatch):
    monkeypatch.setenv("PIX2PIPE_ROOT", "/r")
    with pytest.raises(Fault, match="trian: no such stage; there are fetch, shard, "):
        home.submit(small.folder, ["trian"], detach=False)


# Through Ray


class Head:
    """A Ray head of its own: ports, folder and token; a child that is ended with its group."""

    def __init__(self, folder: Path, token: str | None) -> None:
        port, dashboard, agent, client = (free_port() for _ in range(4))
        self.address, self.ray_address = f"http://127.0.0.1:{dashboard}", f"127.0.0.1:{port}"
        self.auth = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token} if token else {"RAY_AUTH_MODE": "disabled"}
        command = f"""{BIN}/ray start --head --port {port} --dashboard-port {dashboard} --include-dashboard true
            --dashboard-agent-listen-port {agent} --ray-client-server-port {client} --min-worker-port 0
            --max-worker-port 0 --temp-dir {folder} --num-cpus 2 --disable-usage-stats --block"""
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("RAY_", "AWS_"))}
        path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
        self.log = (folder.parent / f"{folder.name}.log").open("w")
        self.process = subprocess.Popen(
            shlex.split(command),
            env=environment | self.auth | {"PATH": path, "PYTHONPATH": ""},
            stdout=self.log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        deadline = time.time() + 180
        while not self._answers():
            if time.time() > deadline or self.process.poll() is not None:
                self.stop()
                raise AssertionError(f"the head did not start: {Path(self.log.name).read_text()}")
            time.sleep(0.2)

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.address}/api/authentication_mode", timeout=5).close()
        except OSError:
            return False
        return True

    def stop(self) -> None:
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(3)  # a head takes its time, and nothing of this one is to be kept
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.log.close()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture(scope="module")
def short_folder():
    """Ray's sockets lie in it, and their paths are limited to 107 bytes, which pytest's folders use up."""
    folder = Path(f"/tmp/p{secrets.token_hex(3)}")
    folder.mkdir()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def head(short_folder):
    head = Head(short_folder / "h", secrets.token_hex(16))
    yield head
    head.stop()


@pytest.fixture
def project(tmp_path, head):
    return Small(tmp_path / "p", str(tmp_path / "root"), RAY_API_SERVER_ADDRESS=head.address, **head.auth)


def test_a_submitted_job_is_streamed_and_its_results_are_home(project):
    output = project.pix2pipe("submit", "shard")
    assert re.search(r"sends \d+ files, [\d,]+ kB \(\d+ kB packed\) to http", output)
    assert ran(output) == ["fetch", "shard"]
    assert "data/shards: 16 train, 6 val, 6 test; 0 bad samples left out" in output
    assert "copied here: data/raw, data/shards" in output
    assert "up to date" in project.dvc_status("shard")
    assert (project.folder / "data/shards/manifest.json").exists()
    assert "takes jobs from anybody" not in output
    assert len(output.splitlines()) < 40  # bars do not fill the log

    output = project.pix2pipe("submit", "shard")
    assert ran(output) == []
    assert "nothing new" in output

    project.set("fetch.path", "nowhere")
    output = project.pix2pipe("submit", "shard", status=1)
    assert re.search(r"^fetch: .*nowhere", output, re.MULTILINE)
    assert re.search(r"^pix2pipe: job \w+: failed$", output, re.MULTILINE)


@pytest.mark.slow
def test_a_job_is_detached_from_refused_twice_attached_to_and_listed(project, head):
    # A stage that waits until it is let go.
    gate = project.folder.parent / "gate"
    graph = project.folder / "dvc.yaml"
    stages = yaml.safe_load(graph.read_text())["stages"]
    stages["shard"]["cmd"] = f"echo waits; until test -e {gate}; do sleep 0.1; done; {stages['shard']['cmd']}"
    graph.write_text(yaml.safe_dump({"stages": stages}))

    process = project.command(sys.executable, "-m", "pipelines.cli", "submit", "shard")
    shown = ""
    for line in process.stdout:
        shown += line
        if line == "waits\n":
            break
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == 130, shown + rest
    job = re.search(r"detached; job (\w+) goes on: `pix2pipe attach \1`", rest)[1]

    output = project.pix2pipe("submit", "shard", status=1)
    assert f"job {job} is at work on {project.environment['PIX2PIPE_ROOT']}: follow it with" in output
    assert re.search(rf"{job}  RUNNING   .*shard ", project.pix2pipe("jobs"))

    gate.touch()
    output = project.pix2pipe("attach", job)
    assert ran(output) == ["fetch", "shard"]  # from the beginning of the log
    assert "up to date" in project.dvc_status("shard")
    assert re.search(rf"{job}  SUCCEEDED ", project.pix2pipe("jobs"))

    gate.unlink()
    project.set("shard.samples_per_shard", 4)
    output = project.pix2pipe("submit", "--detach", "shard", AWS_SECRET_ACCESS_KEY="hidden", AWS_REGION="eu-north-1")
    job = re.search(r"`pix2pipe attach (\w+)`", output)[1]
    request = urllib.request.Request(
        f"{head.address}/api/jobs/", headers={"Authorization": f"Bearer {head.auth['RAY_AUTH_TOKEN']}"}
    )
    with urllib.request.urlopen(request) as answer:
        shown = answer.read().decode()
    assert job in shown
    assert "eu-north-1" in shown
    assert "hidden" not in shown
    assert head.auth["RAY_AUTH_TOKEN"] not in shown

    project.pix2pipe("stop", job)
    assert f"job {job}: stopped" in project.pix2pipe("attach", job, status=1)
    assert "no job raysubmit_none" in project.pix2pipe("attach", "raysubmit_none", status=1)


@pytest.mark.parametrize(
    ("auth", "said"),
    [
        ({"RAY_AUTH_MODE": "", "RAY_AUTH_TOKEN": ""}, "Authentication required"),
        pytest.param({"RAY_AUTH_TOKEN": "f" * 32}, "Authentication failed", marks=pytest.mark.slow),
        pytest.param(
            {"RAY_AUTH_TOKEN": "", "RAY_AUTH_TOKEN_PATH": "/nowhere"}, "cannot be opened", marks=pytest.mark.slow
        ),
    ],
)
def test_a_token_that_is_missing_or_wrong_is_one_line(project, auth, said):
    output = project.pix2pipe("submit", "shard", status=1, **auth)
    assert re.search(rf"^pix2pipe: RAY_API_SERVER_ADDRESS=.*{said}.*; set RAY_AUTH_MODE=token, and", output)
    assert len(output.splitlines()) == 1


@pytest.mark.slow
def test_the_bare_line_of_the_docs_works(project):
    line = re.search(r"/bin/(ray job submit .*?)```", (ROOT / "docs/cluster.md").read_text(), re.DOTALL)[1]
    output = project.run("bash", "-ec", line.replace("STAGE", "fetch"))
    assert ran(output) == ["fetch"]
    assert (Path(project.environment["PIX2PIPE_ROOT"]) / "dvc.lock").exists()


@pytest.mark.slow
def test_a_training_in_a_job_and_from_a_driver_outside_it(project, head):
    """The same stage through Ray's workers: in a job, and with RAY_ADDRESS from this machine."""
    project.set("train.num_workers", 2)
    output = project.pix2pipe("submit", "train")
    assert ran(output) == ["fetch", "shard", "judge", "tune", "train"]
    project.set("train.seed", 1)
    output = project.run(sys.executable, "-m", "dvc", "repro", "train", RAY_ADDRESS=head.ray_address)
    assert ran(output) == ["tune", "train"]
    output = project.run(
        sys.executable, "-m", "pipelines.train", status=1, RAY_ADDRESS=head.ray_address, RAY_AUTH_MODE=""
    )
    assert "set RAY_AUTH_MODE=token" in output


@pytest.mark.slow
def test_a_cluster_that_takes_anybody_is_named(short_folder, tmp_path, monkeypatch):
    head = Head(short_folder / "o", None)
    try:
        assert "takes jobs from anybody who reaches it" in Jobs(head.address).notes()[0]
    finally:
        head.stop()
