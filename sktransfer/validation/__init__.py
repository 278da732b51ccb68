"""Checks at the border: what `fit` and `predict` are given, and what errors say of it."""
