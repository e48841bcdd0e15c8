"""What the commands' parsers have in common: a sentence, an example, and --params."""

import argparse
from pathlib import Path
from typing import TypeAlias

PARAMS = Path("params.yaml")
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_command(
    commands: Commands, name: str, run: str, does: str, example: str, more: str = ""
) -> argparse.ArgumentParser:
    """A command with its sentence in the list, the same and more in its own help, and an example."""
    command = commands.add_parser(
        name,
        help=does[0].lower() + does[1:].rstrip("."),
        description=f"{does} {more}".strip(),
        epilog=f"example: {example}",
    )
    command.set_defaults(run=run)
    return command


def add_params(command: argparse.ArgumentParser, default: Path = PARAMS, why: str = "") -> None:
    """Give a command `--params`; `why` begins its help."""
    command.add_argument("--params", type=Path, default=default, help=f"{why}default: {default}")
