"""`python -m pipelines.cli`, where the command is not installed."""

from pipelines.cli import main

main()
