"""Suite `power`: sample size, power and minimal detectable effect of sixteen study designs."""

from benchside.suites.power.build import build

__all__ = ["build"]
