"""Write a report of a store of results: a web page, and tables for a paper."""

from edaemo.report._write import write_report

__all__ = ["write_report"]
