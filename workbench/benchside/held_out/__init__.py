"""Predictions for held-out patients: what the suites on such tasks share.

The kernel gets features and training labels; the labels of held-out rows stay on the host.
`leakage` checks what goes into a kernel, `bar` sets the threshold that a submission has to reach,
`models` holds the plain models that thresholds and reference solutions come from, and `question`
makes task and answer key.
"""
