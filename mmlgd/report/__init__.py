"""The report of training runs: one HTML file that shows what a student has learned."""

from .collect import Run, collect_run, latest_checkpoint
from .measure import measure_sample
from .page import write_report
from .sample import Sample, read_sample, write_sample

__all__ = [
    'Run',
    'Sample',
    'collect_run',
    'latest_checkpoint',
    'measure_sample',
    'read_sample',
    'write_report',
    'write_sample',
]
