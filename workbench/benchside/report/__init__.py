"""What people look at: a run as a site of pages that open from disk, offline.

`site` writes it, `view` serves it while the run is going on. `page` shows one episode, `output`
what a cell has shown, `summary` and `figures` the whole run. Text of policies is never trusted.
"""
