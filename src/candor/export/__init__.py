"""A stage's model leaves the run: a plain Hugging Face checkpoint with a model card that says what was measured."""

from candor.export.checkpoint import Exported, export_stage

__all__ = ["Exported", "export_stage"]
