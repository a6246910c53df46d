"""A synthetic hospital: seeded, coherent patient records, and their views in known schemas.

`record.generate` makes schema-neutral frames; `mimic`, `eicu` and `treqs` turn them into the tables
of MIMIC-III as EHRSQL uses it, of eICU as EHRSQL uses it, and of MIMICSQL. No real patient's data
went into it: prevalences, ranges and units are set by hand from clinical knowledge and compared
with the open demonstration data in `realism`.
"""
