"""A body with heads upon it, and what a pass of a few rows shows of them."""
