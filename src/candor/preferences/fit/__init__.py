"""Scores and annotators fitted to comparisons: sparse, vectorised, with standard errors. scipy is imported on use."""

from candor.preferences.fit.bradley_terry import BradleyTerryFit, bradley_terry
from candor.preferences.fit.marginal import AnnotatorFit, Estimate, annotators_marginal

__all__ = ["AnnotatorFit", "BradleyTerryFit", "Estimate", "annotators_marginal", "bradley_terry"]
