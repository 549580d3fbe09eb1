"""The fault matrix: the real processes between simulated systems, attacked at random but seeded."""
