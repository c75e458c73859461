"""Runs read back: tables, frames and charts of what is on disk. Nothing here computes, and nothing loads torch."""

from candor.results.listing import RunInfo, find_runs, list_runs, locate_run
from candor.results.run import Run

__all__ = ["Run", "RunInfo", "find_runs", "list_runs", "locate_run"]
