"""Params: params.yaml, typed and validated once at the top of every stage."""

import difflib
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from components.evaluation.config import EvaluateConfig
from components.faults import Fault
from components.pages.config import ReportConfig
from components.schema import Section
from components.shards.config import ShardConfig
from components.sources import FetchConfig
from components.systems import SystemConfig
from components.systems.judge import JudgeConfig
from components.systems.translator import GenerateConfig
from components.tracking.config import RegisterConfig
from components.training.config import TrainConfig


class Params(Section):
    """Every knob of a run: one section a stage, and `system`."""

    fetch: FetchConfig
    shard: ShardConfig
    judge: JudgeConfig
    system: SystemConfig
    train: TrainConfig
    generate: GenerateConfig
    evaluate: EvaluateConfig
    register_: RegisterConfig
    report: ReportConfig
