"""Results as a Markdown table, and into the page that shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.ratios import Ratio, verdict

START, END = "<!-- benchmark table: start -->", "<!-- benchmark table: end -->"

HEADER = (
    "| work | size | Candor's side | TRL | Candor | TRL / Candor | target | | peak memory, MiB | share of peak |\n"
    "|---|---|---|---|---|---|---|---|---|---|"
)


def render(report: Mapping[str, Any]) -> str:
    """The whole of a report: where, when and how it was measured, then one row per case, size and side of Candor."""
    rows = [_row(result) for result in report["results"]]
    skipped = [f"- {one['size']}: not measured, {one['reason']}." for one in report["skipped"]]
    return "\n".join([*_preamble(report), "", HEADER, *rows, "", *skipped]).rstrip() + "\n"


def joined(reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Several calls' reports as one, smaller sizes first. Raises ValueError where they are of different machines."""
    first = reports[0]
    if any(report["machine"] != first["machine"] for report in reports):
        raise ValueError("the reports were measured on different machines, or with different packages")
    peaks: dict[str, float] = {}
    for report in reports:
        for size, rate in report["matmul_peaks"].items():
            peaks[size] = max(peaks.get(size, 0.0), rate)
    results = [result for report in reports for result in report["results"]]
    sizes = sorted(peaks, key=lambda size: float(size[:-1]) * (1000 if size.endswith("b") else 1))
    return {
        "date": max(report["date"] for report in reports),
        "command": "`, `".join(report["command"] for report in reports),
        "machine": first["machine"],
        "matmul_peaks": {size: peaks[size] for size in sizes},
        "results": sorted(results, key=lambda result: sizes.index(result["size"])),
        "skipped": first["skipped"],
    }


def _preamble(report: Mapping[str, Any]) -> list[str]:
    machine = report["machine"]
    packages = ", ".join(f"{name} {number}" for name, number in machine["packages"].items())
    peaks = ", ".join(f"{size} {rate / 1e9:.0f}" for size, rate in report["matmul_peaks"].items())
    gpu = f", {machine['gpu']}" if machine["gpu"] else ""
    return [
        f"Measured on {report['date']}: {machine['cpu']}{gpu}, {machine['threads']} threads, "
        f"{machine['memory_gib']} GiB; {machine['system']}; {packages}. Command: `{report['command']}`. "
        f"Matmul peak, GFLOP/s: {peaks}.",
    ]


def _row(result: Mapping[str, Any]) -> str:
    ratio = Ratio(**result["ratio"])
    target = result["target"]
    cells = [
        result["work"],
        result["size"],
        result["side"],
        duration(result["seconds"]["trl"]),
        duration(result["seconds"]["candor"]),
        ratio_text(ratio),
        "" if target is None else f"≥ {target:g}",
        "" if target is None else verdict(ratio, target),
        pair_text(result["peak_mib"], "{:.0f}"),
        pair_text(result["share_of_peak"], "{:.0%}"),
    ]
    return "| " + " | ".join(cells) + " |"


def duration(seconds: float) -> str:
    """Three significant figures, in ms below a second, in s above."""
    return f"{seconds * 1000:.3g} ms" if seconds < 0.9995 else f"{seconds:.3g} s"


def ratio_text(ratio: Ratio) -> str:
    """The estimate with its interval and the number of pairs."""
    interval = "" if ratio.low is None or ratio.high is None else f" ({ratio.low:.2f} to {ratio.high:.2f})"
    return f"**{ratio.estimate:.2f}**{interval}, n = {ratio.n}"


def pair_text(values: Mapping[str, float | None], form: str) -> str:
    """TRL's number and Candor's; a dash where one was not measured."""
    return " / ".join("-" if values[side] is None else form.format(values[side]) for side in ("trl", "candor"))


def replace_table(page: str, table: str) -> str:
    """The page with ``table`` between its two markers. Raises ValueError where they are missing or out of order."""
    start, end = page.find(START), page.find(END)
    if start < 0 or end < start:
        raise ValueError(f"the page needs the lines {START} and {END}, in this order")
    return page[: start + len(START)] + "\n" + table + page[end:]


def progress_lines(results: Sequence[Mapping[str, Any]]) -> str:
    """One short line per result, for the terminal. The ratio of CPU times shows whether a busy machine is to blame."""
    return "\n".join(
        f"{r['case']:22s} {r['size']:5s} {r['side']:12s} trl {duration(r['seconds']['trl']):>8s}  "
        f"candor {duration(r['seconds']['candor']):>8s}  {ratio_text(Ratio(**r['ratio']))}; "
        f"CPU {r['cpu_ratio']['estimate']:.2f}"
        for r in results
    )
