"""Rows of a dataset on the Hugging Face hub, streamed by ``datasets``."""

from __future__ import annotations

from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

from candor.errors import InputError
from candor.jsonl import Malformed, Meter, Row, malformed
from candor.preferences.containers.columns import DEFAULT_SPLIT


def scan(name: str) -> Any:
    """Returns a scan of ``owner/name``, ``owner/name:split`` or ``owner/name:config:split``.

    Raises InputError, once it is scanned, where the dataset cannot be loaded.
    """
    dataset, *chosen = name.split(":")
    config, split = ([None, *chosen] if len(chosen) < 2 else chosen) if chosen else (None, DEFAULT_SPLIT)

    def rows(*, only: Container[int] | None = None, meter: Meter | None = None) -> Iterator[Row | Malformed]:
        path, number = Path(name), 0
        found = iter(_open(dataset, config, str(split)))
        while True:
            try:
                fields = next(found, None)
            except Exception as error:  # whatever the network and the library's own readers raise
                yield malformed(path, number + 1, f"cannot be read: {_line(error)}", unit="row", ends=True)
                return
            if fields is None:
                return
            number += 1
            if only is None or number in only:
                yield Row(path=path, line=number, fields=fields, unit="row")

    return rows


def _open(dataset: str, config: str | None, split: str) -> Any:
    unreachable = _unreachable()
    if unreachable:
        raise _not_loaded(dataset, unreachable)
    try:
        from datasets import load_dataset

        return load_dataset(dataset, config, split=split, streaming=True)
    except Exception as error:  # offline, unknown, gated, no such split: the library has an error for each
        raise _not_loaded(dataset, _line(error)) from error


def _not_loaded(dataset: str, why: str) -> InputError:
    return InputError(
        f"no such file, and no dataset of that name could be loaded from the hub: {why}",
        where=dataset,
        fix="check the path or the name, or download the files and give their directory",
    )


def _unreachable() -> str:
    """Why the hub's name leads nowhere, or nothing: the library would try again and again for half a minute."""
    import socket
    from urllib.parse import urlsplit
    from urllib.request import getproxies

    from huggingface_hub import constants

    host = urlsplit(constants.ENDPOINT).hostname
    if host and not constants.HF_HUB_OFFLINE and not getproxies():
        try:
            socket.getaddrinfo(host, None)
        except OSError:
            return f"{host} cannot be reached"
    return ""


def _line(error: BaseException) -> str:
    """The first line of an error's message, with the name of its kind."""
    text = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
