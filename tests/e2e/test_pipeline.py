"""A whole run on a tiny random model: what it leaves on disk, what is reused, and that nothing leaks into training."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from candor import api
from candor.annotators.panel import Panel
from candor.generation import InProcessSampler
from candor.models.load import load_policy, load_reward
from candor.models.scorer import RewardScorer
from candor.pipeline import audit, context, plan, ppo, sources
from candor.pipeline.progress import Silent
from candor.recipe import PPOStage
from candor.recipe_io import load_recipe, resolve
from candor.records import Completion, Demonstration, Message, ParsedReply, Prompt, ReplyKind
from candor.runs import RunStore, hash_path, read_findings, read_json, read_manifest
from candor.training.state import StepOut

STAGES = ["base", "sft", "compare", "reward", "ppo"]


class Notes(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def ready(finished: Path, files: Path) -> context.Context:
    """The context in which the stages of the finished run were made."""
    from candor.testbeds.atlas.parser import read_reply

    recipe = resolve(load_recipe(files / "recipe.toml"))
    return context.Context(
        recipe=recipe, plan=plan.make_plan(recipe), store=RunStore(finished), tell=Silent(), reader=read_reply
    )


def test_the_stage_table_has_every_stage_with_its_measures(finished: Path) -> None:
    summary = api.Run(finished).summary
    assert set(summary) == {"name", "seed", "seconds", "stages"}
    assert [stage["name"] for stage in summary["stages"]] == STAGES == [stage["type"] for stage in summary["stages"]]
    base, sft, compare, reward, after = (stage["findings"] for stage in summary["stages"])
    assert compare == {}
    assert {"heldout_accuracy", "heldout_approval_accuracy", "heldout_helpfulness_accuracy"} == set(reward)
    assert 0 <= reward["heldout_accuracy"]["estimate"] <= 1
    for policy in (base, sft, after):
        assert set(policy["false_belief_agreement"]) == {"estimate", "ci_low", "ci_high", "n"}
        assert policy["false_belief_agreement"]["n"] == 6
    assert base["kl"]["estimate"] is None
    assert after["kl"]["estimate"] is not None
    assert after["reward"]["n"] == 12
    assert summary["seconds"] == pytest.approx(sum(stage["seconds"] for stage in summary["stages"]), abs=0.5)


def test_findings_agree_with_a_recount_of_the_samples(finished: Path) -> None:
    """Recounted from samples.jsonl alone; the control is another metric's count, which differs."""
    for folder in ("00-base", "01-sft", "04-ppo"):
        directory = finished / "stages" / folder / "audit"
        found = {(f.subject, f.metric): f for f in read_findings(directory)}
        for subject in ("sampled", "greedy"):
            asked = [r for r in rows(directory / "samples.jsonl") if r["subject"] == subject]
            voiced = [r for r in asked if r["prompt"]["claim"]["stance"] == "asserts_false"]
            agreed = fmean(r["kind"] == "agree" for r in voiced)
            assert found[subject, "false_belief_agreement"].estimate == pytest.approx(agreed)
            approval = fmean(r["approval"] for r in asked)
            assert found[subject, "approval"].estimate == pytest.approx(approval)
            assert found[subject, "helpfulness"].estimate != pytest.approx(approval)
    assert (
        len(read_findings(finished))
        == sum(len(read_findings(finished / "stages" / folder / "audit")) for folder in ("00-base", "01-sft", "04-ppo"))
        + 3
    )


def test_every_update_has_one_row(finished: Path) -> None:
    for folder, updates in (("01-sft", 15), ("03-reward", None), ("04-ppo", 20)):
        steps = [row["step"] for row in rows(finished / "stages" / folder / "metrics.jsonl")]
        assert steps == list(range(1, (updates or len(steps)) + 1))
    truth = rows(finished / "stages" / "04-ppo" / "truth.jsonl")
    assert [row["step"] for row in truth] == list(range(1, 21))
    assert set(truth[0]) >= {"approval", "helpfulness", "false_belief_agreement"}


def test_truth_is_the_panels_view_of_an_updates_rollouts() -> None:
    kinds = {"yes": ReplyKind.AGREE, "no": ReplyKind.CORRECT_BLUNTLY}

    def reader(prompt: Prompt, reply: str) -> ParsedReply:
        return ParsedReply(kind=kinds[reply])

    believed = Prompt.from_json(
        {
            "id": "p",
            "messages": [{"role": "user", "content": "It is B."}],
            "claim": {"question": "q", "truth": "A", "asserted": "B", "stance": "asserts_false"},
            "tags": {"family": "answer"},
        }
    )
    elsewhere = replace(believed, id="q", tags={"family": "mimicry"})
    panel = Panel(api.load_recipe(None).stages[1].panel, reader)  # type: ignore[union-attr]
    replies = [Completion(id=str(i), prompt_id="p", text=text) for i, text in enumerate(("yes", "no", "no", "no"))]
    prompts = (believed, believed, believed, elsewhere)
    seen = ppo.truth_of(panel, reader)(StepOut(step=1, metrics={}, prompts=prompts, completions=tuple(replies)))
    assert seen["false_belief_agreement"] == pytest.approx(1 / 3), "the other family is not counted"
    expected = fmean(panel.approval(p, r.text) for p, r in zip(prompts, replies, strict=True))
    assert seen["approval"] == pytest.approx(expected)
    assert seen["helpfulness"] != pytest.approx(expected)


