"""Uploaded tables become ARFF files that OpenML activates: exact values, constant memory, a bounded child process.

Pure: standard library and pyarrow only, and no input or output but the two files it is given. `convert` itself is in
`app.tabular.convert`: importing it loads pyarrow, some 60 MB that only the child process needs.
"""

from app.tabular.process import ProcessLimits, convert_in_process
from app.tabular.types import (
    Column,
    Conversion,
    ConversionRequest,
    Limits,
    Progress,
    Repair,
    TabularError,
)

__all__ = [
    "Column",
    "Conversion",
    "ConversionRequest",
    "Limits",
    "ProcessLimits",
    "Progress",
    "Repair",
    "TabularError",
    "convert_in_process",
]
