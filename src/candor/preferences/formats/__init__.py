"""Comparisons from files and to files, in every format that Candor knows.

A :class:`Format` says whether a row looks like its own and what a row, or a group of rows, holds. A source has the
format of its first row, and every other row has to fit it. What a file does not say is not made up: the order in which
responses were shown stays empty where the source does not record it, and so does the annotator.
"""

from candor.preferences.formats.base import DIFFERENT_PROMPTS, NO_REPLY, Format, Groups
from candor.preferences.formats.known import FORMATS, detect, is_comparison
from candor.preferences.formats.reading import ReadReport, read_comparisons
from candor.preferences.formats.stream import (
    ComparisonStream,
    Dropped,
    Numbered,
    fetch_comparisons,
    stream_comparisons,
)
from candor.preferences.formats.writing import (
    TARGETS,
    Target,
    Written,
    convert_comparisons,
    writable,
    write_comparisons,
)

__all__ = [
    "DIFFERENT_PROMPTS",
    "FORMATS",
    "NO_REPLY",
    "TARGETS",
    "ComparisonStream",
    "Dropped",
    "Format",
    "Groups",
    "Numbered",
    "ReadReport",
    "Target",
    "Written",
    "convert_comparisons",
    "detect",
    "fetch_comparisons",
    "is_comparison",
    "read_comparisons",
    "stream_comparisons",
    "writable",
    "write_comparisons",
]
