"""The server: one process, everything in it on the disk before it is acknowledged."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence

from candor.collect.security import LOCAL
from candor.errors import InputError
from candor.projects.accounts import accounts, invitations
from candor.projects.database import Database

DEFAULT_PORT = 8400
FIRST_ADMIN = "admin"
LINK_DAYS = 1.0


def first_link(database: Database) -> str | None:
    """A link that signs the first admin in, made with its account where there is none; None where there is a password.

    Whoever can start the server can read the database: a link on its terminal gives nothing away.
    """
    with database.writing() as connection:
        admins = [a for a in accounts.list_accounts(connection) if a.role == "admin" and a.active]
        if any(account.has_password for account in admins):
            return None
        now = database.now()
        admin = admins[0] if admins else accounts.create_account(connection, FIRST_ADMIN, "admin", now=now)
        return invitations.sign_in_link(connection, admin, by=None, days=LINK_DAYS, now=now)


def check_address(host: str, *, behind_https: bool) -> None:
    """Raises InputError for an address that others can reach, unless something before it speaks https."""
    if host in LOCAL or behind_https:
        return
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        fix = "put a proxy with https before it and add --behind-https --name labels.example.org"
        raise InputError("passwords would travel unencrypted", where=f"--host {host}", fix=fix)


def listening(host: str, port: int) -> socket.socket:
    """A socket on the address; port 0 takes a free one. Raises InputError where it is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol by its name: asyncio switches Nagle's algorithm off only there, which else holds answers back 40 ms.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
    except OSError as error:
        made.close()
        raise InputError(
            f"cannot listen: {error.strerror}", where=f"{host}:{port}", fix="give another --port"
        ) from error
    return made


def serve(
    database: Database,
    listener: socket.socket,
    *,
    behind_https: bool = False,
    hosts: Sequence[str] = (),
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Serves until it is told to stop (Ctrl-C, SIGTERM); requests that have begun are finished."""
    import uvicorn

    from candor.collect.app import create_app

    app = create_app(database, secure=behind_https, hosts=hosts)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="off",
        proxy_headers=behind_https,
        timeout_graceful_shutdown=5,
        server_header=False,
    )
    listener.listen(2048)  # connections queue from here on, before the server takes the first
    ready()
    uvicorn.Server(config).run(sockets=[listener])
