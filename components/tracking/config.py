"""Params of the register stage."""

from pydantic import Field

from components.samples.schema import Section


class RegisterConfig(Section):
    """The names under which a run is kept.

    The server is given by the environment variable MLFLOW_TRACKING_URI and not by a param, so that the same params.yaml
    works on a laptop and on a cluster.

    Attributes:
        model: name of the registered model; MLflow refuses slashes and colons in it. The second translation of a
            system that has two is registered as MODEL-SOURCE-to-TARGET.
        experiment: the experiment that holds the graph's runs.
        alias: the alias that each new version gets.
    """

    model: str = Field("pix2pix-earth", pattern=r"^[^/:]+$")
    experiment: str = Field("pix2pipe", min_length=1)
    alias: str = Field("candidate", pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")
