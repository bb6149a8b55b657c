"""The device a run asks for."""

import torch

from gru4rec.errors import DeviceError

DEVICES = ("auto", "cpu", "cuda")


def find_device(name: str) -> torch.device:
    """`auto` is the GPU where there is one. Raises DeviceError if there is no such device."""
    if name not in DEVICES:
        raise DeviceError(f"no device {name!r}; choose from {', '.join(DEVICES)}")
    if name == "cuda" and not torch.cuda.is_available():
        raise DeviceError(
            "device cuda was asked for, but torch finds no GPU here; use --device cpu or auto"
        )
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)
