"""Leave to Sphinx what only its environment can import."""

collect_ignore = ["conf.py", "set_formulas.py"]
