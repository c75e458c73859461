"""The command line: parses, calls the api, prints. Torch is imported only by the commands that compute."""

from candor.cli.app import app, main
from candor.cli.stage_table import summary_lines

__all__ = ["app", "main", "summary_lines"]
