"""Suites: one builder module per source of tasks."""
