"""All kernels compile for GPUs that are not there, and take no more of them than there is."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest


@pytest.mark.kernels
@pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")
def test_kernels_compile_and_fit_on_the_chip(tmp_path):
    # The interpreter takes what the compiler refuses, and knows no end of shared memory.
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    found = subprocess.run(
        [sys.executable, Path(__file__).with_name("kernel_compiler.py")],
        env={**environment, "TRITON_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    kernels = [json.loads(line) for line in found.stdout.splitlines()]
    # 128 units do not fit on the chip of 99 KiB.
    layers = [(capability, name) for name, capability, *_ in kernels if "'H': 128" in name]
    assert sorted({capability for capability, _ in layers}) == [80, 90]
    for name, capability, taken, room in kernels:
        assert taken <= room, f"{name} takes {taken} of {room} bytes of sm_{capability}"
