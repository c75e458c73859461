"""Scores and annotators fitted to comparisons: sparse, vectorised, with standard errors. scipy is imported on use."""

from candor.preferences.fit.bradley_terry import BradleyTerryFit, bradley_terry

__all__ = ["BradleyTerryFit", "bradley_terry"]
