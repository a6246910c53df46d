"""`FhirError`: what a client did wrong or asked in vain, as an OperationOutcome with a status.

Source: https://hl7.org/fhir/R4/operationoutcome.html; issue codes from its value set issue-type.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchside.errors import BenchsideError

Resource = dict[str, Any]
"""A resource as JSON, with its `resourceType`."""


class FhirError(BenchsideError):
    """An answer other than success.

    Args:
        status: of HTTP.
        code: from issue-type, such as "not-found".
        problems: one sentence each; at least one.
        expression: FHIRPath of the element at fault, one for each problem, where it is known.
    """

    def __init__(
        self, status: int, code: str, *problems: str, expression: Sequence[str] = ()
    ) -> None:
        self.status, self.code, self.problems = status, code, problems
        self.expression = tuple(expression)
        super().__init__("; ".join(problems), where=", ".join(expression) or None)

    def outcome(self) -> Resource:
        """Return the OperationOutcome."""
        paths: list[str | None] = [*self.expression]
        paths += [None] * (len(self.problems) - len(paths))
        return {
            "resourceType": "OperationOutcome",
            "issue": [
                {
                    "severity": "error", "code": self.code, "diagnostics": problem,
                    **({"expression": [path]} if path else {}),
                }
                for problem, path in zip(self.problems, paths, strict=True)
            ],
        }  # fmt: skip
