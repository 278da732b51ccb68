"""Leave to Sphinx what only its environment can import, and what it has built."""

collect_ignore = [
    "conf.py",
    "dress_pages.py",
    "set_formulas.py",
    "_build",
    "auto_examples",
    "generated",
]
