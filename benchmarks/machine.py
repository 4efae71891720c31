"""What stands beside measured figures: the machine, versions, the date, the command and the commit."""

import datetime
import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path

from threadpoolctl import threadpool_info

PACKAGES = (
    "ldlrpp", "numba", "numpy", "scipy", "scikit-learn", "torch", "torch-structured", "lazylinop", "skorch", "tbb",
)  # fmt: skip


def about():
    """Everything, as JSON takes it."""
    here = Path(__file__).parent
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True).stdout.strip()
    return {
        "date": datetime.date.today().isoformat(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        # what NumPy's BLAS takes the processor for: OPENBLAS_CORETYPE in the environment may have it take an older one
        "blas": blas(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "command": command(),
        "commit": commit or None,
    }


def command():
    """What was run; places of files outside of the repository say nothing to others."""
    arguments = (Path(word).stem if os.path.isabs(word) else word for word in sys.argv[1:])
    return " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *arguments])


def processor():
    """What the processor is called, with its family and model where Linux says them."""
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    name, family, model = (facts.get(key, "?") for key in ("model name", "cpu family", "model"))
    return f"{name}, family {family}, model {model}"


def blas():
    """NumPy's library of products, its version and its kernels."""
    import numpy  # noqa: F401

    found = [library for library in threadpool_info() if library["user_api"] == "blas"]
    return (
        " ".join(str(found[0].get(key, "")) for key in ("internal_api", "version", "architecture")) if found else None
    )


def _version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
