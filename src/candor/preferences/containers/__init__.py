"""Where rows come from: text, tables, Parquet, datasets on disk or on the hub, and directories of such files.

Whatever it is, :func:`open_source` gives files that can be scanned row by row; nothing is ever read whole.
"""

from candor.preferences.containers.files import (
    ENDINGS,
    RowFile,
    Source,
    check_source,
    is_hub_name,
    open_source,
    read_source_rows,
    stem,
)

__all__ = ["ENDINGS", "RowFile", "Source", "check_source", "is_hub_name", "open_source", "read_source_rows", "stem"]
