"""The tables and figures of papers, made anew: one folder for each paper."""
