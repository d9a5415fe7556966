"""A store of results as one page to look at, and as tables for a paper."""

from edaemo.report._write import write_report

__all__ = ["write_report"]
