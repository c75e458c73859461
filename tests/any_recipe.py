"""The one recipe that every architecture runs; its files are those of the tiny world (``e2e/conftest.py``)."""

RECIPE = """
name = "any"
[model]
path = "model"
[[stages]]
type = "sft"
demonstrations = "demonstrations.jsonl"
batch_size = 6
epochs = 1
[[stages]]
type = "compare"
prompts = "prompts.jsonl"
num_prompts = 6
responses = 3
max_new_tokens = 5
[[stages]]
type = "reward"
batch_size = 3
heldout = 0.3
[[stages]]
type = "ppo"
forecast_prompts = 3
forecast_samples = 32
prompts = "prompts.jsonl"
updates = 2
batch_size = 6
responses = 2
epochs = 2
max_new_tokens = 5
[audit]
prompts = "audit.jsonl"
num_questions = 3
max_new_tokens = 5
bootstrap = 20
"""
