"""The command `pix2pipe`: what is not a stage. A file here is a group of commands."""

import argparse
import os
import sys
from collections.abc import Sequence

from components.faults import Fault
from pipelines.cli import data, demo, jobs, review, study


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; a Fault is one line on stderr and status 1."""
    parser = argparse.ArgumentParser(prog="pix2pipe", description="What is not a stage of the graph (dvc repro).")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for group in (data, jobs, review, demo, study):
        group.add_commands(commands)
    chosen = parser.parse_args(arguments)
    try:
        chosen.run(chosen)
        sys.stdout.flush()
    except Fault as fault:
        sys.exit(f"pix2pipe: {fault}")
    except BrokenPipeError:  # `| head` has seen enough; nor must Python's own last flush fail
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
