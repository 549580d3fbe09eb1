"""Building the marts."""

from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.stages.marts import build, failure_of


def refresh(ready: Runtime, *, full: bool = False) -> None:
    """Build the marts of the days that changed, or all of them if `full`.

    Raises `MartsError`, which names the model that failed.
    """
    failure = failure_of(build(ready, full=full))
    if failure is not None:
        raise failure
