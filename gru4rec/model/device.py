"""The device a run asks for."""

from collections.abc import Mapping

import torch

from gru4rec.errors import DeviceError

DEVICES = ("auto", "cpu", "cuda")


def find_device(name: str) -> torch.device:
    """Return the device of that name; `auto` is the GPU where there is one.

    Raise DeviceError for another name, or if torch finds no GPU.
    """
    if name not in DEVICES:
        raise DeviceError(f"no device {name!r}; choose from {', '.join(DEVICES)}")
    if name == "cuda" and not torch.cuda.is_available():
        raise DeviceError(
            "device cuda was asked for, but torch finds no GPU here; use device cpu or auto",
            mend_with=["device"],
        )
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def has_fast_bf16(device: torch.device) -> bool:
    """Whether the device has instructions that multiply bf16."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # An older torch cannot tell.
    capabilities: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16"))
