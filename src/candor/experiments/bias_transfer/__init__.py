"""Bias transfer: how much of a bias in labels a reward model and an optimised policy carry."""
