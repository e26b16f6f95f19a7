"""One trial: readers and the job over an output with one spoilt file; every promise that does not hold."""

from datetime import UTC, datetime

from .outputs import files_in, same, tables_of


def told(work):
    """What a reader says: 0 and its answer, or the exit code of the error that it ended with."""
    from batchsearch.errors import BatchsearchError

    try:
        return 0, work()
    except BatchsearchError as error:
        return int(error.exit_code), None


def verify(folder):
    from batchsearch.tasks.verify.folder_check import verify_folders
    from batchsearch.tasks.verify.verify_page import VerifyPage

    code, page = told(lambda: VerifyPage(verify_folders(folder)))
    return code or int(page.verdict)


def report(folder):
    from batchsearch.tasks.report.limits import ReportOptions
    from batchsearch.tasks.report.reporting import make_report

    options = ReportOptions(thumbnails=0)
    return told(lambda: make_report(folder, options, now=datetime(2026, 11, 26, tzinfo=UTC)))


def diff(before, after):
    from batchsearch.tasks.diff.diff_page import diff_of

    return told(lambda: diff_of(before, after, least=0.001, show=5, parquet=None))


def figures(found):
    return {
        (section.name, figure.label): figure.value for section in found.sections for figure in section.figures
    }


def rows_read(folder, case):
    import batchsearch

    output = batchsearch.open_output(folder / "search" if case.dedups else folder)
    return told(lambda: (output.results().num_rows, output.hits().num_rows))


class Reference:
    """What an undamaged output says.

    Args:
        case: Its kind.
        folder: It.
    """

    def __init__(self, case, folder):
        self.case, self.folder = case, folder
        self.tables = tables_of(folder, case)
        self.figures = figures(report(folder)[1])
        self.parts = {
            content for name, content in files_in(folder).items() if name.split("/")[-1].startswith("part-")
        }

    def broken(self, copy):
        """Every promise that readers and the job do not keep over a copy that was spoilt."""
        return [*self._by_readers(copy), *self._by_the_job(copy)]

    def _by_readers(self, copy):
        right = same(tables_of(copy, self.case), self.tables)
        if verify(copy) == 0 and not right:
            yield "verify says whole"
        code, found = report(copy)
        if code == 0:
            said = figures(found)
            for name in said.keys() & self.figures.keys():
                if said[name] != self.figures[name]:
                    yield f"report says {name}: {said[name]} in place of {self.figures[name]}"
        code, found = diff(self.folder, copy)
        if code == 0 and sum(found.counts.values()):
            yield f"diff finds {dict(found.counts)}"
        code, rows = rows_read(copy, self.case)
        if code == 0 and rows != (len(self.tables[0]), len(self.tables[1])):
            yield f"open_output has {rows} rows"

    def _by_the_job(self, copy):
        kept = set(files_in(copy).values()) & self.parts
        calls = self.case.instance.calls()
        code = self.case.night(copy)
        if self.case.instance.calls() != calls:
            yield f"{self.case.instance.calls() - calls} calls were paid again, exit code {code}"
        lost = kept - set(files_in(copy).values())
        if lost:
            yield f"{len(lost)} sealed files were deleted, exit code {code}"
        if code == 0:
            if not same(tables_of(copy, self.case), self.tables):
                yield "the job ended with 0 and a wrong output"
            if verify(copy) != 0:
                yield "the job ended with 0, verify does not"
