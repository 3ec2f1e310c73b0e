"""Where a job computes: device, precision, and how many processes share the work.

Takes settings, gives an `Accelerator` and a context for the forward pass. One process alone, several GPUs under
`accelerate launch` and the workers of Ray Train look the same from here on.
"""

from __future__ import annotations

import warnings
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from accelerate import Accelerator

from finetune.lora.settings import LoraSettings
from tasteline.errors import SetupError


@dataclass(frozen=True, slots=True)
class Hardware:
    accelerator: Accelerator
    precision: torch.dtype
    """Of the forward pass."""

    @classmethod
    def of(cls, settings: LoraSettings) -> Hardware:
        """Raises SetupError where a GPU is asked for and there is none."""
        require_device(settings)
        with warnings.catch_warnings():  # of a process group that it makes for several processes
            warnings.simplefilter("ignore")
            accelerator = Accelerator(cpu=settings.device == "cpu")
        return cls(accelerator, _precision(settings, accelerator.device))

    @property
    def device(self) -> torch.device:
        device: torch.device = self.accelerator.device
        return device

    @property
    def loaded(self) -> torch.dtype:
        """Of frozen weights of an encoder: on a CPU they are few, and measuring then sees what will be served."""
        return self.precision if self.device.type == "cuda" else torch.float32

    def autocast(self) -> AbstractContextManager[object]:
        if self.precision == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.precision)


def require_device(settings: LoraSettings) -> None:
    """Raises SetupError where a GPU is asked for and there is none."""
    if settings.device == "gpu" and not torch.cuda.is_available():
        raise SetupError("There is no GPU here.", remedy="tasteline train … --set device=cpu")


def _precision(settings: LoraSettings, device: torch.device) -> torch.dtype:
    if settings.precision != "auto":
        return torch.bfloat16 if settings.precision == "bfloat16" else torch.float32
    if device.type == "cuda":
        able = torch.cuda.is_bf16_supported()
    else:  # AVX-512 with bfloat16 (some 190 billion operations a second on one core where float32 has 80), or tiles
        able = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if able else torch.float32
