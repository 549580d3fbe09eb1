"""x."""
def measure(*, quick): return iter(())