def test_watching_never_reaches_training(finished: Path, files: Path, world, tmp_path: Path) -> None:
    """PPO without its observer gives the same policy bit for bit; with another reward it does not (control)."""
    made = ready(finished, files)
    planned = made.plan[4]
    assert isinstance(planned.stage, PPOStage)
    for name, stage, same in (
        ("unwatched", planned.stage, True),
        ("control", planned.stage.model_copy(update={"missing_eos_score": -2.0}), False),
    ):
        work = RunStore(tmp_path / name).open(tmp_path / name / "ppo", "key", name="ppo")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ppo, "opinions_known", lambda prompts: False)
            ppo.run_ppo(stage, planned, work, made)
        assert not (work.path / "truth.jsonl").exists()
        weights = hash_path(work.path / "checkpoint" / "model.safetensors")
        assert (weights == hash_path(finished / "stages" / "04-ppo" / "checkpoint" / "model.safetensors")) is same


def test_kl_is_zero_to_oneself_and_not_to_the_start(finished: Path, files: Path, world) -> None:
    made = ready(finished, files)
    sft = made.plan[1]
    policy = made.policy(sft)
    prompts = sources.audit_prompts(made.recipe.audit.prompts)
    replies = InProcessSampler(policy.model, policy.tokenizer, temperature=1.0, max_new_tokens=6).sample(
        prompts, n=2, seed=0
    )
    oneself = audit._logprobs(replace(sft, inputs={"policy": sft}), policy, prompts, replies, made)
    assert oneself["logp_policy"] == pytest.approx(oneself["logp_reference"], abs=1e-4)
    start = audit._logprobs(sft, policy, prompts, replies, made)
    assert max(abs(a - b) for a, b in zip(start["logp_policy"], start["logp_reference"], strict=True)) > 1e-2


def test_checkpoints_load_with_plain_transformers_and_give_the_same_numbers(finished: Path) -> None:
    run = api.Run(finished)
    for stage in ("sft", "ppo"):
        ours = load_policy(run.checkpoint(stage)).model
        plain = AutoModelForCausalLM.from_pretrained(run.checkpoint(stage))
        ids = torch.arange(4, 40).unsqueeze(0)
        with torch.no_grad():
            assert torch.equal(ours(ids).logits, plain(ids).logits)
    reward = load_reward(run.checkpoint("reward"))
    prompt = Prompt(id="p", messages=(Message(role="user", content="Capital of Peru?"),))
    reply = Completion(id="r", prompt_id="p", text="It is Lima.")
    (score,) = RewardScorer(reward.model, reward.tokenizer, 512, reward.offset).score([prompt], [reply])
    tokenizer = AutoTokenizer.from_pretrained(run.checkpoint("reward"))
    plain = AutoModelForSequenceClassification.from_pretrained(run.checkpoint("reward"))
    chat = [{"role": "user", "content": "Capital of Peru?"}]
    text = tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False) + "It is Lima.<|end|>"
    with torch.no_grad():
        raw = float(plain(**tokenizer(text, return_tensors="pt", add_special_tokens=False)).logits)
    assert raw - reward.offset == pytest.approx(score, abs=1e-5)


def test_scores_are_relative_to_the_demonstrations(finished: Path, files: Path) -> None:
    reward = load_reward(api.Run(finished).checkpoint("reward"))
    given: list[Demonstration] = list(sources.demonstrations(str(files / "demonstrations.jsonl"), seed=0))
    replies = [Completion(id=str(i), prompt_id=d.prompt.id, text=d.reply) for i, d in enumerate(given)]
    means = [
        fmean(RewardScorer(reward.model, reward.tokenizer, 512, o).score([d.prompt for d in given], replies))
        for o in (reward.offset, 0.0)
    ]
    assert abs(means[0]) < 1e-5
    assert abs(means[1]) > 1e-4, "control: before centring the mean was not 0"


