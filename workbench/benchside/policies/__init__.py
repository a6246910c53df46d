"""Policies that ship with Benchside."""
