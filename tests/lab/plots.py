# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures of the page on memory, from what summary makes; the same bytes for the same figures.

Configurations differ in colour and in hatch, marker or dash, in a palette that colour-blind people tell apart. Texts
stay texts.
"""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl

mpl.use("svg")

from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from memory_page import FIGURES
from summary import BASELINE

__all__ = ["draw"]

_MIB = 1024**2
_RC = {
    "svg.fonttype": "none",
    "svg.hashsalt": "synapse.tuning",
    "font.size": 9,
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "hatch.linewidth": 0.6,
    "legend.frameon": False,
}
# Colours of Okabe and Ito; hatch, marker, dash.
_STYLES: dict[str, tuple[str, str, str, Any]] = {
    "stock": ("#999999", "", "o", "solid"),
    "article": ("#E69F00", "//", "s", "dashed"),
    "mdad": ("#D55E00", "\\\\", "^", "dashdot"),
    "pgtune": ("#CC79A7", "..", "D", "dotted"),
    "ours": ("#0072B2", "", "o", (0, (6, 1))),
    "learned": ("#009E73", "xx", "v", (0, (3, 1, 1, 1))),
}
_ANOTHER = ("#56B4E9", "++", "P", "solid")


def draw(summary: Mapping[str, Any], folder: pathlib.Path) -> list[pathlib.Path]:
    """Draw every figure that there are data for; the files."""
    peak, timeline, p95 = FIGURES
    drawn = []
    with mpl.rc_context(_RC):
        for name, figure in (
            (peak, _peaks(summary)),
            (timeline, _timeline(summary["timeline"]) if summary["timeline"] else None),
            (p95, _latencies(summary)),
        ):
            if figure is None:
                continue
            # No date and no version, which would make each drawing another file.
            figure.savefig(folder / name, metadata={"Date": None, "Creator": None, "Title": FIGURES[name]})
            plt.close(figure)
            drawn.append(folder / name)
    return drawn


def _style(name: str) -> tuple[str, str, str, Any]:
    return _STYLES.get(name, _ANOTHER)


def _hosts(summary: Mapping[str, Any]) -> dict[float, list[Any]]:
    found: dict[float, list[Any]] = {}
    for cell in summary["cells"]:
        found.setdefault(cell["host_gib"], []).append(cell)
    return found


def _names(cells: Sequence[Any]) -> list[str]:
    return list(dict.fromkeys(name for cell in cells for name in cell["configurations"]))


def _panels(hosts: Mapping[float, Any], *, height: float, **shared: Any) -> tuple[Figure, Sequence[Any]]:
    figure, axes = plt.subplots(
        1, len(hosts), figsize=(max(3.2 * len(hosts), 5), height), squeeze=False, layout="constrained", **shared
    )
    for axis, host_gib in zip(axes[0], hosts):
        axis.set_title(f"{host_gib:g} GiB")
    return figure, axes[0]


def _legend(figure: Figure, axes: Sequence[Any]) -> None:
    handles: dict[str, Any] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels()):
            handles.setdefault(label, handle)
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=6)


def _peaks(summary: Mapping[str, Any]) -> Figure:
    """Bars: the median of the peaks, with the least and the greatest."""
    hosts = _hosts(summary)
    names = _names(summary["cells"])
    width = 0.8 / max(len(names), 1)
    figure, axes = _panels(hosts, height=3.4, sharey=True)
    for axis, cells in zip(axes, hosts.values()):
        for number, name in enumerate(names):
            colour, hatch, _marker, _dash = _style(name)
            offset = (number - (len(names) - 1) / 2) * width
            for place, cell in enumerate(cells):
                if cell["configurations"].get(name, {}).get("survived") == 0:
                    axis.text(place + offset, 0, " died", rotation=90, ha="center", va="bottom", fontsize=7)
            found = [
                (place, cell["configurations"][name]["peak"])
                for place, cell in enumerate(cells)
                if cell["configurations"].get(name, {}).get("peak")
            ]
            places = [place + offset for place, _peak in found]
            medians = [peak["median"] / _MIB for _place, peak in found]
            axis.bar(places, medians, width, label=name, color=colour, hatch=hatch, edgecolor="white", linewidth=0.5)
            spread = [
                [(peak["median"] - peak["least"]) / _MIB for _place, peak in found],
                [(peak["most"] - peak["median"]) / _MIB for _place, peak in found],
            ]
            axis.errorbar(places, medians, spread, fmt="none", ecolor="black", elinewidth=0.8, capsize=1.5)
        axis.set_xticks(range(len(cells)), [f"{cell['users']:,}" for cell in cells])
        axis.set_xlabel("users")
        axis.grid(axis="y", linewidth=0.4, color="#cccccc")
    axes[0].set_ylabel("peak held, MiB")
    _legend(figure, axes)
    return figure


def _timeline(timeline: Mapping[str, Any]) -> Figure:
    """Lines: what each program held over one run."""
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.4), sharex=True, layout="constrained")
    for axis, column, title in zip(axes, (1, 2), ("Synapse", "PostgreSQL")):
        for name, samples in timeline["configurations"].items():
            colour, _hatch, _marker, dash = _style(name)
            whole = [sample for sample in samples if sample[column] is not None]
            axis.plot(
                [sample[0] for sample in whole],
                [sample[column] / _MIB for sample in whole],
                label=name,
                color=colour,
                linestyle=dash,
                linewidth=1.5,
            )
        axis.set_title(title)
        axis.set_xlabel("seconds")
        axis.set_ylim(bottom=0)
        axis.grid(linewidth=0.4, color="#cccccc")
    axes[0].set_ylabel("held, MiB")
    figure.suptitle(f"{timeline['users']:,} users on {timeline['host_gib']:g} GiB", fontsize=9)
    _legend(figure, axes)
    return figure


def _latencies(summary: Mapping[str, Any]) -> Figure:
    """Dots: the median of the ratios to stock, with the interval, or without one the least and the greatest."""
    hosts = _hosts(summary)
    names = [name for name in _names(summary["cells"]) if name != BASELINE]
    step = 0.7 / max(len(names), 1)
    figure, axes = _panels(hosts, height=3.4, sharex=True)
    for axis, cells in zip(axes, hosts.values()):
        axis.axvline(1, color="black", linewidth=0.8)
        for number, name in enumerate(names):
            colour, _hatch, marker, _dash = _style(name)
            for place, cell in enumerate(cells):
                ratio = cell["configurations"].get(name, {}).get("against", {}).get(BASELINE, {}).get("p95", {})
                found = ratio.get("all")
                if not found:
                    continue
                low, high = (found["low"], found["high"]) if found["low"] else (found["least"], found["most"])
                axis.errorbar(
                    [found["median"]],
                    [place + (number - (len(names) - 1) / 2) * step],
                    xerr=[[found["median"] - low], [high - found["median"]]],
                    fmt=marker,
                    color=colour,
                    label=name,
                    markersize=5,
                    elinewidth=1,
                    capsize=2,
                )
        axis.set_yticks(range(len(cells)), [f"{cell['users']:,} users" for cell in cells])
        axis.set_ylim(len(cells) - 0.5, -0.5)
        axis.set_xlabel("p95 / stock's p95")
        axis.grid(axis="x", linewidth=0.4, color="#cccccc")
    _legend(figure, axes)
    return figure
