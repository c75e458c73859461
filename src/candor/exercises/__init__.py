"""The classic exercises on reward models and sycophancy, as code that a student calls (docs/exercises.md).

``create_preference_dataset`` -> ``train_reward_model`` -> ``evaluate_reward_model``, on the embedded world and model or
on one's own pairs and checkpoint.
"""

from __future__ import annotations

from candor.exercises.cases import Case, create_preference_dataset, create_test_cases
from candor.exercises.evaluation import Evaluation, Judged, evaluate_reward_model
from candor.exercises.training import Look, TrainedReward, train_reward_model

__all__ = [
    "Case",
    "Evaluation",
    "Judged",
    "Look",
    "TrainedReward",
    "create_preference_dataset",
    "create_test_cases",
    "evaluate_reward_model",
    "train_reward_model",
]
