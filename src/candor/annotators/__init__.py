"""Who gives feedback: a simulated panel today; people and AI judges answer the same protocol."""
