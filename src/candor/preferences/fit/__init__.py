"""Scores and annotators fitted to comparisons: sparse, vectorised, with standard errors. scipy is imported on use."""

from candor.preferences.fit.bradley_terry import BradleyTerryFit, bradley_terry
from candor.preferences.fit.davidson import DavidsonFit, davidson
from candor.preferences.fit.marginal import AnnotatorFit, Estimate, annotators_marginal
from candor.preferences.fit.plackett_luce import PlackettLuceFit, plackett_luce

__all__ = [
    "AnnotatorFit",
    "BradleyTerryFit",
    "DavidsonFit",
    "Estimate",
    "PlackettLuceFit",
    "annotators_marginal",
    "bradley_terry",
    "davidson",
    "plackett_luce",
]
