"""The labelling service: pages, an HTTP API, and the quality of labels while they are given. No torch."""
