"""What a table would be published as, and what is in it, without publishing anything: the preview before an upload.

The types are settled as `app.tabular.convert` settles them, by the same scans; a second pass counts, measures, and
tries the types that a column could be declared as. What stands in the way of one column is told with that column, and
the others are looked at all the same.
"""

from app.tabular.profile.dense import DenseLook
from app.tabular.profile.sparse import SparseLook
from app.tabular.readers.opening import open_job
from app.tabular.schema.job import Job
from app.tabular.types import ConversionRequest, Profile, ProgressSink, TabularError


def profile(request: ConversionRequest, on_progress: ProgressSink | None = None) -> Profile:
    """Write the profile of `request.source` to `request.target`, as `app.tabular.profile.report` lays it out.

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
    with job.lines_found():
        look = SparseLook(job, job.sparse, report) if job.sparse else DenseLook(job, report)
        look.run()
    if not look.rows:
        raise TabularError("no-rows", "The table has no rows.")
    return look.write()
