"""A project's statistics as the API gives them, with everything in them: what few real projects have at once."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route


def _estimate(estimate: float, low: float, high: float, n: int = 200) -> dict[str, Any]:
    return {"estimate": estimate, "low": low, "high": high, "n": n}


QUALITY: dict[str, Any] = {
    "project": {"labels": 812, "items": 300},
    "agreement": {"alpha": _estimate(0.52, 0.44, 0.6, 300), "items": 300},
    "annotators": [
        {
            "name": "ann",
            "judgements": 240,
            "verdict": "ok",
            "reasons": [],
            "reliability": _estimate(0.91, 0.86, 0.95),
            "side": _estimate(0.05, -0.12, 0.21),
            "agreement": _estimate(0.1, -0.2, 0.4),
            "speed": {"seconds_median": 21.4, "words_per_minute": 233.1},
            "traps": _estimate(0.9, 0.7, 0.98, 20),
            "flips": _estimate(0.08, 0.02, 0.2, 40),
        },
        {
            "name": "bob",
            "judgements": 233,
            "verdict": "concern",
            "reasons": ["prefers the left side", "is faster than one can read"],
            "reliability": _estimate(0.55, 0.48, 0.63),
            "side": _estimate(1.4, 1.1, 1.8),
            "agreement": None,
            "speed": {"seconds_median": 2.0, "words_per_minute": 2400.0},
            "traps": {"estimate": None, "low": None, "high": None, "n": 0},
            "flips": None,
        },
    ],
    "checks": [
        {"title": "Side bias", "verdict": "concern", "meaning": "Left is chosen more often.", "advice": "Swap."}
    ],
    "traps": {
        "overall": _estimate(0.8, 0.7, 0.9, 40),
        "kinds": [
            {
                "trap": "long_wrong",
                "title": "The wrong one is longer",
                "accuracy": _estimate(0.7, 0.5, 0.85, 20),
                "less_plain": _estimate(-0.2, -0.4, 0.0, 20),
            }
        ],
    },
    "arm": {
        "difference": _estimate(0.2, 0.1, 0.3, 120),
        "log_odds": _estimate(0.9, 0.4, 1.4, 120),
        "shown": _estimate(0.7, 0.6, 0.8, 60),
        "hidden": _estimate(0.5, 0.4, 0.6, 60),
        "annotators": 6,
        "items": 60,
        "left_out": "none",
        "meaning": "Stating the belief moves the chance by 20 points.",
    },
}
GATE: dict[str, Any] = {
    "passes": False,
    "batch": 1,
    "checks": [
        {"name": "alpha", "title": "Agreement", "passes": True, "meaning": "alpha 0.52", "bound": 0.4},
        {"name": "flips", "title": "Retests", "passes": None, "meaning": "too few retests yet", "bound": "at most 25%"},
        {"name": "side", "title": "Side", "passes": False, "meaning": "log odds 1.4", "bound": 0.3},
    ],
}
PAY: dict[str, Any] = {
    "rows": [{"name": "ann", "judgements": 240, "skips": 3, "minutes": 101.2, "amount": 33.73, "hourly": 20.1}],
    "currency": "USD",
    "rule": "Expected minutes at the rate of the project; skips are paid.",
}


def stub_quality(page: Page) -> None:
    """Answers the requests for quality, gate and pay in the server's place."""
    for name, value in (("quality", QUALITY), ("gate*", GATE), ("pay", PAY)):
        page.route(f"**/api/projects/*/{name}", partial(_answer, value))


def _answer(value: dict[str, Any], route: Route) -> None:
    route.fulfill(json=value)
