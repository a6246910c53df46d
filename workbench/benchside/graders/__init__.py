"""Graders: typed comparison of a submission with its answer key, outside the kernel.

Importing the graders here makes them known by name.
"""

from benchside.grade import Grade
from benchside.graders.assertions import AssertionsGrader
from benchside.graders.charted import ChartedGrader
from benchside.graders.clock import DatetimeGrader, TimeGrader
from benchside.graders.collection import ListGrader, SetGrader
from benchside.graders.composite import AnyOfGrader, RecordGrader
from benchside.graders.date import DateGrader
from benchside.graders.duration import DurationGrader
from benchside.graders.grader import known_graders
from benchside.graders.grading import grade, grade_missing, validate_task
from benchside.graders.number import IntegerGrader, NumberGrader
from benchside.graders.observed import ObservedGrader
from benchside.graders.prediction import PredictionGrader
from benchside.graders.program import ProgramGrader
from benchside.graders.table import TableGrader
from benchside.graders.text import BooleanGrader, TextGrader

# graders whose submissions are run in a kernel of their own before they are judged
OBSERVED = frozenset({AssertionsGrader.name, ProgramGrader.name})

__all__ = [
    "OBSERVED",
    "AnyOfGrader",
    "AssertionsGrader",
    "BooleanGrader",
    "ChartedGrader",
    "DateGrader",
    "DatetimeGrader",
    "DurationGrader",
    "Grade",
    "IntegerGrader",
    "ListGrader",
    "NumberGrader",
    "ObservedGrader",
    "PredictionGrader",
    "ProgramGrader",
    "RecordGrader",
    "SetGrader",
    "TableGrader",
    "TextGrader",
    "TimeGrader",
    "grade",
    "grade_missing",
    "known_graders",
    "validate_task",
]
