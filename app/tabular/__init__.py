"""Uploaded tables become ARFF files that OpenML activates: exact values, constant memory, a bounded child process.

Pure: standard library and pyarrow only, and no input or output but the two files it is given. `convert` itself is in
`app.tabular.convert`: importing it loads pyarrow, some 60 MB that only the child process needs.
"""

from app.core.child import ProcessLimits
from app.tabular.formats import SUFFIXES, FileFormat, format_of
from app.tabular.process import convert_in_process, profile_in_process
from app.tabular.report import ProfilePage, read_profile
from app.tabular.types import (
    Column,
    Conversion,
    ConversionRequest,
    Limits,
    Profile,
    Progress,
    Repair,
    TabularError,
)

__all__ = [
    "SUFFIXES",
    "Column",
    "Conversion",
    "ConversionRequest",
    "FileFormat",
    "Limits",
    "ProcessLimits",
    "Profile",
    "ProfilePage",
    "Progress",
    "Repair",
    "TabularError",
    "convert_in_process",
    "format_of",
    "profile_in_process",
    "read_profile",
]
