"""Audits of reward models: what they reward, what they know, how sure they should be, and where they are blind."""
