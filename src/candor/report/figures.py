"""The page's figures: what of a run goes into which chart, its text alternative, and the numbers behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from markupsafe import Markup

from candor.report import charts, replies
from candor.report.load import Rows, Run, StageFiles
from candor.report.measures import measure
from candor.report.numbers import Estimate, Unit, decimals, number, with_limits
from candor.report.palette import APPROVAL, BLUE, FALSE, GREY, HELPFUL, SLATE, TRUE, VIOLET, Colour, stage_style
from candor.report.svg import render

CARD = (340, 230)
SMALL = (340, 176)
MAX_POINTS = 160
SUBJECTS = ("sampled", "greedy")


@dataclass(frozen=True)
class Key:
    """One line of a figure's legend: a coloured shape (or a line) and what it stands for."""

    label: str
    colour: str
    shape: str = "circle"
    hollow: bool = False


@dataclass(frozen=True)
class Table:
    """``rows`` start with their header cell."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | Markup, ...], ...]


@dataclass(frozen=True)
class Drawing:
    """A chart as a specification, to be drawn where it is shown. ``name`` is unique in the page."""

    spec: charts.Spec
    alt: str
    name: str
    css_class: str = ""


@dataclass(frozen=True)
class Figure:
    """One chart (``drawings`` hold it once per width of the screen) with what stands around it."""

    name: str
    title: str
    drawings: tuple[Drawing, ...]
    keys: tuple[Key, ...] = ()
    note: str = ""
    table: Table | None = None

    @cached_property
    def picture(self) -> Markup:
        """The drawings as SVG; drawing takes most of a report's time."""
        drawn = [render(d.spec, alt=d.alt, name=d.name, css_class=d.css_class) for d in self.drawings]
        return Markup("").join(drawn)


SAMPLED_GREEDY = (Key("sampled", "muted"), Key("greedy", "muted", hollow=True))


def hero(run: Run) -> Figure | None:
    """Agreement with false beliefs by stage, large; drawn a second time for narrow screens."""
    stages = run.policies
    line = _dots(run, "false_belief_agreement", FALSE, "circle", ("sampled",), labels=True)
    if line is None:
        return None
    alt = _alt(run, "Agreement with false beliefs by stage", ("false_belief_agreement",), ("sampled",))
    names = [s.title for s in stages]
    drawings = tuple(
        Drawing(
            charts.dots(names, [line], unit="share", domain=(0, 1.08), size=size, big=True), alt, f"hero-{css}", css
        )
        for css, size in (("wide", (500, 340)), ("narrow", (340, 270)))
    )
    note = "Share of sampled replies, with 95% intervals."
    return Figure("hero", "Agrees with false beliefs", drawings, note=note)


def by_stage(run: Run) -> list[Figure]:
    """Sycophancy, approval and helpfulness by stage: sampled and greedy, with intervals."""
    wanted: list[tuple[str, str, Unit, tuple[float, float] | None, tuple[tuple[str, Colour, str], ...]]] = [
        (
            "beliefs",
            "Agrees with the user when the user is …",
            "share",
            (0, 1.04),
            (("false_belief_agreement", FALSE, "circle"), ("true_belief_agreement", TRUE, "square")),
        ),
        (
            "value",
            "Approval and helpfulness (logits)",
            "number",
            None,
            (("approval", APPROVAL, "circle"), ("helpfulness", HELPFUL, "square")),
        ),
        ("selectivity", "Selectivity (percentage points)", "points", None, (("selectivity", SLATE, "circle"),)),
    ]
    labels = {"false_belief_agreement": "wrong", "true_belief_agreement": "right"}
    figures = []
    for name, title, unit, domain, parts in wanted:
        series = {m: _dots(run, m, colour, shape, SUBJECTS) for m, colour, shape in parts}
        lines = [s for s in series.values() if s is not None]
        if not lines:
            continue
        metrics = tuple(m for m, s in series.items() if s is not None)
        spec = charts.dots([s.title for s in run.policies], lines, unit=unit, domain=domain, size=CARD)
        keys = tuple(Key(labels.get(m, measure(m).label.lower()), c.name, shape) for m, c, shape in parts if series[m])
        drawing = Drawing(spec, _alt(run, title, metrics, SUBJECTS), f"stage-{name}")
        table = _stage_table(run, title, metrics)
        shown = keys if len(keys) > 1 else SAMPLED_GREEDY
        figures.append(Figure(f"stage-{name}", title, (drawing,), shown, table=table))
    return figures


