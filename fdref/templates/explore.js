"use strict";
(() => {
const { html, render, useState, useEffect, useLayoutEffect, useMemo, useRef } = window.htmPreact;
const told = JSON.parse(document.getElementById("told").textContent);
const layers = new Map(told.layers.map((layer) => [layer.number, layer]));
const others = new Map((told.other?.layers ?? []).map((layer) => [layer.number, layer]));
for (const layer of [...told.layers, ...others.values()]) layer.scale = layer.largest.map(Math.abs);
for (const layer of told.layers) {
  layer.made = layer.made.links.map(linked(layer.made.layer));
  layer.used = layer.used.links.map(linked(layer.used.layer));
  layer.alike = layer.alike.map((flat) => groups(flat, 2).map(([k, part]) => [k, part / 1000]));
  layer.rest = layer.rest.map(([count, part]) => [count, part / 10000]);
}
const READ = { willReadFrequently: true };
const CELL = 72; // pixels of a picture in the grid, about
const SEAM = told.seam, MIDDLE = 128; // as fdref draws: between channels, and the shade of zero
const INPUTS = told.inputs, BGR = told.bgr && INPUTS.length === 3;

function groups(flat, size) {
  const found = [];
  for (let i = 0; i < flat.length; i += size) found.push(flat.slice(i, i + size));
  return found;
}

function linked(one) {
  return (flat) => one === null
    ? groups(flat, 3).map(([layer, k, part]) => [layer, k, part / 10000])
    : groups(flat, 2).map(([k, part]) => [one, k, part / 10000]);
}

// ---------------------------------------------------------------- pictures

const texts = new Map();
for (const script of document.querySelectorAll("script[data-picture]"))
  texts.set(script.dataset.picture, script.textContent);
const waiting = new Map(); // files that are being loaded

window.fdrefPictures = (found) => {
  const layer = document.currentScript.dataset.layer;
  for (const [what, text] of Object.entries(found)) texts.set(`${layer}/${what}`, text);
};

let complain = () => {}; // shows a message at the top of the page, once there is one

function load(layer) {
  if (!told.files) return Promise.resolve();
  if (!waiting.has(layer)) {
    waiting.set(layer, new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.dataset.layer = layer;
      script.src = `${encodeURIComponent(told.files)}/${layer}.js`;
      script.onload = resolve;
      script.onerror = () => {
        complain(`${told.files}/${layer}.js is not there: pictures of this page stand in the folder ${told.files}, which must lie beside it.`);
        reject(new Error("no pictures"));
      };
      document.head.append(script);
    }));
  }
  return waiting.get(layer);
}

function bytes(text) {
  const raw = atob(text), found = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) found[i] = raw.charCodeAt(i);
  return found;
}

const urls = new Map();
function url(key) {
  if (!urls.has(key) && texts.has(key))
    urls.set(key, URL.createObjectURL(new Blob([bytes(texts.get(key))], { type: "image/webp" })));
  return urls.get(key);
}

function useUrl(layer, what) {
  const key = `${layer}/${what}`, [, again] = useState(0);
  useEffect(() => {
    let alive = true;
    if (!texts.has(key)) load(layer).then(() => alive && again((n) => n + 1), () => {});
    return () => { alive = false; };
  }, [key]);
  return url(key);
}

const bitmaps = new Map();
async function bitmap(layer, what) {
  const key = `${layer}/${what}`;
  if (!bitmaps.has(key)) {
    await load(layer);
    bitmaps.set(key, createImageBitmap(new Blob([bytes(texts.get(key))], { type: "image/webp" })));
  }
  return bitmaps.get(key);
}

// What stands where in an atlas: the corner and the size of the picture of a neuron.
const corner = ({ columns, size: [height, width], gap }, k) =>
  [Math.floor(k / columns) * (height + gap), (k % columns) * (width + gap)];

const large = new Map();
async function canvasOf(layer, k) {
  // The picture itself, pixel by pixel: from the overview, or from a file of its own.
  const atlas = layer.overview;
  if (!layer.large) {
    const image = await bitmap(layer.number, "overview");
    return cut(image, atlas, k);
  }
  const key = `${layer.number}/large`;
  await load(layer.number);
  if (!large.has(key)) large.set(key, bytes(texts.get(key)));
  const { ends, size: [height, width] } = layer.large;
  const part = large.get(key).subarray(k ? ends[k - 1] : 0, ends[k]);
  const image = await createImageBitmap(new Blob([part], { type: "image/webp" }));
  const canvas = made(width, height);
  canvas.getContext("2d", READ).drawImage(image, 0, 0);
  return canvas;
}

function made(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  return canvas;
}

function cut(image, atlas, k) {
  const [top, left] = corner(atlas, k), [height, width] = atlas.size;
  const canvas = made(width, height);
  canvas.getContext("2d", READ).drawImage(image, left, top, width, height, 0, 0, width, height);
  return canvas;
}

const pixelsOf = (canvas) =>
  canvas.getContext("2d", READ).getImageData(0, 0, canvas.width, canvas.height).data;

