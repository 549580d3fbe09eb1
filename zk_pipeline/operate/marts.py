"""Bringing the marts up to date, whoever asks for it."""

from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.stages.marts import build, failure_of


def refresh(ready: Runtime, *, full: bool = False) -> None:
    """Build the marts from what is stored now; days that did not change are left as they are, unless `full`.

    Raises `MartsError`, a sentence that names the model, when something cannot be built.
    """
    failure = failure_of(build(ready, full=full))
    if failure is not None:
        raise failure