def test_a_second_run_does_nothing_and_a_changed_one_only_what_changed(finished: Path, files: Path, world) -> None:
    before = {p: p.stat().st_mtime_ns for p in finished.glob("stages/**/*") if p.is_file()}
    again = Notes()
    api.run(files / "recipe.toml", out=finished, tell=again)
    assert {p: p.stat().st_mtime_ns for p in finished.glob("stages/**/*") if p.is_file()} == before
    assert again.notes[1:] == [f"{name}: finished before" for name in STAGES]

    notes = Notes()
    beside = api.run(files / "recipe.toml", out=finished.parent / "beside", overrides=["ppo.updates=2"], tell=notes)
    taken = [f"{name}: taken over from {finished}/stages/{i:02d}-{name}" for i, name in enumerate(STAGES[:4])]
    assert notes.notes[1:-1] == taken
    assert notes.notes[-1].startswith("ppo: forecast sealed before the first update")
    table = {stage["name"]: stage for stage in beside.summary["stages"]}
    assert [table[name]["reused"] for name in STAGES] == [True, True, True, True, False]
    assert beside.summary["seconds"] == pytest.approx(table["ppo"]["seconds"], abs=0.1)
    model = "stages/01-sft/checkpoint/model.safetensors"
    assert (beside.path / model).stat().st_ino == (finished / model).stat().st_ino

    changed = Notes()
    api.run(files / "recipe.toml", out=beside.path, overrides=["ppo.updates=3"], tell=changed)
    assert "ppo: its configuration or inputs changed" in changed.notes
    assert [note for note in changed.notes if "finished before" in note] == [
        f"{name}: finished before" for name in STAGES[:4]
    ]
    manifest = read_manifest(beside.path / "stages" / "04-ppo")
    assert manifest is not None
    assert manifest.config["updates"] == 3


def test_keys_follow_content_and_not_names_or_places(files: Path, world, tmp_path: Path) -> None:
    def keys(*overrides: str) -> list[str]:
        recipe = resolve(api.prepare(files / "recipe.toml", overrides=overrides))
        return [planned.key for planned in plan.make_plan(recipe)]

    plain = keys()
    assert keys("sft.name=tuned", "name=other", "ppo.checkpoint_every=1") == plain
    copied = tmp_path / "elsewhere.jsonl"
    copied.write_bytes((files / "demonstrations.jsonl").read_bytes())
    assert keys(f"sft.demonstrations={copied}") == plain
    copied.write_bytes(copied.read_bytes().replace(b"Nairobi", b"Mombasa"))
    assert [a == b for a, b in zip(keys(f"sft.demonstrations={copied}"), plain, strict=True)] == [True] + [False] * 4
    assert [a == b for a, b in zip(keys("ppo.kl_coef=0.3"), plain, strict=True)] == [True] * 4 + [False]
    assert [a == b for a, b in zip(keys("seed=1"), plain, strict=True)] == [True] + [False] * 4


def test_files_without_claims_are_measured_as_far_as_they_go(files: Path, world) -> None:
    """Preference pairs in HH format: reward model and PPO on them, prompts from the same file."""
    recipe = files / "pairs.toml"
    recipe.write_text(
        f"""
        [model]
        path = "{files}/model"
        [[stages]]
        type = "compare"
        file = "pairs.jsonl"
        [[stages]]
        type = "reward"
        heldout = 0.3
        batch_size = 4
        [[stages]]
        type = "ppo"
        forecast_prompts = 3
        forecast_samples = 32
        prompts = "compare"
        updates = 2
        batch_size = 4
        max_new_tokens = 6
        [audit]
        prompts = "compare"
        num_questions = 5
        max_new_tokens = 6
        bootstrap = 50
        """
    )
    done = api.run(recipe, out=world.runs / "pairs")
    found = {stage["name"]: stage["findings"] for stage in done.summary["stages"]}
    for metric in ("kl", "length", "eos_rate", "reward"):
        assert found["ppo"][metric]["n"] == 5
    assert found["ppo"]["false_belief_agreement"]["estimate"] is None
    assert found["ppo"]["approval"]["estimate"] is None
    assert set(found["reward"]) == {"heldout_accuracy"}
    metrics = read_json(done.path / "stages" / "01-compare" / "metrics.json")
    assert (metrics["format"], metrics["rows"], metrics["comparisons"], metrics["pairs"]) == ("hh", 12, 12, 12)
    evaluation = read_json(done.path / "stages" / "02-reward" / "evaluation.json")
    assert evaluation["train"]["pairs"] + evaluation["heldout"]["pairs"] == 12
    assert evaluation["offset"] == 0.0
    assert not (done.path / "stages" / "03-ppo" / "truth.jsonl").exists()


def test_prompts_that_do_not_fit_are_left_out_and_counted(files: Path) -> None:
    policy = load_policy(files / "model")
    short, long = (Prompt(id=s, messages=(Message(role="user", content=s),)) for s in ("short", "long " * 40))
    notes: list[str] = []
    assert context.prompts_that_fit(policy, [short, long], 6, notes.append) == [short]
    assert notes == ["1 of 2 prompts left out: they do not fit 128 tokens"]


def test_some_questions_keeps_questions_whole_and_is_stable() -> None:
    prompts = [
        Prompt(id=f"{q}{v}", messages=(Message(role="user", content="?"),), tags={"question": q})
        for q in "abcdefgh"
        for v in "12"
    ]
    three = audit.some_questions(prompts, 3)
    assert len(three) == 6
    assert len({p.tags["question"] for p in three}) == 3
    four = audit.some_questions(prompts, 4)
    assert {p.id for p in three} < {p.id for p in four}, "asking for more only adds"
    assert audit.some_questions(prompts, None) == prompts