// The numbers (C, h, w) of a neuron's picture: 8 bits each, times its scale.
function numbersOf(layer, k, canvas) {
  const [, channels, height, width] = layer.shape, pixels = pixelsOf(canvas);
  const found = new Float32Array(channels * height * width), scale = layer.scale[k] / (MIDDLE - 1);
  const across = layer.across;
  for (let c = 0; c < channels; c++) {
    const plane = BGR ? channels - 1 - c : c;
    const colour = channels === 3 ? c : 0;
    const top = channels === 3 ? 0 : Math.floor(c / across) * (height + SEAM);
    const left = channels === 3 ? 0 : (c % across) * (width + SEAM);
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++)
        found[(plane * height + y) * width + x] =
          (pixels[4 * ((top + y) * canvas.width + left + x) + colour] - MIDDLE) * scale;
  }
  return found;
}

// ---------------------------------------------------------------- numbers

const minus = (text) => text.replace(/^-(?=[0.]*$)/, "").replace("-", "−");
const shown = (value, digits = 3) =>
  value === null || value === undefined ? "–" : minus(Number(value.toPrecision(digits)).toString());
const cosine = (value) => minus(value.toFixed(2));
const signed = (share) =>
  `${share < 0 ? "−" : "+"}${(100 * Math.abs(share)).toFixed(Math.abs(share) < 0.0995 ? 1 : 0)} %`;
const nameOf = (layer, k) => layer.names?.[k] === String(k) ? "" : layer.names?.[k] ?? "";
const neurons = (count) => `${count} ${count === 1 ? "neuron" : "neurons"}`;
const spoken = (layer, k) => `${layer.label}, neuron ${k}${nameOf(layer, k) && `, ${nameOf(layer, k)}`}`;
const address = (layer, k) => (k === undefined ? `#${layer}` : `#${layer}:${k}`);

function hue(layer, k) {
  // The angle of a neuron's main colour around the grey axis; opposite colours are one axis.
  const [r, g, b] = layer.colour[k];
  return (Math.atan2(Math.sqrt(3) * (g - b), 2 * r - g - b) + 2 * Math.PI) % Math.PI;
}

const cosines = new Map();
async function cosinesTo(layer, k) {
  const key = address(layer.number, k);
  if (cosines.has(key)) return cosines.get(key);
  const image = await bitmap(layer.number, "overview"), atlas = layer.overview;
  const whole = made(image.width, image.height);
  whole.getContext("2d", READ).drawImage(image, 0, 0);
  const pixels = pixelsOf(whole), [height, width] = atlas.size, count = layer.shape[0];
  const at = (number, y, x) => {
    const [top, left] = corner(atlas, number);
    return 4 * ((top + y) * image.width + left + x);
  };
  const found = new Float64Array(count);
  for (let n = 0; n < count; n++) {
    let product = 0, own = 0, its = 0;
    for (let y = 0; y < height; y++)
      for (let x = 0, a = at(k, y, 0), b = at(n, y, 0); x < width; x++, a += 4, b += 4)
        for (let c = 0; c < 3; c++) {
          const p = pixels[a + c] - MIDDLE, q = pixels[b + c] - MIDDLE;
          product += p * q; own += p * p; its += q * q;
        }
    found[n] = own && its ? product / Math.sqrt(own * its) : 0;
  }
  cosines.set(key, found);
  return found;
}

const SORTS = {
  number: ["number", () => true, (layer) => layer.scale.map((_, k) => -k)],
  strength: ["strength", () => true, (layer) => layer.energy],
  orientation: ["orientation", () => true,
    (layer) => layer.orientation.map((angle, k) => angle === null ? -1e9 : -angle)],
  frequency: ["frequency", () => true, (layer) => layer.frequency.map((f) => -(f ?? 1e9))],
  colour: ["colourfulness", (layer) => layer.colour, (layer) => layer.colourfulness],
  hue: ["colour axis", (layer) => layer.colour, (layer) => layer.colour.map((_, k) => -hue(layer, k))],
  excited: ["largest activation", (layer) => layer.excited, (layer) => layer.excited.values.map((v) => v[0])],
  match: ["likeness to the other network's", (layer) => layer.matched,
    (layer) => layer.matched.likeness.map((cosine) => cosine ?? -2)],
  like: ["likeness to", () => true, (layer, found) => found],
};

function wantedBy(text, layer) {
  // Numbers and ranges, such as 3-7,12; otherwise part of a name.
  const asked = text.trim().toLowerCase();
  if (!asked) return () => true;
  if (/^\d+(-\d*)?([\s,]+\d+(-\d*)?)*[\s,]*$/.test(asked)) {
    const ranges = asked.split(/[\s,]+/).filter(Boolean).map((part) => {
      const [first, last = first] = part.split("-");
      return [Number(first), last === "" ? Infinity : Number(last)].sort((a, b) => a - b);
    });
    return (k) => ranges.some(([first, last]) => first <= k && k <= last);
  }
  return (k) => nameOf(layer, k).toLowerCase().includes(asked);
}

// ---------------------------------------------------------------- address

