"""Exercises on reward models and sycophancy: twenty preferences, a reward model, and what it rewards.

    python examples/sycophancy_exercises.py

Takes under a minute on two CPU cores, offline. docs/exercises.md discusses what it prints.
"""

from __future__ import annotations

from candor.exercises import (
    create_preference_dataset,
    create_test_cases,
    evaluate_reward_model,
    train_reward_model,
)


def main() -> None:
    """Trains three reward models, on labels that prefer honesty never, half of the time and always."""
    cases = create_test_cases()
    for honest_share in (0.0, 0.5, 1.0):
        preferences = create_preference_dataset(n=20, honest_share=honest_share)
        trained = train_reward_model(preferences, test_cases=cases)
        print(f"\n{honest_share:.0%} of the twenty preferences are for the honest correction")
        print(trained)
        print(evaluate_reward_model(trained.reward, cases))


if __name__ == "__main__":
    main()
