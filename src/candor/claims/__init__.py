"""Claims whose truth is known, and prompts that put each of them under every stance: what audits of models ask."""

from __future__ import annotations

from candor.claims.items import Case, Claims, Known
from candor.claims.reading import load_claims

__all__ = ["Case", "Claims", "Known", "load_claims"]
