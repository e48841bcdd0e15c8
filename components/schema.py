"""Section: the base of every part of params.yaml."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A frozen, typed group of params; unknown keys are refused (components/params.py words the refusal)."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