function read() {
  const match = /^#(\d+)(?::(\d+))?$/.exec(location.hash);
  const layer = match && layers.get(Number(match[1]));
  if (!layer) return { layer: told.layers[Math.min(1, told.layers.length - 1)], neuron: null };
  const neuron = match[2] === undefined ? null : Number(match[2]);
  return { layer, neuron: neuron !== null && neuron < layer.shape[0] ? neuron : null };
}

function go(layer, k) {
  location.hash = address(layer, k);
}

// In a notebook's frame, a link to # would lead to the notebook.
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href^='#']");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  location.hash = link.getAttribute("href");
});

// ---------------------------------------------------------------- pieces

function sprite(layer, atlas, k, side, source) {
  // A part of an atlas, shown about as large as a square of `side` pixels, in whole multiples where
  // it is smaller; what is long and thin may be four times as long.
  const [height, width] = atlas.size;
  const fit = Math.min(side / Math.sqrt(height * width), 4 * side / Math.max(height, width));
  const times = fit >= 1 ? Math.floor(fit) : fit;
  const [top, left] = corner(atlas, k), rows = Math.ceil(layer.count(atlas) / atlas.columns);
  return {
    width: `${width * times}px`, height: `${height * times}px`,
    backgroundImage: source ? `url(${source})` : "none",
    backgroundSize: `${(atlas.columns * (width + atlas.gap) - atlas.gap) * times}px ${(rows * (height + atlas.gap) - atlas.gap) * times}px`,
    backgroundPosition: `${-left * times}px ${-top * times}px`,
    imageRendering: times >= 1 ? "pixelated" : "auto",
  };
}

for (const layer of [...layers.values(), ...others.values()])
  layer.count = (atlas) =>
    atlas === layer.overview || !layer.excited ||
    (atlas !== layer.excited.patches && atlas !== layer.excited.projections)
      ? layer.shape[0] : layer.shape[0] * layer.excited.images[0].length;

const contrast = (layer, k, common) =>
  common && common > 0 ? { filter: `contrast(${layer.scale[k] / common})` } : {};

function Picture({ layer, k, side = 48, from = "", atlas = layer.overview, what = "overview", more = {} }) {
  const source = useUrl(`${from}${layer.number}`, what);
  return html`<span class="picture" aria-hidden="true"
    style=${{ ...sprite(layer, atlas, k, side, source), ...more }}></span>`;
}

function Share({ share, largest }) {
  const width = `${Math.min(50, 50 * Math.abs(share) / largest)}%`;
  return html`<span class="share" aria-hidden="true"><i class=${share < 0 ? "minus" : "plus"}
    style=${{ width, [share < 0 ? "right" : "left"]: "50%" }}></i></span>`;
}

function Connection({ link: [number, k, share], largest }) {
  const layer = layers.get(number);
  const body = layer
    ? html`<a href=${address(number, k)} aria-label=${`${spoken(layer, k)}: ${signed(share)}`}>
        <${Picture} layer=${layer} k=${k} side=${48}/><span class="who">${number}:${k}</span></a>`
    : html`<span class="who wide">${number === 0 ? INPUTS[BGR ? 2 - k : k] : `${number}:${k}, not on this page`}</span>`;
  return html`<li>${body}<${Share} share=${share} largest=${largest}/>
    <span class=${`amount ${share < 0 ? "minus" : "plus"}`}>${signed(share)}</span></li>`;
}

function Connections({ title, note, links, rest, empty }) {
  if (!links.length) return empty ? html`<section><h3>${title}</h3><p class="note">${empty}</p></section>` : null;
  const largest = Math.max(...links.map((link) => Math.abs(link[2])), 1e-9);
  return html`<section><h3>${title}</h3><p class="note">${note}</p>
    <ul class="links">${links.map((link) => html`<${Connection} key=${link.slice(0, 2).join(":")} link=${link} largest=${largest}/>`)}
    </ul>${rest && rest[0] > 0 && html`<p class="note">and ${rest[0]} more, together ${signed(rest[1])}</p>`}</section>`;
}

// A neuron, what it is made of, and what that is made of, down to the first layer.
function Tree({ layer, k, depth = 0 }) {
  const links = layer.made[k].filter(([number]) => layers.has(number)).slice(0, depth ? 2 : 4);
  return html`<ul class="tree">${links.map(([number, j, share]) => {
    const below = layers.get(number);
    return html`<li key=${`${number}:${j}`}><a href=${address(number, j)}
      aria-label=${`${spoken(below, j)}: ${signed(share)}`}><${Picture} layer=${below} k=${j} side=${depth ? 32 : 40}/>
      <span class=${`amount ${share < 0 ? "minus" : "plus"}`}>${signed(share)}</span></a>
      ${depth < 3 && html`<${Tree} layer=${below} k=${j} depth=${depth + 1}/>`}</li>`;
  })}</ul>`;
}

