"""The page in a browser: filtered, sorted, in dark and light, and on a phone."""

import html
import json
import re
import subprocess

import cv2
import pytest

from mmlgd.report import collect_run, write_report
from tests.browser import CHROMIUM, needs_browser
from tests.test_report.conftest import HTML_NAMES

pytestmark = [pytest.mark.slow, needs_browser]
#: Opens the report in a frame of the width of a phone and uses it.
DRIVER = """<iframe id="frame" src="report.html" width="390" height="800"></iframe>
<pre id="out"></pre><script>
frame.onload = () => {
  const page = frame.contentDocument, rows = () => [...page.querySelectorAll('#names tbody tr')];
  const heads = () => rows().map(row => row.cells[0].textContent);
  const find = text => {
    page.getElementById('filter').value = text;
    page.getElementById('filter').dispatchEvent(new Event('input'));
    const shown = rows().filter(row => row.getClientRects().length);
    return shown.map(row => row.cells[0].textContent);
  };
  const sort = index => page.querySelectorAll('#names thead button')[index].click();
  const found = {all: heads(), script: find('SCRIPT'), none: find('zebra'), again: find('')};
  sort(2); found.down = heads(); sort(2); found.up = heads();
  found.count = page.getElementById('count').textContent;
  found.width = page.documentElement.scrollWidth;
  found.charts = [...page.querySelectorAll('#curves svg')].map(
    chart => chart.getBoundingClientRect().width);
  found.images = [...page.querySelectorAll('img')].map(image => image.naturalWidth);
  found.alerts = frame.contentWindow.alerts ?? 0;
  out.textContent = JSON.stringify(found);
};
</script>"""


def run_browser(tmp_path, url, *options):
    assert CHROMIUM, 'Chromium is not installed'
    command = [
        CHROMIUM, '--headless', '--no-sandbox', '--disable-gpu', '--hide-scrollbars',
        '--allow-file-access-from-files', '--virtual-time-budget=20000',
        f'--user-data-dir={tmp_path / "profile"}', *options, url,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-1000:]
    return done.stdout


def test_the_page_is_filtered_sorted_and_fits_a_phone(work_dir, tmp_path):
    run = collect_run(work_dir)
    values = dict(zip(sorted(HTML_NAMES), (75.0, 5.0, 100.0, None)))
    for row in run.classes:
        row['student'] = values[row['name']]
    write_report([run], tmp_path / 'report.html')
    (tmp_path / 'driver.html').write_text(DRIVER)
    text = run_browser(tmp_path, (tmp_path / 'driver.html').as_uri(), '--dump-dom')
    found = json.loads(html.unescape(re.search(r'<pre id="out">(.*?)</pre>', text)[1]))
    names = sorted(HTML_NAMES)
    assert found['all'] == found['again'] == names
    assert found['script'] == [name for name in names if 'script' in name]
    assert found['none'] == []
    assert found['count'] == '4 of 4 names'
    # By the student's accuracy as a number; a name without one is last either way.
    ordered = sorted((name for name in names if values[name]), key=values.get)
    unknown = [name for name in names if not values[name]]
    assert found['up'] == ordered + unknown
    assert found['down'] == ordered[::-1] + unknown
    # Nothing makes the page wider than the phone.
    assert found['width'] <= 390
    assert found['charts'] and min(found['charts']) > 250
    assert len(found['images']) == len(run.sample.examples)


@pytest.mark.parametrize(('scheme', 'dark'), [(0, True), (1, False)])
def test_the_page_follows_the_colours_of_the_system(work_dir, tmp_path, scheme, dark):
    url = (work_dir / 'report.html').as_uri()
    run_browser(
        tmp_path,
        url,
        f'--blink-settings=preferredColorScheme={scheme}',
        '--window-size=1000,1500',
        f'--screenshot={tmp_path / "shot.png"}',
    )
    image = cv2.imread(str(tmp_path / 'shot.png'))
    assert (image.mean() < 70) == dark
    assert image.std() > 8  # not an empty page


def test_an_address_with_a_name_opens_filtered(work_dir, tmp_path):
    url = (work_dir / 'report.html').as_uri() + '#find=bird'
    text = run_browser(tmp_path, url, '--dump-dom')
    assert '1 of 4 names' in text
    assert text.count('<tr data-names=') == 4
    assert len(re.findall(r'<tr data-names="[^"]*" class="miss">', text)) == 3
