"""One file per comparison, each with Candor's side and TRL's."""

from bench.case import Case
from bench.cases import pipeline, reward_step, rl_step, sampling, sft_step

ALL: tuple[Case, ...] = (*sft_step.CASES, *reward_step.CASES, *rl_step.CASES, *sampling.CASES, *pipeline.CASES)
