"""The profile of a table: what it would be published as, and statistics of its columns.

Types are inferred by the same scans as in `app.tabular.convert`; a second pass collects statistics, and checks which
other types could be declared. An error in one column is recorded with that column, and the others are still profiled.
"""

from app.tabular.disk import remove_target, remove_workspace
from app.tabular.profile.dense import profile_dense
from app.tabular.profile.sparse import profile_sparse
from app.tabular.readers.opening import open_job
from app.tabular.schema.job import Job
from app.tabular.schema.kept import keep_plans
from app.tabular.types import ConversionRequest, Profile, ProgressSink, TabularError


def profile(request: ConversionRequest, on_progress: ProgressSink | None = None) -> Profile:
    """Write the profile of `request.source` to `request.target`, as `app.tabular.profile.report` reads it.

    If no column has an error, the columns' plans are kept as well (`app.tabular.schema.kept`).

    Args:
        request: what `convert` would be asked, but for the target.
        on_progress: called after each block of rows.

    Raises:
        TabularError: the file cannot be read as a table; nothing is left at the target. An error in a single
            column is recorded in the profile.
    """
    report = on_progress or (lambda _: None)
    try:
        return _run(request, open_job(request, report), report)
    except BaseException:
        remove_target(request)
        raise
    finally:
        remove_workspace(request)


def _run(request: ConversionRequest, job: Job, report: ProgressSink) -> Profile:
    with job.lines_added():
        profiler = profile_sparse(job, job.sparse, report) if job.sparse else profile_dense(job, report)
    if not profiler.rows:
        raise TabularError.no_rows()
    made = profiler.write()
    if not made.errors:
        keep_plans(request, job, profiler.plans)
    return made
