"""Property tests without a time limit for each example: on a busy machine a slow example is no defect."""

from hypothesis import settings

settings.register_profile("domain", deadline=None)
settings.load_profile("domain")
