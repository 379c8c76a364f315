'use strict';
// Filters all names of the page, and sorts the table; the address keeps the filter.
const box = document.getElementById('filter');
const count = document.getElementById('count');
const rows = [...document.querySelectorAll('#names tbody tr')];
const marked = [...document.querySelectorAll('[data-names]')];

function filter() {
  const text = box.value.trim().toLowerCase();
  const has = node => node.dataset.names.toLowerCase().includes(text);
  for (const node of marked) {
    node.classList.toggle('hit', Boolean(text) && has(node));
    node.classList.toggle('miss', Boolean(text) && !has(node));
  }
  const left = rows.filter(row => !row.classList.contains('miss')).length;
  count.textContent = `${left} of ${rows.length} names`;
}

function sort(head) {
  const index = head.cellIndex;
  const down = head.getAttribute('aria-sort') !== 'descending';
  for (const other of head.parentNode.children) other.removeAttribute('aria-sort');
  head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
  const key = row => row.cells[index].dataset.value ?? row.cells[index].textContent;
  const compare = (a, b) => {
    const [x, y] = [key(a), key(b)];
    // Names without a value are last in both directions.
    if (!x || !y) return Number(!x) - Number(!y);
    const order = isNaN(x) || isNaN(y) ? -x.localeCompare(y) : x - y;
    return down ? -order : order;
  };
  rows.sort(compare);
  document.querySelector('#names tbody').append(...rows);
}

if (box) {
  box.addEventListener('input', () => {
    history.replaceState(null, '', box.value ? `#find=${encodeURIComponent(box.value)}` : '#');
    filter();
  });
  for (const head of document.querySelectorAll('#names thead th')) {
    head.querySelector('button').addEventListener('click', () => sort(head));
  }
  const asked = location.hash.match(/^#find=(.*)$/);
  if (asked) box.value = decodeURIComponent(asked[1]);
  filter();
}
