"""The run store: content-addressed stages on disk, written so that nothing half-written is ever taken as done."""

from candor.runs.files import hash_path, read_json, write_json, write_text
from candor.runs.lock import holder, locked
from candor.runs.manifest import Manifest, content_key, read_manifest
from candor.runs.reading import read_alarms, read_findings, read_records, stage_dirs
from candor.runs.steplog import StepLog
from candor.runs.store import RunStore, Status, Work

__all__ = [
    "Manifest",
    "RunStore",
    "Status",
    "StepLog",
    "Work",
    "content_key",
    "hash_path",
    "holder",
    "locked",
    "read_alarms",
    "read_findings",
    "read_json",
    "read_manifest",
    "read_records",
    "stage_dirs",
    "write_json",
    "write_text",
]
