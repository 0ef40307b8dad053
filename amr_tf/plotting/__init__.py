"""Rendering of arrays as images and charts."""
