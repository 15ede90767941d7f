"""Conversion of uploaded tables to ARFF that OpenML accepts, and profiles of tables before they are published.

Standard library and pyarrow only; no input or output but the two files of a request. The server calls
`app.tabular.process`, which runs `convert.convert` or `profile.run.profile` in a child process: importing those loads
pyarrow, some 60 MB that only the child needs.
"""

from app.core.child_limits import ProcessLimits
from app.tabular.profile.report import ProfilePage, read_profile
from app.tabular.readers.formats import ACCEPTED, SUFFIXES, FileFormat, format_of
from app.tabular.readers.unsupported import what_to_do
from app.tabular.types import (
    UPLOAD_LIMITS,
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
    "ACCEPTED",
    "SUFFIXES",
    "UPLOAD_LIMITS",
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
    "what_to_do",
]
