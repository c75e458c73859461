"""Whole trainings and what runs pipelines: pretraining the embedded base, and (later) forecasts and attribution."""
