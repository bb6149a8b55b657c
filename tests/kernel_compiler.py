"""Compile all kernels for GPUs that need not be there, and print what each takes of its chip.

A program of its own: Triton either interprets or compiles, as the environment says when it is
imported.
"""

import json
from types import SimpleNamespace

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from gru4rec.model import unit_kernels
from gru4rec.model.encoders import dropout_kernels, gru_before_kernels, gru_kernels
from gru4rec.training import dense_kernels, row_kernels
from gru4rec.training.static import candidate_kernels, input_kernels, loss_kernels, window_kernels

# compute capability and bytes of shared memory a program can have: A100, L4, H100
CHIPS = {80: 166_912, 89: 101_376, 90: 232_448}

NUMBERS = {"T", "B", "C", "stride", "width", "num_rows", "num_places", "count", "least"}
INDICES = {"used", "owners", "sessions", "targets", "places"}
OTHERS = {
    "starts": "*i1", "filled": "*i1", "bits": "*i16", "momentum": "fp32", "scale": "fp32",
    "factor": "fp32", "loss_sum": "*fp64",
}  # fmt: skip


def type_of(name: str) -> str:
    if name in NUMBERS:
        return "i32"
    if name in INDICES:
        return "*i64"
    return OTHERS.get(name, "*fp32")


def places_of(signature):
    """The place of each argument and its type; of a tuple those of its parts."""
    for place, type_ in enumerate(signature.values()):
        if isinstance(type_, str):
            yield (place,), type_
        else:
            yield from (((place, number), part) for number, part in enumerate(type_))


def report(kernel, capability, constants, num_warps=4, **types):
    """Compile with pointers that torch aligns, and print."""
    signature = {
        name: "constexpr" if name in constants else types.get(name, type_of(name))
        for name in kernel.arg_names
    }
    aligned = {
        place: [["tt.divisibility", 16]]
        for place, type_ in places_of(signature)
        if type_.startswith("*")
    }
    compiled = triton.compile(
        ASTSource(kernel, signature, constants, aligned),
        target=GPUTarget("cuda", capability, 32),
        options={"num_warps": num_warps},
    )
    name = f"{kernel.fn.__module__.split('.')[-1]}.{kernel.__name__} {constants}"
    print(json.dumps([name, capability, compiled.metadata.shared, CHIPS[capability]]))  # noqa: T201


def report_layers(capability):
    """Compile the GRU layers with the most units the chip takes, and with a few."""
    chip = SimpleNamespace(
        shared_memory_per_block=49_152, shared_memory_per_block_optin=CHIPS[capability]
    )
    torch.cuda.get_device_properties = lambda _: chip
    for num_units in (5, 64, 128):
        steps = gru_kernels.steps_at_once(num_units, torch.device("cuda"))
        padded = gru_kernels.padded_units(num_units)
        sizes = {"H": num_units, "P": padded, "L": 16, "S": steps}
        if steps:
            for module in (gru_kernels, gru_before_kernels):
                for kernel in (module._forward, module._backward):
                    report(kernel, capability, sizes, padded // 16)


# Of the windows and candidates: where nothing is said a pointer to int64.
TYPES = {
    "i32": "height lanes num_sides stretches num_points halvings num_places num_draws num_items "
    "num_rows num_columns draws_of_window",
    "*i1": "all_begins begins filled",
    "*i32": "all_sides flags ranks",
    "*fp32": "rate_factor correction",
    "*fp64": "all_figures figures points cumulative others log_untargeted log_unsampled "
    "log_support",
}


def report_candidates(capability):
    """Compile the kernels of windows and candidates."""

    def take(kernel, constants):
        types = {name: type_ for type_, names in TYPES.items() for name in names.split()}
        report(
            kernel, capability, constants, **{**dict.fromkeys(kernel.arg_names, "*i64"), **types}
        )

    for endless in (False, True):
        take(window_kernels._read, {"ENDLESS": endless, "LANES": 32, "ROWS": 32})
    take(window_kernels._read, {"ENDLESS": False, "LANES": 1, "ROWS": 1, "height": 1, "lanes": 1})
    block = {"BLOCK": 256}
    take(candidate_kernels._find, block)
    for yes in (False, True):
        take(candidate_kernels._mark, {"COUNTS": yes, **block})
        take(candidate_kernels._flag, {"SHARED": yes, **block})
        for logq in (0.0, 0.4):
            form = {"SHARED": yes, "LOGQ": logq, "ALPHA": 0.5, **block}
            take(candidate_kernels._list, form)
            take(candidate_kernels._list, {"log_support": None, **form})


if __name__ == "__main__":
    for capability in CHIPS:
        report_layers(capability)
    indexed = {"rows": "*i64"}
    report(row_kernels._update, 90, {"ROWS": 8, "COLUMNS": 128}, **indexed)
    report(row_kernels._update, 90, {"ROWS": 1024, "COLUMNS": 1, "velocity": None}, **indexed)
    for type_ in ("*fp32", "*bf16"):
        types = {"scores": type_, "weight": "fp32"}
        for bias in ({}, {"bias": None}):
            report(loss_kernels._differentiate, 90, {"COLUMNS": 1024, **bias}, **types)
        for sizes in ({"ROWS": 16, "P": 128}, {"ROWS": 2, "P": 1024}, {"ROWS": 1, "P": 4096}):
            for bits in ({}, {"bits": None}):
                report(unit_kernels._forward, 90, {**sizes, **bits}, unit=type_)
                report(unit_kernels._backward, 90, {**sizes, **bits}, gradient=type_)
    report(dropout_kernels._drop, 90, {"VALUES": 1024})
    for kernel in (input_kernels._read, input_kernels._add):
        for bits in ({}, {"bits": None}):
            report(kernel, 90, {"ROWS": 8, "COLUMNS": 128, **bits})
    parameters = dict.fromkeys(
        ("weights", "accumulated", "velocities", "gradients"), ("*fp32",) * 4
    )
    for constants in ({}, {"velocities": None}):
        types = {**parameters, "sizes": ("i32",) * 4}
        report(dense_kernels._update, 90, {"VALUES": 1024, **constants}, **types)
    report_candidates(90)
