"""`/api/v1/alerts`, `/api/v1/doctor` and `/api/v1/about`: whether all is well, and what is installed."""

from fastapi import APIRouter
from pydantic import BaseModel

from zk_pipeline.connectors.checks import Finding
from zk_pipeline.domain.vital_figures import Level
from zk_pipeline.observe.about import About, about
from zk_pipeline.observe.alert_delivery import AddressTest, alert_addresses, try_addresses
from zk_pipeline.observe.doctor.examinations import examined
from zk_pipeline.web.api.common import PREFIX, Page, Ready, Wanted, also
from zk_pipeline.web.authentication import Admin, Viewer
from zk_pipeline.web.once import KeyedRoute

router = APIRouter(prefix=PREFIX, tags=["upkeep"], route_class=KeyedRoute)


class AddressView(BaseModel):
    """An address of ZK_ALERT_URLS without its secrets: its place there, and its kind, as `mailto`."""

    position: int
    kind: str


class SectionView(BaseModel):
    """The findings about one thing; `level` is the worst of them."""

    name: str
    level: Level
    findings: list[Finding]


class ReportView(BaseModel):
    """What the doctor found; `ok` unless something failed."""

    ok: bool
    counts: dict[Level, int]
    sections: list[SectionView]


@router.get("/alerts", summary="Where alerts are sent", responses=also(403))
def list_addresses(_actor: Admin, ready: Ready, paging: Wanted) -> Page[AddressView]:
    """Set in ZK_ALERT_URLS."""
    addresses = alert_addresses(ready.settings)
    return paging.among([AddressView(position=each.position, kind=each.scheme) for each in addresses])


@router.post("/alerts/test", summary="Send a test alert to each address")
def send_test(_actor: Admin, ready: Ready) -> tuple[AddressTest, ...]:
    """Each with its `problem`, empty if it was accepted; 409 without an address."""
    return try_addresses(ready.settings)


@router.post("/doctor", summary="Examine the whole installation")
def examine(_actor: Admin, ready: Ready) -> ReportView:
    """As `zk doctor`: asks both systems and changes nothing, which takes some seconds."""
    return ReportView.model_validate(examined(ready).to_json())


@router.get("/about", summary="Version, licence and components")
def show(_actor: Viewer) -> About:
    """As the installed packages say."""
    return about()
