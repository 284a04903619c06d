// The corruption explorer: two images, and what the corruption costs each method, as the form says.
const form = document.getElementById("explorer-form");

// Differences: intervals beside zero, on the scale of what is shown.
const signed = x => (x < 0 ? "−" : "+") + Math.abs(x).toFixed(2);

const interval = ([, , , effect, low, high], edge) => {
  const x = value => 100 + 100 * Math.max(-1, Math.min(1, value / edge));
  const kind = high < 0 ? "lower" : low > 0 ? "higher" : "open";
  const arrow = effect < 0 ? '<text x="0" y="13">◂</text>' : '<text x="188" y="13">▸</text>';
  const dot = Math.abs(effect) > edge ? arrow : `<circle cx="${x(effect)}" cy="9" r="4"></circle>`;
  const bar = low === null ? "" : `<line x1="${x(low)}" x2="${x(high)}" y1="9" y2="9"></line>`;
  return `<svg viewBox="0 0 200 18" class="${kind}" aria-hidden="true">`
    + `<line class="zero" x1="100" x2="100" y1="0" y2="18"></line>${bar}${dot}</svg>`;
};

const scaleOf = found => {
  const effects = found.map(([, [, , , effect]]) => Math.abs(effect)).filter(x => x > 0).sort((a, b) => a - b);
  const limit = Math.max(1, 4 * (effects[effects.length >> 1] || 0));  // one far away would hide all others
  const near = found.filter(([, [, , , effect]]) => effect !== null && Math.abs(effect) <= limit);
  return Math.max(1, ...near.flatMap(([, [, , , effect, low, high]]) => [effect, low, high].map(Math.abs)));
};

const line = ([method, values], edge) => {
  const [error, std, seeds, effect, low, high] = values, row = document.createElement("tr");
  row.innerHTML = "<th scope=row></th><td></td><td></td><td></td>";
  row.cells[0].textContent = method;
  row.cells[2].textContent = error.toFixed(2) + (seeds > 1 ? `\u00a0±\u00a0${std.toFixed(2)}` : "");
  row.cells[3].textContent = seeds;
  if (effect === null) { row.cells[1].textContent = "–"; return row; }
  const ends = low === null ? "" : ` [${signed(low)},\u00a0${signed(high)}]`;
  row.cells[1].innerHTML = `<span></span>${interval(values, edge)}`;
  row.cells[1].firstChild.textContent = signed(effect) + ends;
  return row;
};

// An own image: the corruptions that need no more than pixels, by the definitions and constants of gwi.corruption.
const gauss = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());

const photons = mean => {  // Poisson, by products (Knuth 1969)
  const least = Math.exp(-mean);
  let count = -1;
  for (let p = 1; p > least; count += 1) p *= Math.random();
  return Math.max(0, count);
};

const ofPixel = change => (data, ...constants) => {
  for (let k = 0; k < data.length; k += 4) {
    const pixel = change([data[k] / 255, data[k + 1] / 255, data[k + 2] / 255], ...constants);
    pixel.forEach((value, c) => { data[k + c] = Math.floor(255 * Math.max(0, Math.min(1, value)) + 1e-3); });
  }
};

const ofValue = change => ofPixel((pixel, ...constants) => pixel.map(value => change(value, ...constants)));

const brighter = (pixel, amount) => {
  const value = Math.max(...pixel), now = Math.min(1, value + amount);
  return pixel.map(x => value > 0 ? x / value * now : now);
};

const coloured = (pixel, factor, amount) => {
  const value = Math.max(...pixel), spread = value - Math.min(...pixel);
  const share = Math.min(1, Math.max(0, spread / Math.max(value, 1e-9) * factor + amount));
  return pixel.map((x, c) => value * (1 - share * (spread > 0 ? (value - x) / spread : c ? 1 : 0)));
};

const flatter = (data, factor) => {
  const means = [0, 0, 0];
  for (let k = 0; k < data.length; k += 1) if (k % 4 < 3) means[k % 4] += data[k] / 255 / (data.length / 4);
  ofPixel(pixel => pixel.map((x, c) => (x - means[c]) * factor + means[c]))(data);
};

