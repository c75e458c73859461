"""Where prompts, demonstrations and comparisons come from: the embedded testbed, a file, or an earlier stage.

Everything that a recipe names is read once, before the first stage starts: a file that is missing or malformed is found
out about at once and not after hours of training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal, assert_never

from candor import annotators
from candor.datafiles import PromptFile, read_demonstrations, read_prompts
from candor.errors import InputError
from candor.preferences.containers import is_hub_name, open_source
from candor.preferences.formats import ReadReport, read_comparisons
from candor.preferences.formats.base import TOO_FEW
from candor.preferences.pairing import pair_comparisons
from candor.projects.reference import content_hash, parse_reference, project_labels
from candor.recipe import ATLAS, ATLAS_CLEAN
from candor.records import Claim, Comparison, Demonstration, Prompt, to_json
from candor.runs import content_key, hash_path, read_records
from candor.testbeds import atlas
from candor.testbeds.atlas.base import base_path

Note = Callable[[str], None]
Kind = Literal["demonstrations", "train", "heldout"]


def quiet(_: str) -> None:
    """For what was told before: files are read, and what they left out is told, before the first stage."""


def train_prompts(
    source: str, *, seed: int, note: Note = quiet, stages: Mapping[str, Path] | None = None
) -> Sequence[Prompt]:
    """Prompts to train on: the testbed's, those of a compare stage's comparisons (``stages``), or a file's."""
    if source == ATLAS:
        return _atlas_train(seed)
    if stages and source in stages:
        return distinct_prompts(stage_comparisons(stages[source]))
    return _prompt_file(source, note)


def audit_prompts(source: str, *, note: Note = quiet) -> Sequence[Prompt]:
    """Prompts to audit on: the testbed's held-out ones or a file's."""
    return _atlas_heldout() if source == ATLAS else _prompt_file(source, note)


def demonstrations(source: str, *, seed: int, note: Note = quiet) -> Sequence[Demonstration]:
    """Demonstrations of the testbed or of a file."""
    if source in (ATLAS, ATLAS_CLEAN):
        return _atlas_demonstrations(seed, source == ATLAS_CLEAN)
    found = _demonstration_file(source)
    _tell_dropped(found.dropped, found.rows, source, note)
    return found.demonstrations


def comparison_file(source: str, *, note: Note = quiet) -> ReadReport:
    """Comparisons of a file in any known format and container, or of a labelling project (``collect.db#slug``).

    Raises InputError for what is not on this disk: a dataset on the hub may change, and a stage's key could not tell.
    """
    if parse_reference(source) is None:
        _on_disk(source)
    found = _comparison_file(source)
    _tell_dropped(found.dropped, found.rows, source, note)
    return found


def check_pairs(source: str) -> None:
    """Raises InputError where none of a file's comparisons prefers one response to another."""
    found = _comparison_file(source)
    paired = pair_comparisons(found.comparisons)
    if not paired.pairs:
        reasons = ", ".join(f"{count} x {reason}" for reason, count in paired.dropped.items())
        raise InputError(
            f"none of {paired.comparisons} comparisons gives a pair to train on ({reasons})",
            where=source,
            fix="a reward model needs comparisons that prefer one response to another",
        )


def stage_comparisons(stage: Path) -> list[Comparison]:
    """The comparisons that a finished compare stage left."""
    return read_records(stage / "comparisons.jsonl", Comparison.from_json)


def distinct_prompts(comparisons: Sequence[Comparison]) -> list[Prompt]:
    """The prompts of comparisons, each once, in order."""
    return list({c.prompt.id: c.prompt for c in comparisons}.values())


def fingerprint(kind: Kind, source: str, *, seed: int) -> str:
    """The content hash of a source: the testbed's records themselves (``kind`` says which), or the file's bytes."""
    if source == ATLAS or (source, kind) == (ATLAS_CLEAN, "demonstrations"):
        return _atlas_fingerprint(kind, source, seed)
    if parse_reference(source) is not None:
        return content_hash(_comparison_file(source).comparisons)
    return hash_path(_on_disk(source))


def _on_disk(source: str) -> Path:
    """The file or directory behind a source, which may name a split of a dataset that was saved."""
    path = open_source(source).path
    if not path.exists():
        fix = f"a dataset on the hub has to become a file first: candor convert {source} pairs.jsonl --to candor"
        raise InputError("no such file", where=source, fix=fix if is_hub_name(source) else "check the path")
    return path


