"""Talking to the policies of a run: what they were taught, prompts to offer, and a conversation with one or two."""
