"""Training on transcripts. Recipes land here; nothing in `benchside` imports this package.

Nothing is told to anybody: TRL reports each trainer that is made to its authors unless this is set
before it is imported.
"""

import os

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
