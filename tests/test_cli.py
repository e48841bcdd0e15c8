"""The command: verify, sources, use."""

import argparse
import ast
import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from components.faults import Fault, faults_of_the_machine
from components.training.export import COMMIT, git_commit
from pipelines import cli
from pipelines.cli.parser import make_parser

FACADES = Path("configs/facades.yaml")
HEAVY = {
    *("torch", "ray", "mlflow", "scipy", "fastapi", "numpy", "pyarrow", "pandas", "matplotlib", "PIL", "dvc", "optuna"),
}


def test_use_refuses_what_does_not_validate(tmp_path):
    params = tmp_path / "params.yaml"
    params.write_text(Path("params.yaml").read_text())
    before = params.read_text()
    fragment = tmp_path / "f.yaml"
    fragment.write_text("fetch:\n  name: folder\n  path: x\n  layuot: folders\n")
    with pytest.raises(SystemExit, match="layuot"):
        cli.main(["use", str(fragment), "--params", str(params)])
    assert params.read_text() == before
    with pytest.raises(SystemExit, match="not found"):
        cli.main(["use", str(tmp_path / "none.yaml"), "--params", str(params)])


def test_use_facades(tmp_path, capsys):
    params = tmp_path / "params.yaml"
    params.write_text(Path("params.yaml").read_text())
    cli.main(["use", str(FACADES), "--params", str(params)])
    assert yaml.safe_load(params.read_text())["shard"]["cut"]["name"] == "folder"
    assert "took fetch, shard" in capsys.readouterr().out


def test_sources_are_listed(capsys):
    cli.main(["sources"])
    out = capsys.readouterr().out
    assert "earth:" in out
    assert "folder:" in out
    assert "stride=32" in out


def test_verify_exit_status(tiny_shards, tmp_path, capsys):
    cli.main(["verify", str(tiny_shards)])
    assert "24 samples in 3 shards" in capsys.readouterr().out
    with pytest.raises(SystemExit, match=r"manifest\.json: not found"):
        cli.main(["verify", str(tmp_path)])


def test_a_reader_that_has_gone_is_no_traceback():
    command = f"{sys.executable} -m pipelines.cli sources | true"  # gone long before the first line
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120)
    assert done.stderr == ""


def all_parsers(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    """A parser and those of all its commands."""
    inner = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return [parser, *(below for action in inner for each in action.choices.values() for below in all_parsers(each))]


def test_help_says_what_each_command_does_with_an_example():
    commands = all_parsers(make_parser())[1:]
    assert len(commands) == 19
    for command in commands:
        assert command.description, command.prog
        assert f"example: {'RAY' if 'submit' in command.prog else 'pix2pipe'}" in command.epilog, command.prog
        plain = [action for action in command._actions if not isinstance(action, argparse._SubParsersAction)]
        assert all(action.help for action in plain), command.prog


@pytest.mark.parametrize("command", [parser.prog for parser in all_parsers(make_parser())])
def test_help_is_quick_because_it_imports_nothing_heavy(command):
    arguments = [*command.split()[1:], "--help"]
    code = (
        "import sys\n"
        "from pipelines import cli\n"
        "try: cli.main(sys.argv[1:])\n"
        "finally: sys.stderr.write(' '.join({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.startswith(f"usage: {command} ")) == (0, True)
    imported = set(done.stderr.split())
    assert "pipelines" in imported
    assert imported & HEAVY == set()


def test_commands_about_jobs_do_not_wait_for_torch():
    code = "import sys, pipelines.cli.jobs; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert "components" in done.stdout.split()
    assert not {"torch", "ray", "mlflow", "scipy", "matplotlib"} & set(done.stdout.split())


def test_every_command_leads_to_a_function():
    for command in all_parsers(make_parser()):
        if address := command.get_default("run"):
            module, _, function = address.partition(":")
            tree = ast.parse((Path("pipelines/cli") / f"{module}.py").read_text())
            assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, address


def test_version(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("pix2pipe 0.")


def test_what_the_machine_refuses_is_one_line():
    for number in (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EMFILE):
        with pytest.raises(Fault, match=r"place: .*; .* run again"), faults_of_the_machine():
            raise OSError(number, "refused", "place")
    with pytest.raises(FileNotFoundError), faults_of_the_machine():  # a mistake of the program keeps its traceback
        Path("nowhere").read_bytes()


@pytest.mark.slow  # the next test holds every file to UTF-8
def test_a_terminal_of_ascii_and_a_file_of_more(tmp_path):
    (tmp_path / "params.yaml").write_text(Path("params.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "f.yaml").write_text("register:\n  model: Häuser 夏\n", encoding="utf-8")
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONPATH": str(Path.cwd())}
    command = [sys.executable, "-m", "pipelines.cli", "use", "f.yaml"]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ | plain, capture_output=True, text=True, timeout=120)
    assert "Traceback" not in done.stderr
    assert (done.returncode, "Häuser 夏" in (tmp_path / "params.yaml").read_text(encoding="utf-8")) == (0, True)


def test_every_text_file_is_opened_as_utf_8():
    opened = re.compile(r"\.(read_text\(\)|open\(\"[arw]\"\)|open\(\) as)")
    bare = [
        f"{path}:{number}"
        for folder in ("components", "pipelines")
        for path in Path(folder).rglob("*.py")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if opened.search(line.split("#")[0].rstrip())
    ]
    assert bare == []


def test_a_commit_that_git_does_not_tell_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(COMMIT, raising=False)
    assert (git_commit(), capsys.readouterr().err) == ("", "")  # no repository
    (tmp_path / ".git").mkdir()
    assert git_commit() == ""
    assert str(tmp_path) in capsys.readouterr().err
    (tmp_path / ".git").rmdir()
    subprocess.run(["git", "init", "-q"], check=True)
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # git's own switch for its own tests
    assert git_commit() == ""
    assert "safe.directory" in capsys.readouterr().err
