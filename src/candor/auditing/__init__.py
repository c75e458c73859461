"""What ``candor audit`` does: read an artefact, put its checks to it, write the findings and the page; no torch."""
