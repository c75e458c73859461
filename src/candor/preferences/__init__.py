"""Preference data: formats (detect, read, write) and pairing (judgements to pairs). Loads without torch."""
