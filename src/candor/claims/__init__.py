"""Claims whose truth is known, and prompts that put each of them under every stance: what audits of models ask."""

from __future__ import annotations

from candor.claims.items import Case, Claims, Known
from candor.claims.reader import ClaimReader
from candor.claims.reading import ATLAS, load_claims

__all__ = ["ATLAS", "Case", "ClaimReader", "Claims", "Known", "load_claims"]
