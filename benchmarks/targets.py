"""What was wanted of the kernels, for `report.py` to set beside what was measured."""

from dataclasses import dataclass, field

from figures import column

MOST, LEAST = "at most", "at least"


@dataclass
class Target:
    """A bound on the figures of a column, in some tables of a script; of rows whose columns are ``within`` limits."""

    what: str
    relation: str
    bound: float
    script: str
    tables: tuple
    column: str
    within: dict = field(default_factory=dict)

    def values(self, table):
        if self.column not in table["columns"]:
            return []
        limits = [(column(table, name), low, high) for name, (low, high) in self.within.items()]
        values = enumerate(column(table, self.column))
        return [value for i, value in values if all(low <= each[i] <= high for each, low, high in limits)]

    def missed(self, value):
        return value > self.bound if self.relation == MOST else value < self.bound


_SIZES = ("2^18 numbers", "2^20 numbers", "2^22 numbers")
_RADICES = tuple(f"radix 4 against 2, {size}" for size in _SIZES)
_WIDE = "wide rows, batch 16"

TARGETS = {
    "ldl": [
        Target("forward / sgemm", LEAST, 0.45, "ldl_cpu", _SIZES, "/ sgemm"),
        Target("forward / rfft, N from 256", MOST, 0.6, "ldl_cpu", _SIZES, "/ rfft", {"N": (256, 2**16)}),
        Target("forward / limit, N up to 4096", MOST, 2.0, "ldl_cpu", _SIZES, "/ limit", {"N": (64, 4096)}),
        Target("forward / limit, N from 8192", MOST, 2.5, "ldl_cpu", _SIZES, "/ limit", {"N": (8192, 2**16)}),
        Target("(forward + backward) / forward", MOST, 4.0, "ldl_cpu", _SIZES, "(f + b) / f"),
        Target("dense / forward, N from 64", LEAST, 1.0, "ldl_cpu", ("against dense",), "times faster"),
        Target(
            "time / (N·log2 N) at 2^22 against 2^12, batch 16", MOST, 1.6, "ldl_cpu", (_WIDE,),
            "time / (N·log2 N), against N = 2^12", {"N": (2**22, 2**22)},
        ),
        Target("one row / reading its weights", MOST, 2.0, "ldl_cpu", ("one row",), "ratio"),
        Target("one thread / two, forward", LEAST, 1.8, "ldl_cpu", ("threads",), "one thread / all: forward"),
        Target("float64 / float32 rate", LEAST, 0.45, "ldl_cpu", ("float64",), "rate / that of float32"),
        Target("first forward call, cold, s", MOST, 6.0, "ldl_cpu", ("first call",), "forward s"),
        Target("first backward call, cold, s", MOST, 6.0, "ldl_cpu", ("first call",), "backward s"),
    ],
    "radices": [
        Target("radix 4 / 2, forward", MOST, 1.05, "ldl_cpu", _RADICES, "radix 4 / 2: forward"),
        Target("radix 4 / 2, forward and backward", MOST, 0.95, "ldl_cpu", _RADICES, "both"),
        Target(
            "part of the multiply-add peak, radix 16 and 32", LEAST, 0.5, "ldl_cpu", ("radices",), "/ peak",
            {"radix": (16, 32)},
        ),
    ],
    "rpp": [
        *(
            Target(f"{what}, batch {batch}", MOST, bound, "rpp_cpu", ("variants",), name, {"batch": (batch, batch)})
            for what, name in (
                ("forward / dense, computed", "computed"),
                ("forward and backward / dense, computed", "computed, both"),
                ("forward and backward / dense, as in a fit", "weights too, both"),
            )
            for batch, bound in ((64, 1.7), (256, 1.3))
        ),
        Target(
            "an entry, hash and gather, ns, m from 784", MOST, 1.4, "rpp_cpu", ("an entry",), "hash and gather ns",
            {"m": (784, 2**16)},
        ),
        Target("memory forward, m = 8192, n = 64, k = 512, MiB", MOST, 64, "rpp_cpu", ("memory",), "forward MiB"),
        Target("memory backward, MiB", MOST, 64, "rpp_cpu", ("memory",), "backward MiB"),
    ],
}  # fmt: skip
