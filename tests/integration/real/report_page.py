# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a browser makes of the report's page."""

from __future__ import annotations

from typing import Any, Optional

from real.browser import Page

__all__ = ["bars", "contrasts", "overflow", "scale", "text"]


def text(page: Page, selector: str = "body") -> str:
    """What can be read there."""
    return str(page.value(f"document.querySelector({selector!r}).innerText"))


def bars(page: Page) -> dict[str, dict[str, dict[str, float]]]:
    """By component and kind of shape (planned, held, over, peak, limit): where it is drawn, in parts of the bar, and its bytes."""
    return dict(
        page.value(
            """Object.fromEntries([...document.querySelectorAll('.bar[data-component]')].map(bar => {
                const whole = bar.querySelector('svg').getBoundingClientRect();
                const shapes = [...bar.querySelectorAll('rect, line')].map(each => {
                    const drawn = each.getBoundingClientRect();
                    const middle = each.tagName === 'line' ? drawn.width / 2 : 0;
                    return [each.getAttribute('class'), {
                        left: (drawn.left + middle - whole.left) / whole.width,
                        width: each.tagName === 'line' ? 0 : drawn.width / whole.width,
                        bytes: Number(each.dataset.bytes),
                        seen: getComputedStyle(each).fill + getComputedStyle(each).stroke,
                    }];
                });
                return [bar.dataset.component, Object.fromEntries(shapes)];
            }))"""
        )
    )


def scale(drawn: dict[str, dict[str, dict[str, float]]]) -> float:
    """The bytes that a bar's whole width stands for."""
    return max(shape["bytes"] for shapes in drawn.values() for kind, shape in shapes.items() if kind != "over")


def overflow(page: Page) -> float:
    """By how many pixels the page is wider than the window."""
    return float(page.value("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def contrasts(page: Page) -> dict[str, float]:
    """The smallest contrast of a text to what is behind it, by the text's colour (WCAG: 4.5 can be read)."""
    found: Optional[dict[str, Any]] = page.value(
        """(() => {
            const parts = colour => colour.match(/[\\d.]+/g).map(Number);
            const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
                .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
                .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
            const behind = each => {
                for (let one = each; one; one = one.parentElement) {
                    const found = parts(getComputedStyle(one).backgroundColor);
                    if (found.length === 3 || found[3] > 0) return found;
                }
                return [255, 255, 255];
            };
            const least = {};
            for (const each of document.querySelectorAll('main *')) {
                if (![...each.childNodes].some(node => node.nodeType === 3 && node.data.trim())) continue;
                if (!each.getClientRects().length || each.closest('svg')) continue;
                const colour = getComputedStyle(each).color;
                const [one, other] = [light(parts(colour)), light(behind(each))].sort((a, b) => b - a);
                const contrast = (one + 0.05) / (other + 0.05);
                least[colour] = Math.min(least[colour] ?? 99, contrast);
            }
            return least;
        })()"""
    )
    return dict(found or {})
