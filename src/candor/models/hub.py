"""Hub names: whether a hub has such a model, asked once and shortly, before transformers tries for half a minute."""

from __future__ import annotations

import difflib
from pathlib import Path

from candor.errors import InputError

SECONDS = 5.0
"""How long a hub may take to answer."""


def check_hub_name(name: str) -> None:
    """Raises InputError where ``name`` is in no local cache and no hub gives it: most often a mistyped directory."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url, is_offline_mode, try_to_load_from_cache
    from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, RepositoryNotFoundError

    try:
        if isinstance(try_to_load_from_cache(name, "config.json"), str):
            return
        if is_offline_mode():
            raise _missing(name, "it is not in the cache of hub models, which is all there is in offline mode")
        get_hf_file_metadata(hf_hub_url(name, "config.json"), timeout=SECONDS)
    except InputError:
        raise
    except GatedRepoError as error:
        fix = "ask for access on its page, then log in"
        raise InputError("this hub model is not open to everybody", where=name, fix=fix) from error
    except (RepositoryNotFoundError, EntryNotFoundError, ValueError) as error:
        raise _missing(name, "the hub has no such model") from error
    except Exception as error:  # the network's failures have no common type
        raise _missing(name, f"the hub cannot be asked ({first_line(error)})") from error


def _missing(name: str, why: str) -> InputError:
    here = [path.name for path in Path.cwd().iterdir() if (path / "config.json").is_file()]
    near = difflib.get_close_matches(name, here, n=1, cutoff=0.6)
    fix = f"did you mean ./{near[0]}?" if near else "give a checkpoint directory, or the name of a hub model"
    return InputError(f"no such checkpoint: no directory of this name, and {why}", where=name, fix=fix)


def first_line(error: Exception) -> str:
    """Returns what an error says first, for a message of one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(":")
