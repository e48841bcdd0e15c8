"""How exactly a GPU computes: TF32, the choice of kernels, determinism."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from components.training.config import TrainConfig


@contextmanager
def numerics(config: TrainConfig, device: torch.device) -> Iterator[None]:
    """Inside the block a GPU computes as the params say; a CPU computes as ever, and gives the same bits each time."""
    if device.type != "cuda":
        yield
        return
    cudnn = torch.backends.cudnn
    before = cudnn.allow_tf32, torch.get_float32_matmul_precision(), cudnn.benchmark, cudnn.deterministic
    filling: Any = torch.utils.deterministic  # with NaN, which finds errors and costs a kernel for each new tensor
    fill = filling.fill_uninitialized_memory
    # cuBLAS reads it when it is first used; without it the same product may round differently from call to call.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    cudnn.allow_tf32 = config.tf32
    torch.set_float32_matmul_precision("high" if config.tf32 else "highest")
    cudnn.benchmark = config.cudnn_benchmark and not config.deterministic
    cudnn.deterministic = config.deterministic
    torch.use_deterministic_algorithms(config.deterministic)
    filling.fill_uninitialized_memory = False
    try:
        yield
    finally:
        cudnn.allow_tf32, precision, cudnn.benchmark, cudnn.deterministic = before
        torch.set_float32_matmul_precision(precision)
        torch.use_deterministic_algorithms(False)
        filling.fill_uninitialized_memory = fill
