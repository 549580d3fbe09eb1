"""`/api/v1/schedules`: when the regular sync and the nightly check run, and how far they look back."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from zk_pipeline.operate import schedules
from zk_pipeline.runtime.dagster_server import dagster_server
from zk_pipeline.runtime.schedules import FIELDS, MOST_DAYS, PRESETS, SchedulePlan
from zk_pipeline.runtime.settings import WhenBusy
from zk_pipeline.web.api.common import PREFIX, Body, Page, Ready, Wanted
from zk_pipeline.web.authentication import Admin, Viewer
from zk_pipeline.web.once import KeyedRoute

router = APIRouter(prefix=f"{PREFIX}/schedules", tags=["schedules"], route_class=KeyedRoute)

FIRST_YEAR, LAST_YEAR = 2000, 2100

Name = Annotated[Literal["catch_up", "deep_check"], Path(description="catch_up or deep_check.")]
Origin = Literal["stored", "environment", "dagster"]


def _in_our_time(moment: datetime) -> datetime:
    if not FIRST_YEAR <= moment.year < LAST_YEAR:
        raise ValueError(f"give an instant between {FIRST_YEAR} and {LAST_YEAR}")
    return moment


class ScheduleView(BaseModel):
    """A schedule. The cron is read in `zone`, the business zone; `days` is how far it looks back, today included.

    `origins` tells for each field whether it was stored by somebody or comes from the environment; `on` comes from
    Dagster where somebody started or stopped the schedule there. What is off has no next runs.
    """

    name: str
    zone: str
    cron: str
    days: int
    on: bool
    when_busy: WhenBusy
    origins: dict[str, Origin]
    next_runs: list[datetime]


class ScheduleChange(Body):
    """What to change: what is left out stays, null returns to the environment's value, `reset` returns all others."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"preset": "every-6-hours", "days": 7}]})

    preset: Annotated[Literal["hourly", "every-6-hours", "nightly", "off"] | None, Field(description="Or a cron.")] = (
        None
    )
    cron: Annotated[str | None, Field(max_length=200, examples=["0 */6 * * *"])] = None
    days: Annotated[int | None, Field(ge=1, le=MOST_DAYS)] = None
    on: bool | None = None
    when_busy: Annotated[WhenBusy | None, Field(description="While a run of it is unfinished.")] = None
    reset: bool = False


class ChangedView(BaseModel):
    """The schedule as it is stored now. Unless it is in effect, the text says why Dagster has not taken it over."""

    schedule: ScheduleView
    changed: bool
    in_effect: bool
    text: str


class PreviewView(BaseModel):
    """When a cron would run."""

    cron: str
    zone: str
    next_runs: list[datetime]


class PresetView(BaseModel):
    """A usual choice, by the name that a change takes; what it leaves out stays."""

    name: str
    cron: str | None = None
    on: bool


@router.get("", summary="Both schedules")
def list_schedules(_actor: Viewer, ready: Ready, paging: Wanted) -> Page[ScheduleView]:
    """With the next five runs in the business zone."""
    now = datetime.now(UTC)
    return paging.among([_view(plan, now) for plan in schedules.list_plans(ready)])


@router.get("/presets", summary="Usual choices")
def list_presets(_actor: Viewer, paging: Wanted) -> Page[PresetView]:
    """A change of a schedule may name one of them instead of a cron."""
    return paging.among([PresetView.model_validate({"name": name, **values}) for name, values in PRESETS.items()])


@router.get("/preview", summary="When a cron would run")
def preview_cron(
    _actor: Viewer,
    ready: Ready,
    cron: Annotated[str, Query(max_length=200, description="Five fields, read in the business zone.")],
    after: Annotated[
        AwareDatetime | None, AfterValidator(lambda moment: moment and _in_our_time(moment)), Query()
    ] = None,
    number: Annotated[int, Query(ge=1, le=50)] = 5,
) -> PreviewView:
    """Stores nothing. A time that a clock change skips is made up for at the end of the gap; 422 for a wrong cron."""
    runs = schedules.preview(ready, cron, after or datetime.now(UTC), number)
    return PreviewView(cron=cron, zone=ready.settings.zone.key, next_runs=runs)


@router.put("/{name}", summary="Change a schedule")
def change_schedule(actor: Admin, ready: Ready, name: Name, body: ScheduleChange) -> ChangedView:
    """Dagster loads it again, which takes some seconds and waits for runs that are under way."""
    given = {field: getattr(body, field) for field in FIELDS if field in body.model_fields_set}
    changed = schedules.change(ready, actor, name, given, preset=body.preset, reset=body.reset)
    effect = schedules.apply_change(changed, dagster_server(ready))
    after = _view(changed.after, datetime.now(UTC))
    return ChangedView(schedule=after, changed=changed.differs, in_effect=effect.now, text=effect.text)


def _view(plan: SchedulePlan, now: datetime) -> ScheduleView:
    return ScheduleView(
        name=plan.name,
        zone=plan.zone.key,
        cron=plan.cron,
        days=plan.days,
        on=plan.on,
        when_busy=plan.when_busy,
        origins={field: entry["from"] for field, entry in schedules.origins(plan).items()},
        next_runs=plan.next_runs(now) if plan.on else [],
    )
