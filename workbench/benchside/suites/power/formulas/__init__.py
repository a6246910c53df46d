"""Power of each design as a function of sample size and effect, after published formulas."""
