# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the report looks: on a desk and on a phone, by day and by night, and on paper."""

from __future__ import annotations

__all__ = ["STYLE"]

STYLE = """
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --ink: #1b2430; --soft: #55606e; --line: #d9dee5;
  --planned: #dbe3ee; --planned-edge: #8fa1b8; --held: #2563a8; --over: #c62f2f; --peak: #1b2430; --limit: #a33a00;
  --one: #2563a8; --two: #2a8a6a; --three: #8a6bb1; --rest: #dbe3ee;
  --bad: #b3261e; --warn: #8a5a00; --good: #1b6e45; --code: #eef1f5;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #12161c; --card: #1b2129; --ink: #e6eaf0; --soft: #a5b0be; --line: #333c48;
    --planned: #2c3746; --planned-edge: #63758d; --held: #6ea8e6; --over: #ff7b72; --peak: #e6eaf0; --limit: #ffa657;
    --one: #6ea8e6; --two: #5cc5a0; --three: #b89ae0; --rest: #2c3746;
    --bad: #ff8a80; --warn: #f0b95a; --good: #6fd19f; --code: #252d38;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
}
main { max-width: 68rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 0 0 .7rem; }
p { margin: .4rem 0; }
.soft, .note { color: var(--soft); }
.note { font-size: .9rem; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1.1rem 1.2rem; margin-top: 1rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(12.5rem, 1fr)); gap: .8rem; margin-top: 1rem; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: .8rem 1rem; }
.tile .figure { display: block; font-size: 1.55rem; font-weight: 650; line-height: 1.25; }
.tile .label, .tile .detail { display: block; font-size: .88rem; color: var(--soft); }
.bad { color: var(--bad); } .warn { color: var(--warn); } .good { color: var(--good); }
.bar { display: grid; grid-template-columns: 11.5rem 1fr 11rem; gap: .8rem; align-items: center; margin: .3rem 0; }
.bar .figures { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.bar.part .name { padding-left: 1.1rem; color: var(--soft); }
.bar svg { display: block; width: 100%; height: 28px; overflow: visible; }
.bar.part svg { height: 20px; }
.too-much { color: var(--bad); }
.planned { fill: var(--planned); stroke: var(--planned-edge); stroke-width: 1; vector-effect: non-scaling-stroke; }
.held { fill: var(--held); } .over { fill: var(--over); }
.peak { stroke: var(--peak); stroke-width: 2; vector-effect: non-scaling-stroke; }
.limit { stroke: var(--limit); stroke-width: 2; stroke-dasharray: 4 3; vector-effect: non-scaling-stroke; }
.one { fill: var(--one); } .two { fill: var(--two); } .three { fill: var(--three); } .rest { fill: var(--rest); }
.share { stroke: var(--card); stroke-width: 1; vector-effect: non-scaling-stroke; }
.axis { display: flex; justify-content: space-between; margin: 0 11.8rem 0 12.3rem; font-size: .8rem; color: var(--soft); }
.legend { font-size: .85rem; color: var(--soft); display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; margin-top: .7rem; }
.entry { white-space: nowrap; }
.key { display: inline-block; width: 1rem; height: .75rem; margin-right: .4rem; border-radius: 2px; vertical-align: baseline; }
.key.planned { background: var(--planned); outline: 1px solid var(--planned-edge); }
.key.held { background: var(--held); } .key.over { background: var(--over); }
.key.peak { width: 0; border-left: 2px solid var(--peak); border-radius: 0; }
.key.limit { width: 0; border-left: 2px dashed var(--limit); border-radius: 0; }
.key.one { background: var(--one); } .key.two { background: var(--two); }
.key.three { background: var(--three); } .key.rest { background: var(--rest); outline: 1px solid var(--planned-edge); }
.stacks { margin-bottom: 1.3rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
caption { text-align: left; color: var(--soft); font-size: .9rem; padding-bottom: .4rem; }
th, td { padding: .32rem .6rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
th { font-weight: 600; }
thead th { color: var(--soft); vertical-align: bottom; border-bottom-width: 2px; }
tbody th { font-weight: 500; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
tr.group th { padding-top: .9rem; font-weight: 650; }
tr.part th { padding-left: 1.6rem; }
td.id, th.id { overflow-wrap: anywhere; min-width: 11rem; }
#rooms th.id { min-width: 17rem; }
td.said { min-width: 14rem; color: var(--soft); }
td.verdict { color: var(--soft); white-space: nowrap; }
.bad, td.bad { color: var(--bad); }
#compared table { max-width: 46rem; }
ol.steps { margin: 0; padding-left: 1.4rem; }
ol.steps > li { margin: 0 0 1rem; }
ol.steps > li::marker { font-weight: 650; }
.step-title { font-weight: 650; }
.returns { font-size: .85rem; color: var(--good); white-space: nowrap; }
pre { margin: .4rem 0 0; padding: .5rem .7rem; background: var(--code); border-radius: 6px; font-size: .85rem;
  white-space: pre-wrap; overflow-wrap: anywhere; }
details summary { cursor: pointer; color: var(--soft); margin-top: .6rem; }
footer { color: var(--soft); font-size: .85rem; margin-top: 1.2rem; }
@media (max-width: 44rem) {
  .bar { grid-template-columns: 1fr auto; gap: .1rem .6rem; margin: .7rem 0; }
  .bar .name { grid-column: 1; grid-row: 1; } .bar .figures { grid-column: 2; grid-row: 1; }
  .bar svg { grid-column: 1 / -1; grid-row: 2; }
  .axis { margin: 0; }
  section { padding: .9rem .8rem; }
  td.id, th.id, #rooms th.id { min-width: 9rem; }
}
@media print {
  :root {
    color-scheme: light;
    --page: #fff; --card: #fff; --ink: #000; --soft: #444; --line: #bbb;
    --planned: #e2e8f0; --planned-edge: #777; --held: #2563a8; --over: #c62f2f; --peak: #000; --limit: #a33a00;
    --one: #2563a8; --two: #2a8a6a; --three: #8a6bb1; --rest: #e2e8f0; --bad: #a00; --warn: #754b00; --good: #145c38; --code: #f3f3f3;
  }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  main { max-width: none; padding: 0; }
  html { font-size: 11px; }
  body { font-size: 1rem; }
  section { border: 0; padding: .4rem 0; }
  tr, .bar, li, .tile { break-inside: avoid; }
  .wide { overflow: visible; }
  th, td { padding: .2rem .3rem; }
  td.id, th.id, td.said, #rooms th.id { min-width: 0; }
}
"""
