"""`Row`: a BioCoder task as MedAgentGym packs them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Row(BaseModel):
    """One task; further fields are ignored.

    Args:
        idx: an id of 64 hex digits.
        problem: what is to be written, in words.
        solution: the reference, dedented even where it is a method.
        context: the program around it, with a line `<<insert solution here>>` and a `main` that
            makes inputs and prints the result.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
    idx: str
    problem: str
    solution: str
    context: str
    signature: str
