"""Prints the tables of docs/benchmarks.md on GPUs, from the files that benchmarks/gpu.sh wrote.

python -m benchmarks.gpu_table docs/results/gpu
"""

import json
import pathlib
import sys

STEPS = (
    ("step-tiktok", "TikTok, dense", "dense_step_s"),
    ("step-tiktok", "TikTok", "fast_step_s"),
    ("step-tiktok-bfloat16", "TikTok, bfloat16", "fast_step_s"),
    ("step-baby", "Baby", "fast_step_s"),
    ("step-sports", "Sports", "fast_step_s"),
    ("step-tiktok", "TikTok without critic", "generator_step_s"),
)


def steps(folder: pathlib.Path) -> list[str]:
    """A row for each step that was timed."""
    lines = ["| full step of MMSSL | ms | Tflop | peak, GB |", "| --- | ---: | ---: | ---: |"]
    for file, name, field in STEPS:
        figures = json.loads((folder / f"{file}.json").read_text(encoding="utf-8"))
        work, peak = f"{figures['floor_gflop'] / 1e3:.2f}", f"{figures['peak_bytes'] / 1e9:.2f}"
        if field != "fast_step_s":
            work, peak = "-", "-"
        lines.append(f"| {name} | {1e3 * figures[field]:.2f} | {work} | {peak} |")
    return lines


def products(folder: pathlib.Path) -> list[str]:
    """A row for each of the three largest products, in every precision."""
    figures = json.loads((folder / "kernels.json").read_text(encoding="utf-8"))
    lines = ["| product | precision | TFLOP/s | of the peak | at multiples of 32 |"]
    lines += ["| --- | --- | ---: | ---: | ---: |"]
    for row in figures["products"]:
        own, filled = row["flops"] / 1e12, row["flops_if_sizes_were_multiples_of_32"] / 1e12
        about = f"{row['product']} | {row['precision']} | {own:.1f} | {100 * row['share']:.0f}%"
        lines.append(f"| {about} | {filled:.1f} |")
    return lines


def sparse(folder: pathlib.Path) -> list[str]:
    """A row for each way to multiply by the interaction graph."""
    figures = json.loads((folder / "spmm-tiktok.json").read_text(encoding="utf-8"))
    lines = ["| sparse product | value, ms | gradient, ms | same bits again |"]
    lines += ["| --- | ---: | ---: | --- |"]
    for row in figures["ways"]:
        times = f"{1e3 * row['value_s']:.3f} | {1e3 * row['gradient_s']:.3f}"
        again = "yes" if row["repeats_bit_for_bit"] else "no"
        lines.append(f"| {row['way']} | {times} | {again} |")
    return lines


def main() -> None:
    """The command line."""
    folder = pathlib.Path(sys.argv[1])
    for table in (steps, products, sparse):
        print(*table(folder), sep="\n", end="\n\n")


if __name__ == "__main__":
    main()
