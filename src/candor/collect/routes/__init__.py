"""The routes of the API, one file per kind of thing."""

from __future__ import annotations

from fastapi import APIRouter


def routers() -> list[APIRouter]:
    """Every router of the service."""
    from candor.collect.routes import accounts, files, items, members, projects, quality, session, tasks

    return [module.router for module in (session, accounts, projects, members, items, files, tasks, quality)]
