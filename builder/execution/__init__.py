"""Carries a plan out, and makes the image of it."""
