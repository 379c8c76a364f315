/* Classifies pictures with the models of manifest.json. */

const LARGEST = 2 ** 24; // pixels of a canvas in Safari
const OWN_CHOICE = 'own choice';
const find = (id) => document.getElementById(id);

/** A new element; children may be strings. */
function make(tag, attributes = {}, ...children) {
  const element = Object.assign(document.createElement(tag), attributes);
  element.append(...children);
  return element;
}

/** The bytes of a file beside the page, or of its copy within a page of one file. */
async function bytesOf(name) {
  const copy = find(`file:${name}`);
  if (copy) {
    const packed = Uint8Array.from(atob(copy.textContent), (char) => char.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('gzip'));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }
  const response = await fetch(name);
  if (!response.ok) throw new Error(`${name} cannot be loaded (HTTP ${response.status})`);
  return new Uint8Array(await response.arrayBuffer());
}

async function load(name) {
  const script = new Blob([await bytesOf(name)], {type: 'text/javascript'});
  return import(URL.createObjectURL(script));
}

/** The pixels (RGBA) of an image file, upright, without colour management. */
async function decode(blob) {
  const options = {colorSpaceConversion: 'none', imageOrientation: 'from-image'};
  const bitmap = await createImageBitmap(blob, options);
  const scale = Math.min(1, Math.sqrt(LARGEST / (bitmap.width * bitmap.height)));
  const width = Math.max(1, Math.floor(bitmap.width * scale));
  const height = Math.max(1, Math.floor(bitmap.height * scale));
  const context = make('canvas', {width, height}).getContext('2d', {willReadFrequently: true});
  context.fillStyle = 'white'; // behind transparent parts
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}

function dot(one, other) {
  return one.reduce((sum, value, i) => sum + value * other[i], 0);
}

