"""One short file per method; each loop yields one StepOut per update and leaves recording to its caller."""
