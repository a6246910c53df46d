"""Questions in SQL over MIMIC-III and eICU, on a database or release that the user brings.

Sources: Lee et al.: EHRSQL: A Practical Text-to-SQL Benchmark for Electronic Health Records,
NeurIPS 2022 Datasets and Benchmarks; questions https://github.com/glee4810/EHRSQL (CC-BY-4.0).
Wang, Shi, Reddy: Text-to-SQL Generation for Question Answering on Electronic Medical Records, WWW
2020; questions https://github.com/wangpinggl/TREQS (MIT).
"""

from benchside.suite import BuildOptions, SuiteBuild
from benchside.suites import ehrsql2024
from benchside.suites.ehrsql import build as ehrsql
from benchside.suites.ehrsql import treqs

__all__ = ["USES", "build"]

USES = (ehrsql2024,)


def build(options: BuildOptions) -> SuiteBuild:
    """Build the suite `ehrsql_mimic3`, `ehrsql_eicu` or `mimicsql`, as the manifest is called."""
    made_by = treqs.build if options.manifest.name == "mimicsql" else ehrsql.build
    return made_by(options)
