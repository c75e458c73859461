"""Puts the page together: one HTML file with its style, script, fonts and charts inside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from candor.report import figures, forecasts, pipeline_strip, replies, shell, tables, words
from candor.report.load import Run, load_run
from candor.report.measures import GROUPS, MEASURES
from candor.report.numbers import number, seconds_as_text, with_limits
from candor.runs import write_text


def write_page(run_dir: Path) -> Path:
    """Writes ``report.html`` atomically and returns its path."""
    text = render_page(load_run(run_dir))
    path = run_dir / "report.html"
    write_text(path, text)
    return path


def render_page(run: Run) -> str:
    """The whole page as text; every string of the run is escaped by the template engine."""
    return shell.environment().get_template("page.html").render(**context(run))


def context(run: Run) -> dict[str, Any]:
    """What the templates see."""
    compares, rewards = run.of_type("compare"), run.of_type("reward")
    return {
        "run": run,
        "style": shell.style(),
        "script": shell.script("run.js"),
        "origin": words.origin(run),
        "held_out": (run.recipe.get("audit") or {}).get("prompts", "atlas") == "atlas",
        "headline": words.headline(run),
        "lede": words.lede(run),
        "hero": figures.hero(run),
        "cards": pipeline_strip.stage_cards(run),
        "took": seconds_as_text(run.seconds) if run.seconds is not None else "",
        "by_stage": figures.by_stage(run),
        "ppo": [
            (s, figures.along_ppo(s), figures.progress_table(s), figures.window(len(s.metrics)))
            for s in run.of_type("ppo")
            if s.metrics
        ],
        "forecasts": forecasts.overlays(run),
        "kinds": figures.kinds(run),
        "strengths": figures.by_strength(run),
        "side": replies.side_by_side(run),
        "situations": replies.SITUATIONS,
        "subjects": [s for s in ("sampled", "greedy") if any(f.subject == s for f in run.findings)],
        "all_measures": {s: tables.all_measures(run, s) for s in ("sampled", "greedy")},
        "families": tables.families(run),
        "rewards": [(s, tables.reward_accuracy(run, s), tables.reward_rows(run, s)) for s in rewards],
        "losses": [f for s in (*run.of_type("sft"), *rewards) if (f := figures.loss_curve(s, f"{s.title}: loss"))],
        "alarms": [(s, alarm) for s in run.stages for alarm in s.alarms],
        "compares": [(s, tables.panel(s)) for s in compares],
        "provenance": tables.provenance(run),
        "environment": tables.environment(run),
        "recipe_json": json.dumps(run.recipe, indent=2, ensure_ascii=False) if run.recipe else "",
        "groups": GROUPS,
        "measures": MEASURES,
        "number": number,
        "with_limits": with_limits,
    }
