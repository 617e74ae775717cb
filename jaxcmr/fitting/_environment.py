"""What the bits of a result depend on beside its settings: the machine and the libraries."""

from __future__ import annotations

import hashlib
import os
import platform
import socket
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax

from jaxcmr._version import __version__

__all__ = ["describe_differences", "describe_environment", "id_of"]

LIBRARIES = ("jax", "jaxlib", "numpy", "scipy")

FLAGS = ("XLA_FLAGS", "OPENBLAS_CORETYPE")
"""Environment variables that change bits."""

OF_A_PROCESS = ("host", "process", "job", "cores")
"""Facts of a process, which do not count for the bits."""


def describe_environment() -> dict[str, Any]:
    """Return versions, processor, flags and place of this process, as JSON."""
    device = jax.devices()[0]
    return {
        "jaxcmr": __version__,
        **{name: version(name) for name in LIBRARIES},
        "device": f"{device.platform} {device.device_kind}",
        **dict(zip(("processor", "instructions"), read_processor(), strict=True)),
        "flags": " ".join(os.environ.get(name, "") for name in FLAGS).strip(),
        "host": socket.gethostname(),
        "process": os.getpid(),
        "job": os.environ.get("SLURM_JOB_ID", ""),
        "cores": os.cpu_count(),
    }


@cache
def read_processor() -> tuple[str, str]:
    """Return the name of the processor, and a digest of the instructions that it knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError):  # not Linux
        return platform.processor() or platform.machine(), ""
    fields = dict(line.split(":", 1) for line in reversed(lines) if ":" in line)  # first core's
    named = {name.strip(): value.strip() for name, value in fields.items()}
    flags = " ".join(sorted(named.get("flags", named.get("Features", "")).split()))
    digest = hashlib.sha256(flags.encode()).hexdigest()[:8]
    return named.get("model name", platform.machine()), digest


def id_of(environment: Mapping[str, Any]) -> str:
    """Return a short digest of an environment, without what does not count for the bits."""
    counts = {name: value for name, value in environment.items() if name not in OF_A_PROCESS}
    return hashlib.sha256(repr(sorted(counts.items())).encode()).hexdigest()[:8]


def describe_differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """Return what differs between two environments, as far as it counts for the bits."""
    return [
        f"{name} {there.get(name)!r} there, {value!r} here"
        for name, value in here.items()
        if name not in OF_A_PROCESS and there.get(name) != value
    ]