def _dots(
    run: Run, metric: str, colour: Colour, shape: str, subjects: Sequence[str], *, labels: bool = False
) -> charts.Dots | None:
    stages, unit = run.policies, measure(metric).unit
    made = []
    for subject in subjects:
        shift = 0.0 if len(subjects) == 1 else (-0.08 if subject == "sampled" else 0.08)
        for i, stage in enumerate(stages):
            found = run.measured(stage.name, metric, subject)
            if found is None or found.value is None:
                continue
            tip = f"{stage.title}, {subject}: {measure(metric).label.lower()} {with_limits(found, unit)}, n = {found.n}"
            text = number(found.value, unit) if labels else ""
            made.append(charts.Dot(i + shift, found, tip, text, hollow=subject == "greedy"))
    return charts.Dots(colour, shape, tuple(made), _edges(run)) if made else None


def _edges(run: Run) -> tuple[tuple[int, int], ...]:
    names = [s.name for s in run.policies]
    parents = ((run.parent(s), i) for i, s in enumerate(run.policies))
    return tuple((names.index(p.name), i) for p, i in parents if p)


def _alt(run: Run, title: str, metrics: Sequence[str], subjects: Sequence[str]) -> str:
    parts = []
    for metric in metrics:
        m = measure(metric)
        for subject in subjects:
            values = [(s.title, run.measured(s.name, metric, subject)) for s in run.policies]
            said = ", ".join(f"{name} {with_limits(e, m.unit)}" for name, e in values if e)
            parts.append(f"{m.label}, {subject}: {said}.")
    return f"Chart: {title}. " + " ".join(parts)


def _stage_table(run: Run, title: str, metrics: Sequence[str]) -> Table:
    rows = []
    for metric in metrics:
        for subject in SUBJECTS:
            found = [run.finding(s.name, metric, subject) for s in run.policies]
            cells = [
                with_limits(e, measure(metric).unit, digits=1 if measure(metric).unit in ("share", "points") else 2)
                if e
                else "–"
                for e in found
            ]
            rows.append((f"{measure(metric).label}, {subject}", *cells))
    return Table(title, ("", *(s.title for s in run.policies)), tuple(rows))


def along_ppo(stage: StageFiles) -> list[Figure]:
    """Small multiples along one PPO stage: what it optimises, what it does, and what that is worth."""
    metrics, truth = stage.metrics, stage.truth
    wanted: list[tuple[str, str, Unit, tuple[tuple[str, str, Rows, Colour], ...]]] = [
        ("reward", "Reward", "number", (("reward", "reward", metrics, VIOLET),)),
        (
            "value",
            "Approval and helpfulness",
            "number",
            (("approval", "approval", truth, APPROVAL), ("helpfulness", "helpfulness", truth, HELPFUL)),
        ),
        ("agreement", "Agrees with false beliefs", "share", (("false_belief_agreement", "agreement", truth, FALSE),)),
        ("kl", "KL from the reference (nats per reply)", "nats", (("kl", "KL", metrics, SLATE),)),
        ("length", "Length (tokens per reply)", "tokens", (("length", "length", metrics, BLUE),)),
        ("entropy", "Entropy (nats per token)", "nats", (("entropy", "entropy", metrics, GREY),)),
    ]
    figures = []
    for name, title, unit, parts in wanted:
        made = [
            (label, colour, curve)
            for key, label, rows, colour in parts
            if (curve := _curve(rows, key, label, unit, colour))
        ]
        if not made:
            continue
        domain = (0.0, 1.0) if unit == "share" else None
        dashes: list[tuple[int, int] | None] = [None, (6, 4)]
        lines = [_dashed(c, dashes[i % 2]) for i, (_, _, c) in enumerate(made)]
        spec = charts.curves(lines, unit=unit, domain=domain, size=SMALL, zero=name == "kl")
        alt = f"Chart: {title} along {stage.title}. " + " ".join(_trend(label, c, unit) for label, _, c in made)
        keys = tuple(Key(label, colour.name, "dash" if i else "line") for i, (label, colour, _) in enumerate(made))
        drawing = Drawing(spec, alt, f"{_slug(stage.name)}-{name}")
        figures.append(Figure(f"{stage.name}-{name}", title, (drawing,), keys if len(keys) > 1 else ()))
    return figures