function softmax(logits) {
  const powers = logits.map((value) => Math.exp(value - Math.max(...logits)));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

const percent = (value) => `${(100 * value).toFixed(1)}\u00a0%`;
const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;

function bar(value) {
  const fill = make('div');
  fill.style.width = `${100 * value}%`;
  return make('div', {className: 'bar', ariaHidden: 'true'}, fill);
}

class Page {
  constructor(manifest, ort, pixels) {
    Object.assign(this, {manifest, ort, pixels});
    this.rows = new Map(); // embedding of each name
    this.chosen = new Set();
    this.picture = null; // pixels and title
    this.turn = 0; // number of pictures so far
  }

  async start() {
    const {models, sets, input, about} = this.manifest;
    find('about').textContent = about;
    find('negative-row').hidden = !input.gray;
    for (const model of models) {
      model.session = await this.ort.InferenceSession.create(await bytesOf(model.file));
      find('heads').append(make('th', {scope: 'col'}, model.title));
    }
    for (const [index, set] of sets.entries()) {
      const values = new Float32Array((await bytesOf(set.file)).buffer);
      const width = values.length / set.names.length;
      set.names.forEach((name, i) =>
        this.rows.set(name, values.subarray(i * width, (i + 1) * width)));
      find('set').append(make('option', {value: index}, set.title));
    }
    find('set').append(make('option', {value: OWN_CHOICE}, 'Own choice'));
    for (const name of [...this.rows.keys()].sort((a, b) => a.localeCompare(b))) {
      const box = make('input', {type: 'checkbox', value: name});
      box.addEventListener('change', () => this.choose(name, box.checked));
      find('boxes').append(make('label', {className: 'box'}, box, name));
    }
    await this.addExamples();
    this.listen();
    this.chooseSet(0);
    find('status').textContent = 'Choose a picture.';
    find('examples').firstChild?.click();
  }

  async addExamples() {
    for (const example of this.manifest.examples) {
      example.blob = new Blob([await bytesOf(example.file)], {type: 'image/png'});
      const image = make('img', {src: URL.createObjectURL(example.blob), alt: example.title});
      const title = `test image “${example.title}”`;
      const button = make('button', {type: 'button', title: example.title}, image);
      button.addEventListener('click', () => this.classify(example.blob, title));
      find('examples').append(button);
    }
  }

  listen() {
    for (const id of ['file', 'camera']) {
      find(id).addEventListener('change', ({target}) => {
        if (target.files[0]) this.classify(target.files[0], target.files[0].name);
        target.value = ''; // the same file again is a change, too
      });
    }
    document.addEventListener('dragover', (event) => {
      event.preventDefault();
      find('drop').classList.add('over');
    });
    document.addEventListener('dragleave', () => find('drop').classList.remove('over'));
    document.addEventListener('drop', (event) => {
      event.preventDefault();
      find('drop').classList.remove('over');
      const file = event.dataTransfer.files[0];
      if (file) this.classify(file, file.name);
    });
    find('negative').addEventListener('change', () => this.run());
    find('set').addEventListener('change', ({target}) => {
      if (target.value !== OWN_CHOICE) this.chooseSet(Number(target.value));
    });
    find('find').addEventListener('input', () => this.filter());
    find('all').addEventListener('click', () => {
      const found = this.boxes().filter((box) => !box.parentElement.hidden);
      this.chooseAll([...this.chosen, ...found.map((box) => box.value)]);
    });
    find('none').addEventListener('click', () => this.chooseAll([]));
  }

  boxes() {
    return [...find('boxes').querySelectorAll('input')];
  }

  filter() {
    const text = find('find').value.trim().toLowerCase();
    for (const box of this.boxes()) {
      box.parentElement.hidden = !box.value.toLowerCase().includes(text);
    }
  }

  chooseSet(index) {
    this.chooseAll(this.manifest.sets[index].names);
    find('set').value = index;
  }

  chooseAll(names) {
    this.chosen = new Set(names);
    for (const box of this.boxes()) box.checked = this.chosen.has(box.value);
    find('set').value = OWN_CHOICE;
    this.show();
  }

  choose(name, isChosen) {
    this.chosen[isChosen ? 'add' : 'delete'](name);
    find('set').value = OWN_CHOICE;
    this.show();
  }

  /** Classify an image file. */
  async classify(blob, title) {
    const turn = ++this.turn;
    try {
      const pixels = await decode(blob);
      if (turn !== this.turn) return; // another one was chosen meanwhile
      this.picture = {pixels, title};
    } catch {
      return this.say(`${title} is not an image that this browser can read.`, true);
    }
    const {pixels} = this.picture, canvas = find('shown');
    Object.assign(canvas, {width: pixels.width, height: pixels.height});
    canvas.getContext('2d').putImageData(pixels, 0, 0);
    canvas.setAttribute('aria-label', title);
    canvas.classList.toggle('small', pixels.width < 200);
    this.manifest.examples.forEach((example, i) =>
      find('examples').children[i].setAttribute('aria-pressed', example.blob === blob));
    await this.run();
  }

  /** Run all models on the current picture. */
  async run() {
    const {picture} = this;
    if (!picture) return;
    const {input, models} = this.manifest;
    const planes = this.pixels.toInput(picture.pixels, input);
    if (find('negative').checked) planes.forEach((value, i) => { planes[i] = 255 - value; });
    const images = new this.ort.Tensor('uint8', planes, [1, 3, input.height, input.width]);
    const found = [];
    for (const model of models) found.push(await measure(model.session, images));
    if (picture !== this.picture) return;
    this.found = found;
    this.show();
  }

  show() {
    const {models, temperature} = this.manifest, names = [...this.chosen];
    find('count').textContent = `${names.length} of ${this.rows.size} names`;
    if (!this.found) return;
    const body = find('scores').tBodies[0];
    body.replaceChildren();
    if (!names.length) return this.say('Choose at least one name.', true);
    const scores = this.found.map(({embedding}) =>
      softmax(names.map((name) => dot(embedding, this.rows.get(name)) / temperature)));
    const order = [...names.keys()].sort((a, b) => scores[0][b] - scores[0][a]);
    for (const i of order) {
      const cells = scores.map((row) => make('td', {}, make('div', {className: 'score'},
        make('data', {value: row[i]}, percent(row[i])), bar(row[i]))));
      body.append(make('tr', {}, make('th', {scope: 'row'}, names[i]), ...cells));
    }
    this.showFacts();
    const best = names[order[0]];
    const score = percent(scores[0][order[0]]);
    this.say(`Most likely: ${best} (${score}), for ${this.picture.title}`);
  }

  showFacts() {
    const {models} = this.manifest, [head, body] = [find('facts').tHead, find('facts').tBodies[0]];
    const row = (tag, title, texts) => make('tr', {}, make('th', {scope: 'row'}, title),
      ...texts.map((text) => make(tag, {}, text)));
    head.replaceChildren(row('th', 'Model', models.map((model) => model.title)));
    body.replaceChildren(
      row('td', 'Size', models.map((model) => megabytes(model.bytes))),
      row('td', 'Median time', this.found.map(({ms}) => `${ms.toFixed(1)} ms`)));
    const [first, ...others] = this.found;
    const cosines = others.map(({embedding}, i) =>
      `Cosine of the embeddings of ${models[0].title} and ${models[i + 1].title}: `
      + `${dot(first.embedding, embedding).toFixed(4)}.`);
    find('agreement').textContent =
      [...cosines, 'Times are medians of ten runs in one thread.'].join(' ');
  }

  say(text, failed = false) {
    find('status').textContent = text;
    find('status').classList.toggle('failed', failed);
  }
}

/** The embedding of an image, and the median time of up to ten runs in milliseconds. */
async function measure(session, images) {
  const times = [], end = performance.now() + 500;
  let outputs = await session.run({images}); // the first run is slower
  while (times.length < 10 && performance.now() < end) {
    const start = performance.now();
    outputs = await session.run({images});
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  return {embedding: outputs.embedding.data, ms: times[times.length >> 1] ?? NaN};
}

try {
  const [ort, pixels] = [await load('onnxruntime.js'), await load('pixels.js')];
  ort.env.wasm.numThreads = 1; // threads need headers that a plain server does not send
  ort.env.wasm.wasmBinary = await bytesOf('onnxruntime.wasm');
  const manifest = JSON.parse(new TextDecoder().decode(await bytesOf('manifest.json')));
  await new Page(manifest, ort, pixels).start();
} catch (error) {
  find('status').textContent = `The student cannot be started: ${error.message}`;
  find('status').classList.add('failed');
}
