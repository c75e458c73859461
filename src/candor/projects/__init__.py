"""Labelling projects in a database: items, who labels what, and what they said. No web, no torch."""
