"""The frontier: every intervention at several strengths and seeds, on the plane helpfulness x honesty."""
