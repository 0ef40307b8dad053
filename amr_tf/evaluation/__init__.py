"""Measuring and drawing trained runs."""
