"""Clients that we did not write, each with the identity of one thing."""
