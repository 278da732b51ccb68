"""Domains, their rows and how batches are drawn from them."""
