"""Reproduce the tables and figures of papers, with one folder for each paper."""