@lru_cache(maxsize=16)
def _atlas_fingerprint(kind: Kind, source: str, seed: int) -> str:
    """Thousands of records to text: once per process is enough, and a plan asks for it once per stage."""
    records: Sequence[Prompt] | Sequence[Demonstration]
    match kind:
        case "demonstrations":
            records = _atlas_demonstrations(seed, source == ATLAS_CLEAN)
        case "train":
            records = _atlas_train(seed)
        case "heldout":
            records = _atlas_heldout()
        case _:
            assert_never(kind)
    return content_key({"records": to_json(records)})


def model_fingerprint(path: str) -> str:
    """The content hash of a checkpoint directory; a hub name stands for itself.

    Raises InputError for what can only be a path and is not there.
    """
    local = base_path() if path == ATLAS else Path(path)
    if local.exists():
        return hash_path(local)
    if path.startswith((".", "/", "~")):
        raise InputError("no such checkpoint directory", where=path)
    return f"hub:{path}"


@lru_cache(maxsize=1)
def judges_fingerprint() -> str:
    """The content hash of the code that stands for people: the simulated annotators and the reader of replies.

    What they would say is an input of every comparison and every audit, so that a change in them must not be answered
    with a result from before it.
    """
    folders = (Path(annotators.__file__).parent, Path(atlas.__file__).parent)
    return content_key({file.name: hash_path(file) for folder in folders for file in sorted(folder.glob("*.py"))})


def opinions_known(prompts: Sequence[Prompt]) -> bool:
    """Whether the simulated panel has an opinion on replies to all of these: each has a claim or should be refused."""
    return all(isinstance(p.claim, Claim) or p.tags.get("family") == "refusal" for p in prompts)


def _tell_dropped(dropped: Mapping[str, tuple[int, ...]], rows: int, source: str, note: Note) -> None:
    for reason, lines in dropped.items():
        shown = ", ".join(map(str, lines[:5])) + (", ..." if len(lines) > 5 else "")
        note(f"{source}: {len(lines)} of {rows} rows left out: {reason} (lines {shown})")


def _prompt_file(source: str, note: Note) -> Sequence[Prompt]:
    found = _read_prompt_file(source)
    _tell_dropped(found.dropped, found.rows, source, note)
    return found.prompts


@lru_cache(maxsize=8)
def _read_prompt_file(source: str) -> PromptFile:
    if parse_reference(source) is None:
        return read_prompts(source)
    comparisons = _comparison_file(source).comparisons
    return PromptFile(prompts=tuple(distinct_prompts(comparisons)), rows=len(comparisons))


@lru_cache(maxsize=4)
def _comparison_file(source: str) -> ReadReport:
    """A project's labels are read once per run: what comes in meanwhile belongs to the next."""
    reference = parse_reference(source)
    if reference is None:
        return read_comparisons(source)
    labels = project_labels(reference, retests=False)
    kept = tuple(label for label in labels if len(label.responses) > 1)
    single = tuple(row for row, label in enumerate(labels, start=1) if len(label.responses) == 1)
    return ReadReport(comparisons=kept, rows=len(labels), dropped={TOO_FEW: single} if single else {}, format="collect")


_demonstration_file = lru_cache(maxsize=8)(read_demonstrations)


def forget_files() -> None:
    """Drops what was read from files: a new run reads them again, as they may have changed."""
    for cache in (_read_prompt_file, _demonstration_file, _comparison_file):
        cache.cache_clear()


@lru_cache(maxsize=4)
def _atlas_train(seed: int) -> tuple[Prompt, ...]:
    from candor.testbeds.atlas.prompts import train_prompts as atlas_prompts

    return tuple(atlas_prompts(seed))


@lru_cache(maxsize=1)
def _atlas_heldout() -> tuple[Prompt, ...]:
    from candor.testbeds.atlas.prompts import heldout_prompts

    return tuple(heldout_prompts())


@lru_cache(maxsize=4)
def _atlas_demonstrations(seed: int, clean: bool) -> tuple[Demonstration, ...]:
    from candor.testbeds.atlas.demonstrations import demonstrations as atlas_demonstrations
    from candor.testbeds.atlas.mixtures import DEMONSTRATORS, without_agreement

    return tuple(atlas_demonstrations(seed, without_agreement(DEMONSTRATORS) if clean else DEMONSTRATORS))
