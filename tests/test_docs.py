"""Every command of README.md and docs/ runs as it stands in a plain shell: its executable, options, files, params."""

import argparse
import contextlib
import io
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from packaging.requirements import Requirement

from pipelines.cli.parser import make_parser
from tests.review.helpers import MLFLOW_WARNS

pytestmark = [*MLFLOW_WARNS, pytest.mark.filterwarnings("ignore::DeprecationWarning")]  # of dvc, mlflow and ray
ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OURS = {script.name for script in entry_points(group="console_scripts")} | {"python", "pip"}  # of the environment
EVERYWHERE = {"base64", "cp", "docker", "kubectl", "make", "python3"}  # of the machine
KEPT = ("configs/", "deploy/", "tables/")  # folders whose files are under git; a command makes none there
MADE = {"tables/params.yaml"}


@dataclass
class Line:
    """One command of a block.

    Attributes:
        words: the executable and its arguments. place: PAGE:LINE. bins: folders of environments that earlier lines of
            the block made. on_path: whether one of them put the environment on the PATH.
    """

    words: list[str]
    place: str
    bins: set[str] = field(default_factory=set)
    on_path: bool = False


def blocks(text: str) -> Iterator[tuple[int, list[str]]]:
    """The lines of each fenced block of shell, or what stands behind `$` in a session; with the first one's number."""
    for found in re.finditer(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        number, lines = text.count("\n", 0, found.start(2)) + 1, found[2].splitlines()
        if found[1] == "console":
            lines = [line.removeprefix("$ ") if line.startswith("$ ") else "" for line in lines]
        if found[1] in ("sh", "console"):
            yield number, lines


def split(line: str) -> list[list[str]]:
    """The commands of a line, each as words; without comments, and where output is sent."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, "#"
    commands: list[list[str]] = [[]]
    words = iter(lexer)
    for word in words:
        if word in (">", ">>", "<"):
            next(words)
        elif set(word) <= set("();&|"):
            commands.append([])
        else:
            commands[-1].append(word)
    return [command for command in commands if command]


def lines_of(page: Path) -> Iterator[Line]:
    """Every command of a page."""
    return lines_of_text(page.read_text(encoding="utf-8"), page.relative_to(ROOT).as_posix())


def lines_of_text(text: str, name: str) -> Iterator[Line]:
    """Every command of a page's text."""
    for first, lines in blocks(text):
        bins, on_path, whole, start = {".venv/bin"}, False, "", first
        for number, line in enumerate(lines, first):
            start = start if whole else number
            whole += line.removesuffix("\\")
            if line.endswith("\\"):
                continue
            for words in split(whole):
                settings = [word for word in words if re.match(r"[A-Z_0-9]+=", word)]
                if words[0] == "export":
                    on_path |= any(re.match(r"PATH=\S*\.venv/bin:", word) for word in settings)
                elif rest := words[len(settings) if words[: len(settings)] == settings else 0 :]:
                    if rest[:3] == ["python3", "-m", "venv"]:
                        bins = bins | {f"{rest[3]}/bin"}
                    yield Line(rest, f"{name}:{start}", bins, on_path)
            whole = ""


def executable(line: Line) -> str:
    """The name of what a line runs, which is there as it is written."""
    folder, _, name = line.words[0].rpartition("/")
    if folder:
        assert folder in line.bins, f"{line.place}: there is no {folder}"
        assert name in OURS, f"{line.place}: no package of the project brings {name}"
    else:
        assert name in EVERYWHERE | (OURS if line.on_path else set()), f"{line.place}: {name} is not on the PATH"
    return name


def parsed_by(parse: Callable[[list[str]], Any]) -> Callable[[Line], Any]:
    """What a parser of argparse makes of a line's arguments."""

    def check(line: Line) -> Any:
        with contextlib.redirect_stderr(io.StringIO()) as said:
            try:
                return parse(line.words[1:])
            except SystemExit:
                pytest.fail(f"{line.place}: {' '.join(line.words)}: {said.getvalue()}")

    return check


def check_dvc(line: Line) -> None:
    """Sub-command and options, and the stages that `repro` names."""
    from dvc.cli import DvcParserError
    from dvc.cli.parser import get_main_parser

    try:
        chosen: argparse.Namespace = parsed_by(get_main_parser().parse_args)(line)
    except DvcParserError:  # which says no more
        pytest.fail(f"{line.place}: dvc takes no such arguments: {' '.join(line.words[1:])}")
    if chosen.cmd == "repro":
        stages = yaml.safe_load((ROOT / chosen.cd / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
        assert {target.partition("@")[0] for target in chosen.targets} <= stages.keys(), line.place


def click_checker(load: Callable[[], click.Command]) -> Callable[[Line], None]:
    """Sub-commands and options of a command made with click."""

    def check(line: Line) -> None:
        command, words = load(), line.words[1:]
        try:
            while True:
                context = command.make_context(line.words[0], list(words))
                if not isinstance(command, click.Group):
                    return
                words = [*context._protected_args, *context.args]
                _, found, words = command.resolve_command(context, words)
                assert found is not None
                command = found
        except click.ClickException as error:
            pytest.fail(f"{line.place}: {' '.join(line.words)}: {error.format_message()}")

    return check


def load_ray() -> click.Command:
    from ray.scripts.scripts import cli

    return cli


def load_mlflow() -> click.Command:
    from mlflow.cli import cli

    return cli


def check_python(line: Line) -> None:
    """The module that `-m` names."""
    assert line.words[1] == "-m", line.place
    assert find_spec(line.words[2]) is not None, f"{line.place}: there is no module {line.words[2]}"


def check_pip(line: Line) -> None:
    """The extras of this project that are installed."""
    assert line.words[1] == "install", line.place
    for requirement in map(Requirement, line.words[2:]):
        if requirement.name == PROJECT["name"]:
            assert requirement.extras <= PROJECT["optional-dependencies"].keys(), line.place


def check_make(line: Line) -> None:
    """The targets."""
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert {word for word in line.words[1:] if "=" not in word} <= set(targets), line.place


CHECKS: dict[str, Callable[[Line], Any]] = {
    "pix2pipe": parsed_by(lambda words: make_parser().parse_args(words)),
    "dvc": check_dvc,
    "ray": click_checker(load_ray),
    "mlflow": click_checker(load_mlflow),
    "python": check_python,
    "python3": check_python,
    "pip": check_pip,
    "make": check_make,
}


def check(line: Line) -> None:
    """All that a line names is there."""
    name = executable(line)
    if name in CHECKS:
        CHECKS[name](line)
    else:
        assert name in EVERYWHERE, f"{line.place}: no check knows the options of {name}"
    for word in line.words[1:]:
        if word.startswith(KEPT) and word not in MADE:
            assert (ROOT / word).is_file(), f"{line.place}: {word} is not there"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_run_as_they_stand(page):
    for line in lines_of(page):
        check(line)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_files_and_params_that_are_named_exist(page):
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"\bconfigs/[a-z0-9_/]+\.yaml", text):
        assert (ROOT / name).is_file(), f"{page}: {name}"
    for param in re.findall(r"(?:-S|--set-param)[ =]([\w.]+)=", text):
        place = PARAMS
        for key in param.split("."):
            assert key in place, f"{page}: params.yaml has no {param}"
            place = place[key]


def test_no_command_hides_in_an_indented_block():
    first = re.compile(rf"^ {{4,}}(?:[A-Z_]+=\S+ )*(?:\S*/bin/)?({'|'.join(CHECKS)}) ")
    hidden = []
    for page in PAGES:
        text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
        hidden += [f"{page}: {line}" for line in text.splitlines() if first.match(line)]
    assert hidden == []


def test_there_are_commands_to_check():
    names = [line.words[0].rpartition("/")[2] for page in PAGES for line in lines_of(page)]
    assert len(names) > 60
    assert set(names) >= CHECKS.keys()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("dvc repro", "dvc is not on the PATH"),
        (".venv/bin/pix2pip use configs/facades.yaml", "no package of the project brings pix2pip"),
        (".venv/bin/pix2pipe use configs/facade.yaml", "configs/facade.yaml is not there"),
        (".venv/bin/pix2pipe usage configs/facades.yaml", "invalid choice: 'usage'"),
        ("A=1 .venv/bin/pix2pipe jobs --all  # comment", "unrecognized arguments: --all"),
        (".venv/bin/pix2pipe jobs && .venv/bin/dvc reprise", "dvc takes no such arguments: reprise"),
        (".venv/bin/dvc repro trains", "page.md:2"),
        (".venv/bin/dvc repro --forse", "dvc takes no such arguments: repro --forse"),
        (".venv/bin/ray start --heads", "No such option"),
        (".venv/bin/ray begin", "No such command"),
        (".venv/bin/mlflow ui --ports 1", "No such option"),
        (".venv/bin/python -m pipelines.trains", "no module pipelines.trains"),
        (".venv/bin/pip install 'pix2pipe[exports]'", "page.md:2"),
        ("make demos", "page.md:2"),
        ("/tmp/x/bin/ray start --head", "there is no /tmp/x/bin"),
    ],
)
def test_what_does_not_run_is_found(text, said):
    *good, bad = lines_of_text(f"```sh\n{text}\n```\n", "page.md")
    for line in good:
        check(line)
    with pytest.raises((AssertionError, pytest.fail.Exception), match=re.escape(said)):
        check(bad)
