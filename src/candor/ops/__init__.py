"""Pure tensor maths: randomness, batches, log-probabilities, losses, advantages, KL. No effects, no files."""
