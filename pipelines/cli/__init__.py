"""The command `pix2pipe`, for everything that is not a stage. parser.py lists the commands; the other files run
them."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from components.faults import Fault, faults_of_the_machine
from pipelines.cli.parser import make_parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; a Fault is one line on stderr and status 1, Ctrl-C status 130."""
    chosen = make_parser().parse_args(arguments)
    module, _, function = chosen.run.partition(":")
    try:
        with faults_of_the_machine():
            getattr(import_module(f"pipelines.cli.{module}"), function)(chosen)
            sys.stdout.flush()
    except Fault as fault:
        sys.exit(f"pix2pipe: {fault}")
    except KeyboardInterrupt:
        sys.stderr.write("\npix2pipe: stopped\n")
        sys.exit(130)
    except BrokenPipeError:  # `| head` has seen enough; nor must Python's own last flush fail
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
