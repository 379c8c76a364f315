"""Any log and any sample give a report or an error that describes the fault."""

import json
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from mmlgd.errors import DataError
from mmlgd.report import Run, read_sample
from mmlgd.report.names import calibration_charts, name_table
from mmlgd.report.run_log import RunLog, log_folders, read_run_log
from mmlgd.report.views import overview

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
KEYS = st.sampled_from(['loss', 'iter', 'epoch', 'step', 'time', 'lr', 'zero_shot/x'])
ROWS = st.dictionaries(KEYS | st.text(max_size=5), SCALARS, max_size=6)
LINES = st.lists(
    ROWS.map(lambda row: json.dumps(row).encode()) | st.binary(max_size=30), max_size=8
)
FIELDS = st.sampled_from(
    'epoch iter source images available seconds ended_early names teacher_counts '
    'student_counts agreed correct calibration cosine examples host_memory'.split()
)
GOOD = dict(
    epoch=1, iter=2, source='val', images=3, available=4, seconds=0.5,
    ended_early=False, names=['a', 'b'], teacher_counts=[1, 2], student_counts=[3, 0],
    agreed=[1, 0], correct='labels', calibration=dict(student=[[3, 0.5, 0.25]]),
    examples=[dict(image='', path='x', cosine=0.5)],
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda each: (
        st.lists(each, max_size=3) | st.dictionaries(st.text(), each, max_size=2)
    ),
    max_leaves=6,
)


@given(LINES, LINES)
def test_any_log_gives_finite_curves_in_order(tmp_path_factory, first, second):
    work_dir = tmp_path_factory.mktemp('run')
    for start, lines in (('20260101_000000', first), ('20260102_000000', second)):
        folder = work_dir / start / 'vis_data'
        folder.mkdir(parents=True)
        (folder / 'scalars.json').write_bytes(b'\n'.join(lines))
    log = read_run_log(log_folders(work_dir))
    for curves in (log.training, log.evaluation):
        for points in curves.values():
            assert all(abs(value) <= 1e9 for point in points for value in point)
    overview([Run('x', work_dir, log)])


@given(st.dictionaries(FIELDS, VALUES, max_size=3))
def test_any_sample_is_used_or_refused(tmp_path_factory, changes):
    work_dir = tmp_path_factory.mktemp('run')
    (work_dir / 'report.json').write_text(json.dumps({**GOOD, **changes}))
    try:
        sample = read_sample(work_dir)
    except DataError:
        return
    run = Run('x', work_dir, RunLog(), sample=sample)
    overview([run])
    name_table([run])
    calibration_charts(run, 0)


class Tags(HTMLParser):
    """Tags and handlers of a page."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found += [tag, *(key for key, _ in attrs)]


@given(st.text(st.sampled_from('<>/&"\'= sonimgxlad!-\0\x85\ud800'), max_size=30))
def test_any_text_is_only_text(tmp_path_factory, text):
    from mmlgd.report.page import render

    folder = tmp_path_factory.getbasetemp()

    def page(value):
        classes = [dict(name=value, images=1, student=50.0, teacher=None)]
        run = Run(value, folder / 'x', RunLog(notes=[value]), classes, config=value)
        run.environment = value
        return Tags(render([run])).found

    assert page(text) == page('plain')