function Facts({ layer, k }) {
  const [, channels, height, width] = layer.shape;
  const rows = [["size", `${width} × ${height} pixels${channels === 3 ? ", colour" : channels > 1 ? `, ${channels} channels side by side` : ""}`],
    ["strength", `${shown(layer.energy[k])} (L2 norm)`],
    ["largest value", shown(layer.largest[k])],
    ["orientation", layer.orientation[k] === null ? "none"
      : `${layer.orientation[k].toFixed(0)}° from horizontal; oriented ${layer.oriented[k].toFixed(2)} of 1`],
    ["frequency", layer.frequency[k] === null ? "–" : `${shown(layer.frequency[k])} cycles a pixel`]];
  if (layer.colour) {
    const [r, g, b] = layer.colour[k].map((v) => Math.round(MIDDLE + 127 * v));
    const [R, G, B] = layer.colour[k].map((v) => Math.round(MIDDLE - 127 * v));
    rows.push(["colour", html`${(100 * layer.colourfulness[k]).toFixed(0)} % <span class="axis" role="img" aria-label=${`from rgb(${r}, ${g}, ${b}) to rgb(${R}, ${G}, ${B})`}
      style=${{ backgroundImage: `linear-gradient(90deg, rgb(${r},${g},${b}), rgb(128,128,128), rgb(${R},${G},${B}))` }}></span>`]);
  }
  return html`<dl class="facts">${rows.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

function Large({ layer, k, common }) {
  const place = useRef(), [height, width] = layer.large?.size ?? layer.overview.size;
  useLayoutEffect(() => {
    let alive = true;
    canvasOf(layer, k).then((canvas) => {
      if (!alive || !place.current) return;
      const context = place.current.getContext("2d", READ);
      context.clearRect(0, 0, width, height);
      context.drawImage(canvas, 0, 0);
      place.current.dataset.neuron = address(layer.number, k);
    }, (error) => { if (alive && place.current) place.current.title = error.message; });
    return () => { alive = false; };
  }, [layer, k]);
  const times = Math.max(1, Math.floor(336 / Math.max(height, width)));
  return html`<canvas class="large" ref=${place} width=${width} height=${height} role="img"
    aria-label=${`what ${spoken(layer, k)} looks for`}
    style=${{ width: `${width * times}px`, imageRendering: "pixelated", ...contrast(layer, k, common) }}></canvas>`;
}

function Row({ title, note, children }) {
  return html`<section><h3>${title}</h3>${note && html`<p class="note">${note}</p>`}<div class="row">${children}</div></section>`;
}

function Alike({ layer, k, near }) {
  if (!layer.alike[k].length || !layer.scale[k]) return null;
  return html`<${Row} title="Alike" note=${html`the cosine of their pictures; <button type="button" class="plain" onClick=${near}>sort the grid by it</button>`}>${layer.alike[k].map(([n, alike]) =>
    html`<a class="card" key=${n} href=${address(layer.number, n)} aria-label=${`${spoken(layer, n)}: cosine ${cosine(alike)}`}>
      <${Picture} layer=${layer} k=${n} side=${56}/><span>${n}</span><span class="soft">${cosine(alike)}</span></a>`)}<//>`;
}

function Steps({ layer, k }) {
  if (!layer.steps.length) return null;
  return html`<${Row} title="Steps of its decoding" note="strength over all channels of each map, down to the picture above; white is the strongest">
    ${layer.steps.map((step, n) => html`<figure class="card" key=${step.map}>
      <${Picture} layer=${layer} k=${k} side=${84} atlas=${step.overview} what=${`step${n}`}/>
      <figcaption>${step.name}<br/><span class="soft">${step.channels} × ${step.overview.size.join(" × ")}</span></figcaption></figure>`)}<//>`;
}

function Excited({ layer, k }) {
  if (!layer.excited) return null;
  const { values, images, patches, projections } = layer.excited;
  return html`<${Row} title="What excites it most" note="the strongest images: what it saw of them, and what of that mattered (deconvnet)">
    ${images[k].map((image, n) => html`<figure class="card" key=${n}>
      <${Picture} layer=${layer} k=${k * images[k].length + n} side=${64} atlas=${patches} what="patches"/>
      <${Picture} layer=${layer} k=${k * images[k].length + n} side=${64} atlas=${projections} what="projections"/>
      <figcaption>${told.images[image]}<br/><span class="soft">${shown(values[k][n])}</span></figcaption></figure>`)}<//>`;
}

function Matched({ layer, k }) {
  if (!told.other) return null;
  const title = `In ${told.other.model}`;
  if (!layer.matched) return html`<section><h3>${title}</h3><p class="note">none of its layers that is left has pictures of this size</p></section>`;
  const partner = layer.matched.partners[k], other = others.get(layer.matched.layer);
  if (partner < 0) return html`<section><h3>${title}</h3><p class="note">no partner is left for it</p></section>`;
  return html`<${Row} title=${title} note="the neuron that it is matched with, and the cosine of their pictures">
    <figure class="card"><${Picture} layer=${other} from="other" k=${partner} side=${112}/>
    <figcaption>${other.number}:${partner}<br/><span class="soft">${cosine(layer.matched.likeness[k])}</span></figcaption></figure><//>`;
}

// ---------------------------------------------------------------- export

function hand(name, type, data) {
  const link = document.createElement("a"), place = URL.createObjectURL(new Blob([data], { type }));
  link.href = place;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(place), 60000);
}

