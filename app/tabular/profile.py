"""What a table would be published as, and what is in it, without publishing anything: the preview before an upload.

The types are settled as `app.tabular.convert` settles them, by the same scans; a second pass counts, measures, and
tries the types that a column could be declared as. What stands in the way of one column is told with that column, and
the others are looked at all the same.
"""

from app.tabular.convert import Job, open_job
from app.tabular.look_dense import DenseLook
from app.tabular.look_sparse import SparseLook
from app.tabular.types import ConversionRequest, Profile, ProgressSink, TabularError


def profile(request: ConversionRequest, on_progress: ProgressSink | None = None) -> Profile:
    """Write the profile of `request.source` to `request.target`, as `app.tabular.report` lays it out.

    Args:
        request: what `convert` would be asked, but for the target.
        on_progress: called after each block of rows.

    Raises:
        TabularError: the file cannot be read as a table; nothing is left at the target. What is wrong with a single
            column is told in the profile.
    """
    report = on_progress or (lambda _: None)
    try:
        return _run(open_job(request, report), report)
    except BaseException:
        request.target.unlink(missing_ok=True)
        raise


def _run(job: Job, report: ProgressSink) -> Profile:
    try:
        look = SparseLook(job, job.sparse, report) if job.sparse else DenseLook(job, report)
        look.run()
    except TabularError as error:
        if error.row is not None and error.line is None:
            error.line = job.table.line_of(error.row)
        raise
    if not look.rows:
        raise TabularError("no-rows", "The table has no rows.")
    return look.write()
