"""Leave to Sphinx what only its environment can import."""

collect_ignore = ["conf.py", "dress_pages.py", "set_formulas.py"]
