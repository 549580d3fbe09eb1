"""The vital signs as findings, by one look at each, and how large the databases are."""

from collections.abc import Iterator

from sqlalchemy import make_url, text

from zk_pipeline.connectors.checks import Finding
from zk_pipeline.doctor.installation import Installation
from zk_pipeline.domain.vital_figures import Level, size
from zk_pipeline.measuring import looked

_SIZES = text(
    """
    SELECT datname, pg_database_size(datname) FROM pg_database
    WHERE datname = ANY(:names) AND has_database_privilege(datname, 'CONNECT') ORDER BY datname
    """
)


def examine(installation: Installation) -> Iterator[Finding]:
    """Everything that `/api/health` tells, with the details. The systems were asked by their own examinations."""
    with looked(installation.runtime) as signs:
        for sign in signs:
            yield Finding(sign.title.lower(), sign.level, sign.sentence, sign.remedy)
    yield _sizes(installation)


def _sizes(installation: Installation) -> Finding:
    settings = installation.runtime.settings
    urls = [secret.get_secret_value() for secret in (settings.database_url, settings.dagster_url) if secret]
    names = [make_url(url).database for url in urls]
    with installation.runtime.database.transaction() as connection:
        sizes = connection.execute(_SIZES, {"names": names}).all()
    return Finding("sizes", Level.PASS, ", ".join(f"{name} {size(number)}" for name, number in sizes) + ".")
