"""The strip of stages at the top of the page: what each one did, in a sentence, and what it did to the measure."""

from __future__ import annotations

from dataclasses import dataclass

from candor.report import tables, words
from candor.report.load import Run, StageFiles
from candor.report.numbers import direction, limits, number, seconds_as_text, with_limits
from candor.report.remedies import own_remedies


@dataclass(frozen=True)
class StageCard:
    name: str
    title: str
    says: str
    figure: str = ""  # the number that the card shows large
    figure_limits: str = ""
    figure_label: str = ""
    change: str = ""
    way: str = "unclear"
    culprit: bool = False
    time: str = ""


def stage_cards(run: Run) -> list[StageCard]:
    """One card per stage, in the order of the run."""
    rise = words.largest_rise(run)
    moved = {s.stage.name: s for s in words.steps(run)}
    cards = []
    for stage in run.stages:
        took = stage.manifest.get("seconds")
        memory = stage.manifest.get("peak_memory_mb")
        spent = [seconds_as_text(float(took))] if took is not None else []
        spent += [f"{float(memory):,.0f} MiB at most"] if memory else []
        time = "reused" if stage.reused else ", ".join(spent)
        figure, between, label = _figure(run, stage)
        step = moved.get(stage.name)
        change = f"{number(step.change.value or 0.0, 'points')} points {limits(step.change, 'points')}" if step else ""
        cards.append(
            StageCard(
                name=stage.name,
                title=stage.title,
                says=_says(run, stage),
                figure=figure,
                figure_limits=between,
                figure_label=label,
                change=change,
                way=direction(step.change) if step else "unclear",
                culprit=rise is not None and rise.stage.name == stage.name,
                time=time,
            )
        )
    return cards


def _figure(run: Run, stage: StageFiles) -> tuple[str, str, str]:
    agreement = run.measured(stage.name, words.AGREEMENT)
    if agreement is not None and agreement.value is not None:
        return number(agreement.value, "share"), limits(agreement, "share"), "agrees with false beliefs"
    if stage.type == "reward":
        accuracy = tables.reward_accuracy(run, stage)
        if accuracy is not None and accuracy.value is not None:
            return number(accuracy.value, "share"), limits(accuracy, "share"), "right on held-out pairs"
    if stage.type == "compare":
        view = tables.panel(stage)
        if view is not None:
            return number(view.prefers_agreeing, "share"), "", "would prefer agreeing to correcting"
    return "", "", ""


def _says(run: Run, stage: StageFiles) -> str:
    put_in = own_remedies(stage)
    return _says_plainly(run, stage) + (f" With {'; '.join(put_in)}." if put_in else "")


def _says_plainly(run: Run, stage: StageFiles) -> str:
    match stage.type:
        case "base":
            return "The pretrained model, before any feedback."
        case "sft":
            return _says_sft(stage)
        case "compare":
            return _says_compare(stage)
        case "reward":
            return "A model learns to predict which reply the annotators prefer."
        case "ppo":
            return _says_ppo(run, stage)
    return f"A stage of type {stage.type}."


def _says_sft(stage: StageFiles) -> str:
    count = stage.config.get("num_demonstrations")
    return f"Fine-tuned on {f'{count:,} ' if count else ''}demonstrations."


def _says_compare(stage: StageFiles) -> str:
    if stage.config.get("file"):
        return f"Comparisons read from {stage.config['file']}; who made them is not known here."
    count = stage.totals.get("comparisons") or stage.config.get("num_prompts")
    view, k = tables.panel(stage), stage.config.get("responses")
    raters = f"{view.annotators} annotators" if view else "Annotators"
    verb = {"ranking": "rank", "choice": "choose among", "ratings": "rate"}.get(
        str(stage.config.get("feedback")), "compare"
    )
    return f"{raters} {verb} {f'{k} ' if k else ''}replies to each{f' of {count:,}' if count else ''} prompts.".replace(
        "each prompts", "each prompt"
    )


def _says_ppo(run: Run, stage: StageFiles) -> str:
    updates = len(stage.metrics) or stage.config.get("updates")
    start = stage.config.get("kl_coef")
    penalty = f", with a KL penalty of {start:g}" if isinstance(start, int | float) else ""
    kl = run.measured(stage.name, "kl")
    ended = f" It ends {with_limits(kl, 'nats')} nats from where it began." if kl else ""
    return f"{updates or 'Some'} updates that raise the predicted preference{penalty}.{ended}"
