"""What a result depends on besides its settings: versions, processor, BLAS core and threads."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version

__all__ = ["environment"]


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as info:
            return next(line.split(":", 1)[1].strip() for line in info if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def environment(*, seed: int | None = None, command: str = "") -> dict[str, str]:
    """Versions, processor, BLAS and threads of this process, for reports and run folders.

    >>> sorted(environment())[:3]
    ['BLAS', 'Python', 'glassnet']
    """
    from threadpoolctl import threadpool_info

    from glassnet import kernels  # compiled code takes a second to load: not before somebody asks

    blas = [
        f"{lib['internal_api']} {lib['version']} ({lib.get('architecture', 'unknown core')}, "
        f"{lib['num_threads']} threads)"
        for lib in threadpool_info()
        if lib["user_api"] == "blas"
    ]
    told = {
        "glassnet": version("glassnet"),
        "Python": platform.python_version(),
        **{name: version(name) for name in ("numpy", "numba", "scipy", "scikit-learn")},
        "system": f"{platform.system()} {platform.release()}",
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "BLAS": "; ".join(sorted(set(blas))),
        "kernels": f"{os.environ.get('GLASSNET_KERNELS', 'compiled')}, stored bytes {kernels.FORM}, "
        f"factors of {kernels.ROUNDED} rounded where allowed",
    }
    if seed is not None:
        told["seed"] = str(seed)
    if command:
        told["command"] = command
    return told
