"""How wide an LDL layer is for the parameters of a dense one: python examples/parameter_counts.py"""

from ldlrpp import kernels


def table():
    """The table as Markdown."""
    lines = [
        "| width | LDL parameters | dense parameters | LDL is smaller by | dense layer of as many or more |",
        "|---|---|---|---|---|",
    ]
    for exponent in (10, 12, 15, 16, 20, 26):
        width = 2**exponent
        size = kernels.ldl_n_parameters(width)
        dense = (width + 1) * width
        side = next(2**e for e in range(1, exponent + 1) if 4**e >= size)
        lines.append(f"| {width:,} | {size:,} | {dense:,} | {dense / size:,.0f} | {side:,} → {side:,} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
