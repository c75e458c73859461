"""The application: everything that the pages do, over HTTP, described by OpenAPI."""

from __future__ import annotations

import random
from collections.abc import Sequence
from importlib.metadata import version

from fastapi import FastAPI

from candor.collect.deps import Site
from candor.collect.errors import add_handlers
from candor.collect.pages import pages_router
from candor.collect.routes import routers
from candor.collect.security import Guarded
from candor.collect.throttle import Throttle
from candor.projects.database import Database


def create_app(
    database: Database,
    *,
    secure: bool = False,
    hosts: Sequence[str] = (),
    rng: random.Random | None = None,
) -> FastAPI:
    """The labelling service on a database.

    ``secure``: it is reached by https (cookies are then sent by https only); ``hosts``: names besides those of this
    machine under which it is reached; ``rng``: for draws, seeded by the system unless given.
    """
    app = FastAPI(
        title="candor collect",
        version=version("candor-rlhf"),
        summary="Comparisons, rankings and ratings by people, and how far they can be trusted",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.site = Site(
        database=database,
        rng=rng or random.Random(),
        secure=secure,
        sign_ins=Throttle(burst=5, per_second=1 / 20),
        addresses=Throttle(burst=50, per_second=1),
        requests=Throttle(burst=100, per_second=20),
    )
    add_handlers(app)
    app.include_router(pages_router())
    for router in routers():
        app.include_router(router)
    app.add_middleware(Guarded, hosts=hosts, secure=secure)
    return app
