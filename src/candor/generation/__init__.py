"""Sampling replies from a policy."""

from candor.generation.engine import Generation, generate
from candor.generation.sampler import InProcessSampler

__all__ = ["Generation", "InProcessSampler", "generate"]
