"""Protocols: the forms in which a model can act, each a module; a policy's option chooses one.

native         tool calls, by the server's or the chat template's own means
fenced         fenced blocks in plain text, for models without tool calls
medagentgym    JSON actions as in MedAgentGym, for parity with published runs
"""

from benchside.protocols.form import ActionForm, action_form

__all__ = ["ActionForm", "action_form"]
