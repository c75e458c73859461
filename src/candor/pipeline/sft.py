"""The sft stage: demonstrations to a policy."""

from __future__ import annotations

from functools import partial
from typing import Any

from candor.errors import InputError
from candor.models.chat import encode_prompt, encode_reply
from candor.ops.randomness import shuffled
from candor.pipeline.context import Context, fitting
from candor.pipeline.data_interventions import change_demonstrations
from candor.pipeline.loop import consume, restore
from candor.pipeline.plan import Planned
from candor.pipeline.trainees import policy_to_train, save_trained_policy
from candor.pipeline.watch import Watch
from candor.recipe import SFTStage
from candor.runs import Work, write_json
from candor.training.alarms import Watched
from candor.training.sft import sft, sft_rows, total_updates
from candor.training.state import TrainState, adamw


def run_sft(stage: SFTStage, planned: Planned, work: Work, context: Context) -> None:
    """Leaves ``checkpoint/``, ``metrics.jsonl``, ``data.json`` (what was used, cut and dropped), maybe ``adapter/``."""
    policy = policy_to_train(stage, planned, context)
    stage = fitting(stage, policy.model, context)
    given = context.demonstrations(stage.demonstrations)
    if stage.num_demonstrations is not None:
        order = shuffled(len(given), context.seed, "sft", "demonstrations")
        given = [given[i] for i in order[: stage.num_demonstrations]]
    given, interventions = change_demonstrations(stage, given, planned, context)
    rows, truncation = sft_rows(
        given,
        encode_prompt=partial(encode_prompt, policy.tokenizer),
        encode_reply=partial(encode_reply, policy.tokenizer),
        max_length=stage.max_length,
    )
    data: dict[str, Any] = {
        "demonstrations": len(given),
        "prompts_cut": truncation.cut,
        "dropped_too_long": truncation.dropped,
    }
    if interventions:
        data["interventions"] = interventions
    if truncation.cut or truncation.dropped:
        context.tell.note(
            f"{planned.name}: {truncation.cut} prompts cut, {truncation.dropped} replies too long: dropped"
        )
    if not rows:
        raise InputError("no demonstration fits", where=planned.name, fix=f"raise max_length = {stage.max_length}")
    optimizer = adamw([policy.model], lr=stage.lr, weight_decay=stage.weight_decay, eps=stage.adam_eps)
    state = TrainState(models={"policy": policy.model}, optimizers={"policy": optimizer})
    restore(state, work, context.tell, planned.name)
    consume(
        sft(state, rows, stage, seed=context.seed, pad_id=int(policy.tokenizer.pad_token_id or 0)),
        state=state,
        work=work,
        watch=Watch(Watched(stage=planned.name, config=stage, total=total_updates(len(rows), stage))),
        tell=context.tell,
    )
    save_trained_policy(work, policy, planned, context)
    write_json(work.path / "data.json", data)