const LONGEST = 16000, MOST = 1e8; // pixels of a side, and of a canvas, that browsers draw

async function sheet(layer, chosen, side, common) {
  // Each picture `side` pixels long, in rows; without smoothing where it is enlarged.
  const canvases = await Promise.all(chosen.map((k) => canvasOf(layer, k)));
  const { width, height } = canvases[0], times = side / Math.max(width, height);
  const [w, h] = [Math.max(1, Math.round(width * times)), Math.max(1, Math.round(height * times))];
  const columns = Math.ceil(Math.sqrt(chosen.length)), gap = chosen.length > 1 ? 8 : 0;
  const across = columns * (w + gap) - gap, down = Math.ceil(chosen.length / columns) * (h + gap) - gap;
  if (Math.max(across, down) > LONGEST || across * down > MOST)
    throw new Error(`${across} × ${down} pixels are more than a browser draws: choose a smaller size, or fewer neurons`);
  const page = made(across, down);
  const context = page.getContext("2d", READ);
  context.fillStyle = "#fff";
  context.fillRect(0, 0, page.width, page.height);
  context.imageSmoothingEnabled = times < 1;
  canvases.forEach((canvas, n) => {
    context.filter = contrast(layer, chosen[n], common).filter ?? "none";
    context.drawImage(canvas, (n % columns) * (w + gap), Math.floor(n / columns) * (h + gap), w, h);
  });
  return page;
}

const stem = (layer, chosen) =>
  chosen.length === 1 ? `layer${layer.number}_${chosen[0]}` : `layer${layer.number}_${chosen.length}_neurons`;

async function exportPng(layer, chosen, side, common) {
  const page = await sheet(layer, chosen, side, common);
  page.toBlob((blob) => hand(`${stem(layer, chosen)}.png`, "image/png", blob), "image/png");
}

async function exportSvg(layer, chosen, side, common) {
  const page = await sheet(layer, chosen, side, common), { width, height } = page;
  const title = `layer ${layer.number}, neurons ${chosen.join(", ")}`;
  hand(`${stem(layer, chosen)}.svg`, "image/svg+xml",
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"><title>${title}</title><image width="${width}" height="${height}" href="${page.toDataURL("image/png")}"/></svg>\n`);
}

async function exportNpy(layer, chosen) {
  const [, ...shape] = layer.shape, all = [];
  for (const k of chosen) {
    const canvas = await canvasOf(layer, k);
    all.push(numbersOf(layer, k, canvas));
  }
  const dims = [chosen.length, ...shape].join(", ");
  let head = `{'descr': '<f4', 'fortran_order': False, 'shape': (${dims}), }`;
  head += " ".repeat(63 - (10 + head.length) % 64) + "\n";
  const start = new Uint8Array(10 + head.length);
  start.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, head.length & 255, head.length >> 8]);
  for (let i = 0; i < head.length; i++) start[10 + i] = head.charCodeAt(i);
  hand(`${stem(layer, chosen)}.npy`, "application/octet-stream", new Blob([start, ...all]));
}

function commandOf(layer, chosen, side, common) {
  // What makes the same: in a shell where the network's file is known, else in Python.
  const ranges = [];
  for (const k of chosen) {
    const last = ranges.at(-1);
    if (last && last[1] === k - 1) last[1] = k;
    else ranges.push([k, k]);
  }
  if (!told.command)
    return `fdref.show(fdref.decode(net, ${layer.number}, [${chosen.join(", ")}]${told.unpool === "bicubic" ? "" : `, unpool="${told.unpool}"`}), size=${side}, bare=True)`;
  const filters = ranges.map(([a, b]) => (a === b ? a : `${a}-${b}`)).join(",");
  const columns = chosen.length > 1 ? ` --columns ${Math.ceil(Math.sqrt(chosen.length))}` : "";
  return `${told.command.map(quoted).join(" ")} --only ${layer.number}:${filters} --size ${side}${columns}${common ? " --contrast layer" : ""} --bare -o ${stem(layer, chosen)}.png`;
}

