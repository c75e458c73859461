"""Audits read an artefact and return findings. They never change anything, and they load without torch."""
