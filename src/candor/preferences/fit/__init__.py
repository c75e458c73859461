"""Scores and annotators fitted to comparisons: sparse, vectorised, with standard errors. scipy is imported on use."""

from candor.preferences.fit.annotators import (
    CrowdFit,
    ItemsAndAnnotatorsFit,
    bradley_terry_with_annotators,
    crowd_bt,
)
from candor.preferences.fit.bradley_terry import BradleyTerryFit, bradley_terry
from candor.preferences.fit.davidson import DavidsonFit, davidson
from candor.preferences.fit.marginal import AnnotatorFit, Estimate, annotators_marginal
from candor.preferences.fit.plackett_luce import PlackettLuceFit, plackett_luce
from candor.preferences.fit.reliability import ReliabilityFit, agreement_reliability

__all__ = [
    "AnnotatorFit",
    "BradleyTerryFit",
    "CrowdFit",
    "DavidsonFit",
    "Estimate",
    "ItemsAndAnnotatorsFit",
    "PlackettLuceFit",
    "ReliabilityFit",
    "agreement_reliability",
    "annotators_marginal",
    "bradley_terry",
    "bradley_terry_with_annotators",
    "crowd_bt",
    "davidson",
    "plackett_luce",
]
