import { Drawing } from "./drawing.js";
import { follow } from "./pointer.js";
import { asked } from "./condition.js";
import { Newest, ask, bytesOf } from "./newest.js";

/** One section of the page: a drawing, its tools, and what the models make of it. */
export class Easel {
  #times = [];
  #timer = 0;
  #scene = 0; // raised when another picture is put on the easel: answers about the one before are dropped

  constructor(section) {
    const { direction, height, width, inks, blank, target } = section.dataset;
    this.section = section;
    this.find = (what) => section.querySelector(what);
    Object.assign(this, { direction, target, inks: JSON.parse(inks) });
    this.drawing = new Drawing(Number(width), Number(height), this.inks[Number(blank)].bytes);
    this.canvas = this.find(".drawing");
    this.keys = [...section.querySelectorAll(".ink")].map((label) => label.dataset.key.toLowerCase());
    this.attributes = [...section.querySelectorAll(".traits input")];
    this.made = [...section.querySelectorAll(".made-all > .made canvas")];
    this.newest = new Newest(
      (job) => ask(`/translate/${direction}${job.asked}`, job.values),
      (answer, job, last) => this.#show(answer, job, last),
      (error) => this.alarm(error.message),
    );
    this.#wire();
    follow(this);
    this.start();
  }

  /** Begin with a test sample where there is one: a blank sheet shows little. */
  async start() {
    if (this.find("[data-do=sample]")) await this.sample();
    else this.changed("Blank sheet");
  }

  get ink() {
    return this.inks[Number(this.find(".inks input:checked").value)].bytes;
  }

  get size() {
    return Number(this.find(".size input").value);
  }

  set size(pixels) {
    const range = this.find(".size input");
    range.value = String(pixels);
    this.find(".size b").textContent = range.value;
  }

  get way() {
    return this.find(".ways input:checked").value;
  }

  choose(group, place) {
    const radio = this.section.querySelectorAll(`${group} input`)[place];
    if (radio) radio.checked = true;
    return Boolean(radio);
  }

  /** The drawing has changed: paint it, and have it translated. */
  changed(about, since = performance.now()) {
    if (about) this.about = about;
    show(this.canvas, this.drawing.values, this.inks);
    this.#describe();
    this.find(".made-all").setAttribute("aria-busy", "true");
    const wanted = this.attributes.length ? `?asked=${asked(this.attributes)}` : "";
    this.newest.ask({ values: this.drawing.values.slice(), asked: wanted, since, scene: this.#scene });
  }

  /** Put another picture on the easel, with its truth beside if there is one. */
  load(values, about, truth, key) {
    this.#scene += 1;
    this.drawing.load(values);
    this.find(".truth").hidden = !truth;
    this.find(".key").textContent = key || "";
    if (truth) show(this.find(".truth canvas"), truth);
    this.changed(about);
  }

  act(what) {
    if (what === "sample") return this.sample();
    if (what === "save") return save(this.canvas, this.find("[data-do=save]").dataset.file);
    if (what === "clear") return this.load(new Drawing(this.drawing.width, this.drawing.height, this.drawing.blank).values, "Blank sheet");
    if (this.drawing[what]()) this.changed();
    else this.say(`Nothing to ${what}`);
  }

  async sample() {
    try {
      const found = await ask(`/sample/${this.direction}`);
      found.attributes?.forEach((holds, i) => this.attributes[i] && (this.attributes[i].checked = Boolean(holds)));
      const about = `Test sample ${found.number}, ${found.key}`;
      this.load(bytesOf(found.source), about, found.truth && bytesOf(found.truth), found.key);
    } catch (error) {
      this.alarm(error.message);
      if (!this.about) this.changed("Blank sheet");
    }
  }

  async upload(file) {
    const limit = Number(document.body.dataset.limit);
    if (file.size > limit) return this.alarm(`${file.name} has ${file.size} bytes, more than ${limit}.`);
    try {
      const { source } = await ask(`/upload/${this.direction}`, file, (share) => this.#sending(file.name, share));
      this.load(bytesOf(source), `From ${file.name}`);
    } catch (error) {
      this.alarm(`${file.name}: ${error.message}`);
    } finally {
      this.find(".sending").hidden = true;
    }
  }

  /** Tell those who listen, when it has been quiet for a moment. */
  say(text) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => (this.find(".said").textContent = text), 400);
  }

  alarm(text) {
    this.find(".alarm").hidden = !text;
    this.find(".alarm span").textContent = text;
  }

  /** How much of a file is sent, from 0 to 1; when all of it is, the server reads it. */
  #sending(name, share) {
    this.alarm("");
    this.find(".sending").hidden = false;
    this.find(".sending span").textContent = share < 1 ? `Sending ${name}` : `Reading ${name}`;
    if (share < 1) this.find("progress").value = share;
    else this.find("progress").removeAttribute("value");
  }

