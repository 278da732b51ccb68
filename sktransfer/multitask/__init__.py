"""Multi-task learning: several tasks learn together, each with labels of its own."""

__all__: list[str] = []
