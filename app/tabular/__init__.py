"""Uploaded tables become ARFF files that OpenML activates: exact values, constant memory, a bounded child process.

Pure: standard library and pyarrow only, and no input or output but the two files it is given. The server's end is
`app.tabular.process`. `convert` and `profile` are in modules of their names: importing them loads pyarrow, some 60 MB
that only the child process needs.
"""

from app.core.confined import ProcessLimits
from app.tabular.profile.report import ProfilePage, read_profile
from app.tabular.readers.formats import SUFFIXES, FileFormat, format_of
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
    "format_of",
    "read_profile",
]
