"""Notes of the synthetic hospital: discharge summaries, physicians' and nurses' notes.

Facts are picked from the tables of a stay (`stay`), told by one of five styles (`style`) in the
sections of a kind of note (`compose`), and kept with their line numbers. `plant` alters a fact so
that it contradicts the tables in exactly one way. `noteevents` writes the notes of all stays,
unaltered, as a table like MIMIC-III's.
"""
