"""Hugging Face checkpoints in and out: policies, reward models, value models, chat format, scoring."""
