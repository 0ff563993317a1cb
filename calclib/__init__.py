"""Calculus for Machine Learning: the package behind the book."""
