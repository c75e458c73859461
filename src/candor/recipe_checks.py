"""What a resolved recipe must hold across its stages, beyond what each config can tell on its own."""

from __future__ import annotations

from collections.abc import Sequence

from candor.errors import InputError
from candor.recipe import PPOStage, RewardStage, Stage


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
