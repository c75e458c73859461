"""Interventions against sycophancy: each a small pure piece, put in at the seam of a stage, alone or with others.

On demonstrations and comparisons: ``demonstrations``, ``relabelling``, ``counterfactual``, ``reliability``.
Those on the reward and the optimiser wrap a scorer or watch training. What a recipe names are the configs of
:mod:`candor.recipe_interventions`.
"""