const coarser = (data, share) => {  // means over boxes, weighted by what they cover
  const side = Math.sqrt(data.length / 4), n = Math.floor(side * share), step = side / n, copy = data.slice();
  const covered = (k, i) => Math.max(0, Math.min((k + 1) * step, i + 1) - Math.max(k * step, i));
  const mean = (row, column, c) => {
    let sum = 0;
    for (let y = Math.floor(row * step); y < Math.min(side, (row + 1) * step); y += 1) {
      for (let x = Math.floor(column * step); x < Math.min(side, (column + 1) * step); x += 1) {
        sum += copy[4 * (y * side + x) + c] * covered(row, y) * covered(column, x);
      }
    }
    return Math.round(sum / step ** 2);
  };
  const small = [0, 1, 2].map(c => Array.from({length: n * n}, (_, k) => mean(Math.floor(k / n), k % n, c)));
  for (let k = 0; k < data.length; k += 1) {
    const y = Math.floor(k / 4 / side), x = (k >> 2) % side, box = v => Math.floor((v + 0.5) / step);
    if (k % 4 < 3) data[k] = small[k % 4][box(y) * n + box(x)];
  }
};

const OWN = {
  gaussian_noise: ofValue((x, sigma) => x + sigma * gauss()),
  speckle_noise: ofValue((x, sigma) => x + x * sigma * gauss()),
  shot_noise: ofValue((x, rate) => photons(x * rate) / rate),
  impulse_noise: ofValue((x, amount) => {
    const u = Math.random();
    return u < amount / 2 ? 0 : u < amount ? 1 : x;
  }),
  brightness: ofPixel(brighter), saturate: ofPixel(coloured), contrast: flatter, pixelate: coarser,
  jpeg_compression: null,  // the browser's own encoder
};

const square = (picture, side) => {  // its middle
  const canvas = Object.assign(document.createElement("canvas"), {width: side, height: side});
  const least = Math.min(picture.width, picture.height), context = canvas.getContext("2d", {willReadFrequently: true});
  context.imageSmoothingQuality = "high";
  const corner = [(picture.width - least) / 2, (picture.height - least) / 2];
  context.drawImage(picture, ...corner, least, least, 0, 0, side, side);
  return canvas;
};

const drawn = (picture, side, name, constants) => {  // -> address of an image
  const canvas = square(picture, side), context = canvas.getContext("2d");
  if (!(name in OWN)) return canvas.toDataURL();
  if (name === "jpeg_compression") return canvas.toDataURL("image/jpeg", constants / 100);
  const image = context.getImageData(0, 0, side, side);
  OWN[name](image.data, ...[constants].flat());
  context.putImageData(image, 0, 0);
  return canvas.toDataURL();
};

if (form) {
  const read = id => JSON.parse(document.getElementById(id).textContent);
  const errors = read("explorer-errors"), constants = read("explorer-constants");
  const images = [["close", 224, "jpg"], ["far", 32, "png"]];
  const base = document.getElementById("close").src.replace(/[^/]*$/, "");
  const own = document.getElementById("own"), said = document.getElementById("own-said"), first = said.textContent;
  const [input, button] = [own.querySelector("input"), own.querySelector("button")];
  let picture = null;

  const show = () => {
    const {corruption, severity, profile} = form.elements;
    const name = corruption.value, k = severity.value, title = corruption.selectedOptions[0].text;
    form.querySelector("output").textContent = k;
    for (const [id, side, suffix] of images) {
      const image = document.getElementById(id);
      image.src = picture ? drawn(picture, side, name, (constants[side][name] || [])[k - 1])
        : `${base}${name}-${k}-${side}.${suffix}`;
      image.alt = `${picture ? "Your image" : "The photograph of a flower"} under ${title}, severity ${k}`;
    }
    if (picture) said.textContent = name in OWN ? first : `Your image as it is: ${title} needs Python. ${first}`;
    for (const item of document.querySelectorAll("#definitions li")) item.hidden = item.dataset.of !== name;
    const found = Object.entries((errors[profile.value][name] || {})[k] || {}), edge = scaleOf(found);
    document.getElementById("scale").textContent = `(scale −${edge.toFixed(1)} to +${edge.toFixed(1)})`;
    document.querySelector("#errors tbody").replaceChildren(...found.map(entry => line(entry, edge)));
  };

  const take = async file => {
    try { picture = await createImageBitmap(file); }
    catch {
      said.textContent = "No image that the browser reads.";
      return;
    }
    button.hidden = false;
    show();
  };

  input.addEventListener("change", () => input.files.length && take(input.files[0]));
  own.addEventListener("dragover", event => event.preventDefault());
  own.addEventListener("drop", event => {
    event.preventDefault();
    if (event.dataTransfer.files.length) take(event.dataTransfer.files[0]);
  });
  button.addEventListener("click", () => {
    [picture, input.value, button.hidden, said.textContent] = [null, "", true, first];
    show();
  });
  form.addEventListener("input", show);
  show();
}
