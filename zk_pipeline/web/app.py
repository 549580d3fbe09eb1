"""Builds the web app: webhook intake, API, sign-in and health. The server adds the console."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import Depends, FastAPI

from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.web import errors, oidc
from zk_pipeline.web import sign_in as sign_in_page
from zk_pipeline.web.api import (
    audit,
    conflicts,
    connectors,
    documentation,
    entries,
    kpi,
    mappings,
    periods,
    privacy,
    reconciliation,
    schedule,
    sign_in,
    statements,
    sync,
    tokens,
    upkeep,
    users,
)
from zk_pipeline.web.authentication import Sessions
from zk_pipeline.web.etags import EntityTags
from zk_pipeline.web.health import Health
from zk_pipeline.web.limits import LimitedBodies
from zk_pipeline.web.metrics import CountedRequests, Metrics
from zk_pipeline.web.protection import Protected
from zk_pipeline.web.webhooks import Batches, Intake, Rejections, SourceSchemes


def create_app(runtime: Runtime) -> FastAPI:
    """The web app on a migrated database. The runtime must outlive it."""
    batches = Batches(runtime.database)
    rejections = Rejections(runtime.database, runtime.settings.zone)
    health = Health(runtime)
    metrics = Metrics(runtime, health.signs)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        counting = asyncio.create_task(rejections.run())
        await asyncio.to_thread(health.start)
        yield
        await asyncio.to_thread(health.stop)
        counting.cancel()
        with suppress(asyncio.CancelledError):
            await counting
        batches.close()

    app = FastAPI(title="zk_pipeline", lifespan=lifespan, openapi_url=None, redirect_slashes=False)
    app.state.runtime = runtime
    app.state.recognition = Sessions(runtime)
    app.add_middleware(EntityTags)
    app.add_middleware(LimitedBodies)
    errors.install(app)
    app.add_middleware(CountedRequests, requests=metrics.requests)
    app.add_middleware(Protected, settings=runtime.settings)
    app.include_router(health.router)
    app.include_router(metrics.router)
    app.include_router(Intake(runtime.settings, batches, rejections, SourceSchemes(runtime.database)).router)
    app.include_router(sign_in_page.router)
    app.include_router(oidc.router)
    known_alone = [Depends(documentation.refuse_unknown_parameters)]
    for resource in (audit, connectors, mappings, periods, privacy, schedule, sign_in, tokens, upkeep, users):
        app.include_router(resource.router, dependencies=known_alone)
    for resource in (conflicts, entries, kpi, reconciliation, statements, sync):
        app.include_router(resource.router, dependencies=known_alone)
    documentation.install(app)
    return app