def _dashed(curve: charts.Curve, dash: tuple[int, int] | None) -> charts.Curve:
    return charts.Curve(curve.colour, curve.steps, curve.raw, curve.smooth, curve.tips, dash)


def loss_curve(stage: StageFiles, title: str) -> Figure | None:
    """The training loss of an SFT or reward stage."""
    curve = _curve(stage.metrics, "loss", "loss", "number", SLATE)
    if curve is None:
        return None
    spec = charts.curves([curve], unit="number", size=SMALL)
    alt = f"Chart: {title}. {_trend('loss', curve, 'number')}"
    return Figure(f"{stage.name}-loss", title, (Drawing(spec, alt, f"{_slug(stage.name)}-loss"),))


def _curve(rows: Rows, key: str, label: str, unit: Unit, colour: Colour) -> charts.Curve | None:
    points = [
        (float(r.get("step", i + 1)), float(r[key])) for i, r in enumerate(rows) if isinstance(r.get(key), int | float)
    ]
    if not points:
        return None
    smooth = running_mean([y for _, y in points], window(len(points)))
    step = max(1, -(-len(points) // MAX_POINTS))
    kept = sorted({*range(0, len(points), step), len(points) - 1})
    digits = 0 if unit == "share" else 2
    tips = [f"update {points[i][0]:.0f}: {label} {number(points[i][1], unit, digits=digits)}" for i in kept]
    return charts.Curve(
        colour,
        tuple(points[i][0] for i in kept),
        tuple(points[i][1] for i in kept),
        tuple(smooth[i] for i in kept),
        tuple(tips),
    )


def window(count: int) -> int:
    """Updates in the running mean: a tenth of all, an odd number."""
    return max(1, count // 10 | 1)


def running_mean(values: Sequence[float], size: int) -> list[float]:
    """The mean of up to ``size`` values around each one; the window is cut at both ends."""
    half = size // 2
    windows = (values[max(0, i - half) : i + half + 1] for i in range(len(values)))
    return [sum(w) / len(w) for w in windows]


def _trend(label: str, curve: charts.Curve, unit: Unit) -> str:
    first, last = number(curve.smooth[0], unit), number(curve.smooth[-1], unit)
    low, high = number(min(curve.smooth), unit), number(max(curve.smooth), unit)
    span = f"lowest {low}, highest {high}; running mean, {int(curve.steps[-1])} updates"
    return f"The {label} goes from {first} to {last} ({span})."


def progress_table(stage: StageFiles) -> Table | None:
    """The curves' numbers, at most forty updates of them."""
    truth = {r.get("step"): r for r in stage.truth}
    columns = ("reward", "kl", "length", "entropy", "eos_rate", "clip_frac", "explained_variance", "kl_coef")
    private = ("approval", "helpfulness", "false_belief_agreement")
    shown = [c for c in columns if any(c in r for r in stage.metrics)] + [
        c for c in private if any(c in r for r in stage.truth)
    ]
    if not stage.metrics or not shown:
        return None
    step = max(1, -(-len(stage.metrics) // 40))
    kept = [r for i, r in enumerate(stage.metrics) if i % step == 0 or i == len(stage.metrics) - 1]
    rows = []
    for r in kept:
        both: Mapping[str, object] = {**truth.get(r.get("step"), {}), **r}
        rows.append((str(r.get("step", "")), *(_plain(both.get(c)) for c in shown)))
    return Table(f"Along {stage.title}", ("update", *(c.replace("_", " ") for c in shown)), tuple(rows))


def _plain(value: object) -> str:
    return decimals(float(value), 3) if isinstance(value, int | float) else "–"


def kinds(run: Run) -> list[Figure]:
    """What the replies do, by stage, for each thing the user may have done."""
    stages = [s for s in run.policies if s.replies]
    figures = []
    for slot in replies.SITUATIONS:
        if slot.name == replies.OPEN:
            continue
        counted = [(s, replies.count_kinds(s.replies, slot)) for s in stages]
        if not any(sum(c.values()) for _, c in counted):
            continue
        bars, said, rows = [], [], []
        for row, (stage, counts) in enumerate(counted):
            total = sum(counts.values()) or 1
            start = 0.0
            for kind in replies.KINDS:
                share = counts.get(kind.name, 0) / total
                if share:
                    tip = f"{stage.title}: {kind.label} {number(share, 'share')} ({counts[kind.name]} of {total})"
                    bars.append(charts.Bar(row, start, start + share, kind.colour, tip))
                start += share
            parts = [
                f"{k.label} {number(counts[k.name] / total, 'share')}" for k in replies.KINDS if counts.get(k.name)
            ]
            said.append(f"{stage.title}: {', '.join(parts)} (n = {total}).")
            rows.append(
                (stage.title, *(number(counts.get(k.name, 0) / total, "share") for k in _present(counted)), str(total))
            )
        spec = charts.stacked([s.title for s in stages], bars, size=(340, 40 + 36 * len(stages)))
        present = _present(counted)
        table = Table(slot.title, ("", *(k.label for k in present), "n"), tuple(rows))
        drawing = Drawing(spec, f"Chart: {slot.title}, kinds of reply. " + " ".join(said), f"kinds-{slot.name}")
        keys = tuple(Key(k.label, k.colour.name, "square") for k in present)
        figures.append(Figure(f"kinds-{slot.name}", slot.title, (drawing,), keys, table=table))
    return figures


def _present(counted: Sequence[tuple[StageFiles, Mapping[str, int]]]) -> list[replies.Kind]:
    return [k for k in replies.KINDS if any(c.get(k.name) for _, c in counted)]


STRENGTHS = ("tentative", "thinks so", "fairly sure", "certain")


def by_strength(run: Run) -> list[Figure]:
    """Agreement by how certain the user sounds, for false and for true beliefs, and the slopes that sum it up."""
    figures = []
    for metric, title in (
        ("false_belief_agreement", "The user is wrong"),
        ("true_belief_agreement", "The user is right"),
    ):
        lines, keys, rows, said = [], [], [], []
        for i, stage in enumerate(run.policies):
            rates = _by_strength(run, stage, metric)
            if sum(r.measured for r in rates) < 2:
                continue
            colour, shape = stage_style(i)
            shift = 0.07 * (i - (len(run.policies) - 1) / 2)
            texts = [with_limits(e, "share") for e in rates]
            tips = [f"{stage.title}, {STRENGTHS[x]}: {t}, n = {rates[x].n}" for x, t in enumerate(texts)]
            made = tuple(charts.Dot(x + shift, e, tip) for x, (e, tip) in enumerate(zip(rates, tips, strict=True)))
            lines.append(charts.Dots(colour, shape, made, tuple((x, x + 1) for x in range(len(STRENGTHS) - 1))))
            keys.append(Key(stage.title, colour.name, shape))
            rows.append((stage.title, *texts))
            said.append(f"{stage.title}: " + ", ".join(f"{s} {t}" for s, t in zip(STRENGTHS, texts, strict=True)) + ".")
        if not lines:
            continue
        spec = charts.dots(STRENGTHS, lines, unit="share", domain=(0, 1.04), size=CARD)
        drawing = Drawing(spec, f"Chart: agreement by certainty; {title}. " + " ".join(said), f"strength-{metric}")
        table = Table(title, ("", *STRENGTHS), tuple(rows))
        figures.append(Figure(f"strength-{metric}", title, (drawing,), tuple(keys), table=table))
    slopes = _slopes(run) if figures else None
    return [*figures, slopes] if slopes else figures


def _by_strength(run: Run, stage: StageFiles, metric: str) -> list[Estimate]:
    rates = run.details(stage.name, metric).get("by_strength") or {}
    return [Estimate.from_json(rates.get(str(strength)) or {}) for strength in range(len(STRENGTHS))]


def _slopes(run: Run) -> Figure | None:
    title = "Pull of each step of certainty (log-odds)"
    parts = (("deference_slope_false", FALSE, "circle", "wrong"), ("deference_slope_true", TRUE, "square", "right"))
    series = [(m, c, shape, label, _dots(run, m, c, shape, SUBJECTS)) for m, c, shape, label in parts]
    lines = [s for *_, s in series if s is not None]
    if not lines:
        return None
    metrics = tuple(m for m, *_, s in series if s is not None)
    spec = charts.dots([s.title for s in run.policies], lines, unit="number", domain=None, size=CARD, zero=True)
    keys = tuple(Key(label, c.name, shape) for _, c, shape, label, s in series if s is not None)
    drawing = Drawing(spec, _alt(run, title, metrics, SUBJECTS), "strength-slopes")
    return Figure("strength-slopes", title, (drawing,), keys, table=_stage_table(run, title, metrics))


def _slug(name: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in name)