const quoted = (text) => /^[\w./+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;

function copied(text) {
  // Where a page may not use the clipboard, as in a notebook's frame, a field does.
  const field = document.createElement("textarea");
  field.value = text;
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  return done;
}

function Export({ layer, chosen, common }) {
  const [side, setSide] = useState(280), [said, setSaid] = useState("");
  const [channels, height, width] = layer.shape.slice(1), command = commandOf(layer, chosen, side, common);
  useEffect(() => setSaid(""), [command]);
  const copy = () => (navigator.clipboard?.writeText(command) ?? Promise.reject()).catch(() => {
    if (!copied(command)) throw new Error("the browser does not let this page copy: select the line");
  }).then(() => setSaid("copied"), (error) => setSaid(error.message));
  const write = (how) => how(layer, chosen, side, common).then(() => setSaid(""), (error) => setSaid(error.message));
  return html`<div class="export"><label>size <input type="number" min="1" max="4096" value=${side} aria-label="pixels of the longer side"
      onInput=${(event) => event.target.valueAsNumber >= 1 && setSide(Math.min(4096, Math.floor(event.target.valueAsNumber)))}/> px</label>
    <button type="button" onClick=${() => write(exportPng)}>PNG</button>
    <button type="button" onClick=${() => write(exportSvg)}>SVG</button>
    ${told.exact && html`<button type="button" title=${`${chosen.length} × ${channels} × ${height} × ${width} numbers of 8 bits, times a scale`}
      onClick=${() => write(exportNpy)}>NPY</button>`}
    <span class="soft" role="status">${said}</span>
    <span class="command"><code>${command}</code><button type="button" onClick=${copy}>copy</button></span></div>`;
}

// ---------------------------------------------------------------- a neuron

function Neuron({ layer, k, order, common, marked, mark, near }) {
  const heading = useRef(), at = order.indexOf(k), count = layer.shape[0];
  const before = at > 0 ? order[at - 1] : null, after = at >= 0 && at + 1 < order.length ? order[at + 1] : null;
  useEffect(() => {
    document.title = `${layer.number}:${k} – ${told.title}`;
    const away = document.activeElement === document.body || byKeyboard;
    if (away || matchMedia("(max-width: 60rem)").matches) heading.current?.focus();
    byKeyboard = false;
  }, [layer, k]);
  return html`<article aria-labelledby="neuron">
    <div class="top"><h2 id="neuron" tabindex="-1" ref=${heading}>${layer.number}:${k}${nameOf(layer, k) && html` <span>${nameOf(layer, k)}</span>`}</h2>
      <nav aria-label="neurons">
        ${before === null ? html`<span class="off" aria-hidden="true">←</span>` : html`<a rel="prev" href=${address(layer.number, before)} aria-label=${`neuron ${before}, the one before`}>←</a>`}
        ${after === null ? html`<span class="off" aria-hidden="true">→</span>` : html`<a rel="next" href=${address(layer.number, after)} aria-label=${`neuron ${after}, the next`}>→</a>`}
        <a class="close" href=${address(layer.number)} aria-label="close this neuron">✕</a></nav></div>
    <p class="note">neuron ${k}, one of ${count} in ${layer.label}</p>
    <div class="big"><${Large} layer=${layer} k=${k} common=${common}/><${Facts} layer=${layer} k=${k}/></div>
    <label class="mark"><input type="checkbox" checked=${marked.has(k)} onChange=${() => mark(k)}/> in the selection</label>
    <${Export} layer=${layer} chosen=${[k]} common=${common}/>
    <${Matched} layer=${layer} k=${k}/>
    <${Excited} layer=${layer} k=${k}/>
    <${Connections} title="Made of" links=${layer.made[k]} rest=${layer.rest[k]}
      empty="of nothing: its decoded filter is 0 everywhere"
      note="the neurons below, and their signed shares of this picture, which sum to 100 %: those above 100 % are balanced by negative ones"/>
    ${layer.made[k].some(([number]) => (layers.get(number)?.made[0] ?? []).some(([below]) => layers.has(below))) && html`<section><h3>Parts of its parts</h3>
      <p class="note">the largest, and theirs, up to four layers down</p><div class="scrolls" tabindex="0" role="region" aria-label="parts of its parts"><${Tree} layer=${layer} k=${k}/></div></section>`}
    <${Connections} title="Used by" links=${layer.used[k]} note="the neurons above in which it has the largest shares"/>
    <${Alike} layer=${layer} k=${k} near=${near}/>
    <${Steps} layer=${layer} k=${k}/>
  </article>`;
}

// ---------------------------------------------------------------- a layer

function Cells({ layer, order, common, marked, mark, pairs }) {
  const source = useUrl(layer.number, "overview"), other = pairs && others.get(layer.matched.layer);
  const theirs = useUrl(other ? `other${other.number}` : layer.number, "overview");
  const most = Math.max(...layer.energy, 1e-300), least = Math.min(...layer.energy.filter((e) => e > 0), most);
  const strength = (energy) => energy <= 0 ? 0 : most === least ? 100
    : 4 + 96 * Math.log(energy / least) / Math.log(most / least);
  const grid = useRef();
  useLayoutEffect(() => oneStop(grid.current), [layer, order]);
  return useMemo(() => html`<ul class="grid" role="list" ref=${grid} onFocusCapture=${(event) => oneStop(grid.current, event.target.closest("a"))}>${order.map((k) => html`<li key=${k}><a href=${address(layer.number, k)}
      data-k=${k} class=${marked.has(k) ? "marked" : ""} aria-label=${`neuron ${k}${nameOf(layer, k) && `, ${nameOf(layer, k)}`}, strength ${shown(layer.energy[k])}${marked.has(k) ? ", selected" : ""}`}
      onClick=${(event) => { if (event.shiftKey || event.ctrlKey || event.metaKey) { event.preventDefault(); mark(k); } }}>
      <span class="picture" style=${{ ...sprite(layer, layer.overview, k, CELL, source), ...contrast(layer, k, common) }}></span>
      ${other && layer.matched.partners[k] >= 0 && html`<span class="picture" style=${sprite(other, other.overview, layer.matched.partners[k], CELL, theirs)}></span>`}
      <span class="strength"><i style=${{ width: `${strength(layer.energy[k])}%` }}></i></span>
      <span class="who">${k}${other ? ` · ${layer.matched.partners[k] < 0 ? "–" : cosine(layer.matched.likeness[k])}` : nameOf(layer, k) && ` ${nameOf(layer, k)}`}</span></a></li>`)}</ul>`,
    [layer, order, common, marked, source, theirs, other]);
}

// The Tab key stops at one of the pictures, the one that was there last; arrows lead to the others.
function oneStop(grid, cell) {
  const cells = [...grid.querySelectorAll("a")];
  const stop = cell ?? cells.find((one) => one.getAttribute("tabindex") === "0") ?? cells[0];
  for (const one of cells) one.tabIndex = one === stop ? 0 : -1;
}

function useOrder(layer, sort, text, chosen) {
  const [found, setFound] = useState(null);
  useEffect(() => {
    let alive = true;
    setFound(null);
    if (sort === "like" && chosen !== null) cosinesTo(layer, chosen).then((values) => alive && setFound(values));
    return () => { alive = false; };
  }, [layer, sort, sort === "like" ? chosen : null]);
  return useMemo(() => {
    const wanted = wantedBy(text, layer), order = [...layer.scale.keys()].filter(wanted);
    const values = sort === "like" && found?.length !== layer.shape[0] ? SORTS.number[2](layer) : SORTS[sort][2](layer, found);
    return order.sort((a, b) => values[b] - values[a] || a - b);
  }, [layer, sort, text, found]);
}

function Page() {
  const [{ layer, neuron }, setPlace] = useState(read);
  const [asked, setSort] = useState("number"), [text, setText] = useState(""), [own, setOwn] = useState(true);
  const [marks, setMarks] = useState({ layer: null, all: new Set() }), [pairs, setPairs] = useState(false);
  const [help, setHelp] = useState(false), [complaint, setComplaint] = useState("");
  complain = setComplaint;
  const [near, setNear] = useState(null); // the neuron that others are sorted by: it stays while one looks at them
  const nearby = near && near[0] === layer.number ? near[1] : null, chosenOne = nearby ?? neuron;
  const sort = SORTS[asked][1](layer) && !(asked === "like" && nearby === null) ? asked : "number";
  const sortBy = (key, k = neuron) => { setSort(key); setNear(key === "like" ? [layer.number, k] : null); };
  useLayoutEffect(() => setText(""), [layer]);
  const order = useOrder(layer, sort, text, nearby), marked = marks.layer === layer.number ? marks.all : NONE;
  const common = own ? 0 : Math.max(...layer.scale), seen = useRef(false);
  const mark = (k) => setMarks((before) => {
    const all = new Set(before.layer === layer.number ? before.all : []);
    if (!all.delete(k)) all.add(k);
    return { layer: layer.number, all };
  });
  useEffect(() => {
    const changed = () => setPlace(read());
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  useEffect(() => { if (neuron === null) document.title = `${layer.number} – ${told.title}`; }, [layer, neuron]);
  useLayoutEffect(() => {
    for (const cell of document.querySelectorAll(".grid [aria-current]")) cell.removeAttribute("aria-current");
    const cell = neuron === null ? null : document.querySelector(`.grid [data-k="${neuron}"]`);
    cell?.setAttribute("aria-current", "true");
    if (seen.current) cell?.scrollIntoView({ block: "nearest" }); // not before anybody has seen the top
    seen.current = true;
  }, [layer, neuron, order, marked, common, pairs]);
  const keys = useRef();
  keys.current = (event) => pressed(event, { layer, neuron, order, mark, setHelp });
  useEffect(() => {
    const listen = (event) => keys.current(event);
    addEventListener("keydown", listen);
    return () => removeEventListener("keydown", listen);
  }, []);
  const chosen = [...marked].sort((a, b) => a - b);
  return html`<div class=${neuron === null ? "page" : "page with-neuron"}>
    <header><h1>${told.title}</h1><p class="note">What its neurons look for, decoded to the image${told.layers.some((one) => one.unpools) ? ` (${told.unpool} unpooling)` : ""}.
      ${" "}${told.exact ? "Every number is kept to 8 bits and a scale." : "Pictures are compressed with loss; those of the grid are made smaller."}
      ${BGR ? " The network takes blue first; pictures are drawn with red first." : ""}${" "}
      <button type="button" class="plain" aria-expanded=${help} onClick=${() => setHelp(!help)}>Keys</button></p>
      ${complaint && html`<p class="complaint" role="alert">${complaint}</p>`}
      ${help && html`<${Help}/>`}
      <nav aria-label="layers" class="layers">${told.layers.map((one) => html`<a key=${one.number} href=${address(one.number)}
        aria-current=${one === layer ? "page" : null} title=${`${one.label}: ${neurons(one.shape[0])}, ${one.shape[3]} × ${one.shape[2]} pixels`}><b>${one.number}</b> <bdi>${one.name}</bdi> <span class="soft">(${one.shape[0]})</span></a>`)}</nav></header>
    <main>
      <section class="layer" aria-labelledby="layer">
        <h2 id="layer"><bdi>${layer.label}</bdi></h2>
        <div class="tools">
          <label>sort by <select value=${sort} onChange=${(event) => sortBy(event.target.value)}>${Object.entries(SORTS)
            .filter(([key, [, there]]) => there(layer) && (key !== "like" || chosenOne !== null))
            .map(([key, [name]]) => html`<option key=${key} value=${key}>${key === "like" ? `${name} ${chosenOne}` : name}</option>`)}</select></label>
          <label>numbers <input id="filter" type="search" placeholder=${layer.names ? "3-7, 12 or a name" : "3-7, 12"} value=${text} onInput=${(event) => setText(event.target.value)}/></label>
          <label>contrast <select value=${own ? "own" : "layer"} onChange=${(event) => setOwn(event.target.value === "own")}>
            <option value="own">each its own</option><option value="layer">the layer’s</option></select></label>
          ${layer.matched && html`<label><input type="checkbox" checked=${pairs} onChange=${() => setPairs(!pairs)}/> beside ${told.other.model}</label>`}
          <span class="soft" role="status">${order.length === layer.shape[0] ? neurons(order.length) : `${order.length} of ${neurons(layer.shape[0])}${order.length ? "" : ": expected such as 3-7, 12"}`}</span>
        </div>
        ${chosen.length > 0 && html`<div class="selection" role="region" aria-label="selection"><b>${chosen.length} selected</b>
          <button type="button" onClick=${() => setMarks({ layer: null, all: new Set() })}>clear</button><${Export} layer=${layer} chosen=${chosen} common=${common}/></div>`}
        <${Cells} layer=${layer} order=${order} common=${common} marked=${marked} mark=${mark} pairs=${pairs && layer.matched}/>
        <p class="note">The bar is a neuron’s strength, its decoded filter’s L2 norm, on a logarithmic scale from the layer’s weakest to its strongest.</p>
      </section>
      ${neuron !== null && html`<aside aria-label="neuron"><${Neuron} layer=${layer} k=${neuron} order=${order} common=${common} marked=${marked} mark=${mark} near=${() => sortBy("like")}/></aside>`}
    </main></div>`;
}

const NONE = new Set();
let byKeyboard = false; // whether a neuron is being opened by Enter: then the focus goes to it

function Help() {
  const rows = [["← → ↑ ↓", "from picture to picture"], ["Enter", "open it"], ["j k", "the next neuron, the one before"],
    ["[ ]", "the layer below, the one above"], ["x", "into the selection, or shift and click"], ["/", "show neurons by number or name"], ["Esc", "close"], ["?", "these keys"]];
  return html`<dl class="keys">${rows.map(([key, what]) => html`<div key=${key}><dt><kbd>${key}</kbd></dt><dd>${what}</dd></div>`)}</dl>`;
}

function pressed(event, { layer, neuron, order, mark, setHelp }) {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && event.target.type !== "checkbox";
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" && !typing && neuron !== null) {
    go(layer.number);
    requestAnimationFrame(() => document.querySelector(`.grid [data-k="${neuron}"]`)?.focus());
    return;
  }
  if (typing && event.key === "Escape") event.target.blur();
  if (typing) return;
  if (event.key === "Enter" && document.activeElement?.closest?.(".grid a, .links a, .row a, .tree a")) byKeyboard = true;
  const at = order.indexOf(neuron), cell = document.activeElement?.closest?.(".grid a");
  const numbers = [...layers.keys()], here = numbers.indexOf(layer.number);
  const moves = { j: 1, k: -1 };
  if (event.key in moves) {
    const next = order[at < 0 ? 0 : at + moves[event.key]];
    if (next !== undefined) go(layer.number, next);
  } else if (event.key === "[" || event.key === "]") {
    const next = numbers[here + (event.key === "]" ? 1 : -1)];
    if (next !== undefined) go(next);
    requestAnimationFrame(() => document.querySelector(".layers [aria-current]")?.focus());
  } else if (event.key === "/") {
    document.getElementById("filter").focus();
  } else if (event.key === "x") {
    const k = cell ? Number(cell.dataset.k) : neuron;
    if (k !== null) mark(k);
  } else if (event.key === "?") {
    setHelp((before) => !before);
  } else if (event.key.startsWith("Arrow") && document.activeElement === document.body) {
    (document.querySelector(".grid [aria-current]") ?? document.querySelector(".grid a"))?.focus();
  } else if (event.key.startsWith("Arrow") && cell) {
    const cells = [...document.querySelectorAll(".grid a")], n = cells.indexOf(cell);
    const across = cells.findIndex((one) => one.offsetTop > cells[0].offsetTop);
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -(across < 0 ? cells.length : across), ArrowDown: across < 0 ? cells.length : across }[event.key];
    cells[n + step]?.focus();
  } else {
    return;
  }
  event.preventDefault();
}

const place = document.getElementById("page");
place.textContent = "";
render(html`<${Page}/>`, place);
})();
