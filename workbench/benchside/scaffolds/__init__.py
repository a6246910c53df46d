"""Scaffolds: ways of working through a model, named by strings such as `plan(openai:MODEL)`.

Each is a policy over any other policy. ReAct (S. Yao et al., arXiv 2210.03629), in which thoughts
and actions alternate, is what a model does without a scaffold.
"""

from benchside.scaffolds.forms import SCAFFOLD_FORMS, make_scaffold, models_of, scaffold_call

__all__ = ["SCAFFOLD_FORMS", "make_scaffold", "models_of", "scaffold_call"]
