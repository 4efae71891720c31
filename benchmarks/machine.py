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

# What of the environment makes a run another one.
_CHOSEN = "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES", "NUMBA_THREADING_LAYER", "NUMBA_ENABLE_CUDASIM"


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
    """What was run; places of files outside of the repository say nothing to others, nor where results went."""
    chosen = [f"{name}={os.environ[name]}" for name in _CHOSEN if name in os.environ]
    pairs = zip(["", *sys.argv[1:]], sys.argv[1:], strict=False)
    words = [word for before, word in pairs if not {before, word} & {"--json", "--output"}]
    arguments = (Path(word).stem if os.path.isabs(word) else word for word in words)
    return " ".join([*chosen, "python", "/".join(Path(sys.argv[0]).absolute().parts[-2:]), *arguments])


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
