"""Tables of the runs in `family.py`'s file."""

import json


def read(path):
    """Return the lines that were completed."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def print_tables(path):
    """Print all."""