  #show(answer, job, last) {
    if (job.scene !== this.#scene) return;
    const served = [...document.querySelectorAll("[data-weights]")].map((row) => row.dataset.weights);
    if (!answer.weights.every((hash) => served.includes(hash))) {
      return this.alarm("The server now has other models; reload this page.");
    }
    this.alarm("");
    delete this.find(".made-all").dataset.empty;
    answer.pictures.forEach((text, i) => show(this.made[i], bytesOf(text)));
    if (!last) return;
    this.find(".made-all").setAttribute("aria-busy", "false");
    this.say(`${this.target} updated`);
    requestAnimationFrame(() => this.#timed(performance.now() - job.since, 1000 * answer.seconds));
  }

  #timed(all, models) {
    this.#times = [...this.#times.slice(-49), all];
    const median = [...this.#times].sort((a, b) => a - b)[this.#times.length >> 1];
    const line = this.find(".timing");
    line.hidden = false;
    line.dataset.milliseconds = all.toFixed(1);
    line.textContent = `From stroke to picture ${all.toFixed(0)} ms, of which the ${this.made.length > 1 ? "models" : "model"} ${models.toFixed(0)} ms; median of the last ${this.#times.length}: ${median.toFixed(0)} ms.`;
  }

  /** The text alternative of the drawing. */
  #describe() {
    const { values, blank } = this.drawing;
    let text = this.about;
    if (blank.length === 1) {
      const counts = new Map();
      values.forEach((value) => counts.set(value, (counts.get(value) ?? 0) + 1));
      const found = this.inks.filter(({ bytes }) => counts.has(bytes[0]));
      const shares = found.map(({ bytes, name }) => [counts.get(bytes[0]) / values.length, name]);
      shares.sort((a, b) => b[0] - a[0]);
      text += `: ${shares.map(([share, name]) => `${name} ${percent(share)}`).join(", ")}`;
    }
    this.find(".shown").textContent = `${text}.`;
  }

  #wire() {
    this.section.querySelectorAll(".ink").forEach((label, i) => {
      label.querySelector("i").style.background = `rgb(${this.inks[i].colour.join(" ")})`;
    });
    this.section.querySelectorAll("[data-do]").forEach((button) => {
      button.addEventListener("click", () => this.act(button.dataset.do));
    });
    this.section.querySelectorAll(".made .save").forEach((button, i) => {
      button.addEventListener("click", () => save(this.made[i], button.dataset.file));
    });
    this.attributes.forEach((box) => box.addEventListener("input", () => this.changed()));
    this.find(".alarm button").addEventListener("click", () => this.alarm(""));
    this.find(".size input").addEventListener("input", (event) => (this.size = event.target.value));
    this.find(".file").addEventListener("change", (event) => {
      const [file] = event.target.files;
      if (file) this.upload(file);
      event.target.value = "";
    });
  }
}

/** Put bytes on a canvas: RGB, or class indices in the colours of inks. */
function show(canvas, values, inks) {
  const { width, height } = canvas;
  const pixels = new Uint8ClampedArray(4 * width * height);
  const labels = values.length === width * height;
  const colours = new Map((labels ? inks : []).map(({ bytes, colour }) => [bytes[0], colour]));
  for (let i = 0; i < width * height; i++) {
    pixels.set(labels ? colours.get(values[i]) : values.subarray(3 * i, 3 * i + 3), 4 * i);
    pixels[4 * i + 3] = 255;
  }
  // Kept where the processor reads and writes it: it is small, and changes with every stroke.
  canvas.getContext("2d", { willReadFrequently: true }).putImageData(new ImageData(pixels, width, height), 0, 0);
}

function save(canvas, name) {
  canvas.toBlob((blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }, "image/png");
}

function percent(share) {
  return share < 0.01 ? "under 1\u00a0%" : `${Math.round(100 * share)}\u00a0%`;
}
