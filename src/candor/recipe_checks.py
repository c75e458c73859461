"""What a resolved recipe must hold across its stages, beyond what each config can tell on its own."""

from __future__ import annotations

from collections.abc import Sequence

from candor.errors import InputError
from candor.recipe import PPOStage, RewardStage, Stage
from candor.recipe_interventions import BeliefBlind, Ensemble, Penalty, ProbePenalty


def check_shared_backbones(stages: Sequence[Stage], where: str) -> None:
    """Raises InputError where a ppo stage asks for one shared backbone and its four models do not stand on one.

    ``stages`` have their inputs filled in. Reference (adapters off), policy, value and reward share the weights of the
    policy that PPO starts from: so the KL is measured to it, and the reward model was trained with LoRA on it.
    """
    by_name = {stage.name: stage for stage in stages}
    for stage in stages:
        if not isinstance(stage, PPOStage) or not stage.shared_backbone:
            continue
        place = f"{where}: {stage.name}.shared_backbone"
        if stage.lora is None:
            raise InputError("needs lora", where=place, fix=f"--set {stage.name}.lora.r=16, or leave it off")
        if stage.reference != stage.policy:
            what = f"the reference {stage.reference!r} is not the policy it starts from, {stage.policy!r}"
            raise InputError(what, where=place, fix="leave the reference out, or shared_backbone off")
        reward = by_name.get(stage.reward or "")
        assert isinstance(reward, RewardStage)  # inputs are filled in and of the right kind
        if reward.model is not None:
            what = f"the reward model {reward.name!r} starts from {reward.model!r}, not from the policy"
            raise InputError(what, where=place, fix=f"leave {reward.name}.model out, or shared_backbone off")
        if reward.lora is None:
            what = f"the reward model {reward.name!r} was trained in full, not with LoRA"
            raise InputError(what, where=place, fix=f"--set {reward.name}.lora.r=16, or leave it off")
        if reward.policy != stage.policy:
            what = f"the reward model {reward.name!r} starts from {reward.policy!r}, the policy from {stage.policy!r}"
            raise InputError(what, where=place, fix=f"let both start from one policy: {reward.name}.policy")


def check_policy_interventions(stages: Sequence[Stage], where: str) -> None:
    """Raises InputError for interventions of a ppo stage that cannot act, alone or together.

    ``stages`` have their inputs filled in. One of a kind; the rewards of an ensemble are earlier reward stages, each
    once, beside the stage's own; lambda* needs a KL penalty; and where no belief is scored a probe has none to find.
    """
    for index, stage in enumerate(stages):
        if not isinstance(stage, PPOStage):
            continue
        place = f"{where}: {stage.name}.interventions"
        kinds = [item.type for item in stage.interventions]
        twice = next((kind for kind in kinds if kinds.count(kind) > 1), None)
        if twice is not None:
            raise InputError(f"{twice} is given twice", where=place, fix="give it once")
        if {BeliefBlind, ProbePenalty} <= {type(item) for item in stage.interventions}:
            what = "belief_blind leaves no belief for probe_penalty to look at"
            raise InputError(what, where=place, fix="leave one of them out")
        for item in stage.interventions:
            if isinstance(item, Ensemble):
                _check_ensemble(item, stage, stages[:index], stages[index:], place)
            if isinstance(item, Penalty) and item.strength is None and stage.kl_coef == 0:
                fix = "give the penalty a strength, or kl_coef above 0"
                raise InputError("lambda* needs a KL penalty: kl_coef is 0", where=place, fix=fix)


def _check_ensemble(
    ensemble: Ensemble, stage: PPOStage, earlier: Sequence[Stage], later: Sequence[Stage], place: str
) -> None:
    rewards = [other.name for other in earlier if isinstance(other, RewardStage)]
    further = [name for name in rewards if name != stage.reward]
    fix = f"further reward stages: {', '.join(further) or 'none; add one, such as a reward stage with member = 1'}"
    where = f"{place}: ensemble.rewards"
    if not ensemble.rewards:
        raise InputError("an ensemble needs another reward stage", where=where, fix=fix)
    for name in ensemble.rewards:
        if name == stage.reward:
            raise InputError(f"{name!r} is the stage's own reward, which belongs to it anyway", where=where, fix=fix)
        if ensemble.rewards.count(name) > 1:
            raise InputError(f"{name!r} is named twice", where=where, fix=fix)
        if name in {other.name or other.type for other in later}:
            raise InputError(f"{name!r} does not come before this stage", where=where, fix=fix)
        if name not in rewards:
            kind = next((other.type for other in earlier if other.name == name), None)
            what = f"no stage is called {name!r}" if kind is None else f"{name!r} is a {kind} stage; needs reward"
            raise InputError(what, where=where, fix=fix)
