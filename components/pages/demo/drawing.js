/** A picture that is drawn on, as bytes: class indices (one channel) or RGB (three). Knows nothing of the page. */
export class Drawing {
  #undo = [];
  #redo = [];

  /** @param {number[]} blank the bytes of a pixel of an empty sheet */
  constructor(width, height, blank) {
    Object.assign(this, { width, height, blank });
    this.values = this.#sheet();
  }

  /** Remember the picture as it is, to come back to; call before a change. */
  begin() {
    this.#undo.push(this.values.slice());
    if (this.#undo.length > 60) this.#undo.shift();
    this.#redo = [];
  }

  /** Paint every pixel whose middle is within size / 2 of the way between two points, and both points' own. */
  stroke(from, to, size, ink) {
    const reach = size / 2;
    const [left, right] = [Math.min(from.x, to.x) - reach, Math.max(from.x, to.x) + reach];
    const [top, bottom] = [Math.min(from.y, to.y) - reach, Math.max(from.y, to.y) + reach];
    for (let y = Math.max(0, Math.floor(top)); y < Math.min(this.height, Math.ceil(bottom)); y++) {
      for (let x = Math.max(0, Math.floor(left)); x < Math.min(this.width, Math.ceil(right)); x++) {
        if (distance({ x: x + 0.5, y: y + 0.5 }, from, to) <= reach) this.#set(x, y, ink);
      }
    }
    for (const point of [from, to]) this.#set(Math.floor(point.x), Math.floor(point.y), ink);
  }

  /** Paint all pixels that are joined to one by its own colour, through sides. */
  fill(x, y, ink) {
    const old = this.at(x, y);
    if (same(old, ink)) return;
    const todo = [[x, y]];
    while (todo.length) {
      const [column, row] = todo.pop();
      if (column < 0 || row < 0 || column >= this.width || row >= this.height) continue;
      if (!same(this.at(column, row), old)) continue;
      this.#set(column, row, ink);
      todo.push([column + 1, row], [column - 1, row], [column, row + 1], [column, row - 1]);
    }
  }

  /** Take back the last change; says whether there was one. */
  undo() {
    return this.#swap(this.#undo, this.#redo);
  }

  redo() {
    return this.#swap(this.#redo, this.#undo);
  }

  clear() {
    this.load(this.#sheet());
  }

  /** Put another picture in its place. */
  load(values) {
    if (values.length !== this.values.length) throw new Error("a picture of another size");
    this.begin();
    this.values = values;
  }

  /** The bytes of a pixel. */
  at(x, y) {
    const place = (y * this.width + x) * this.blank.length;
    return this.values.subarray(place, place + this.blank.length).slice();
  }

  #set(x, y, ink) {
    if (x < 0 || y < 0 || x >= this.width || y >= this.height) return;
    this.values.set(ink, (y * this.width + x) * this.blank.length);
  }

  #swap(from, to) {
    if (!from.length) return false;
    to.push(this.values);
    this.values = from.pop();
    return true;
  }

  #sheet() {
    const channels = this.blank.length;
    return Uint8Array.from({ length: this.width * this.height * channels }, (_, i) => this.blank[i % channels]);
  }
}

/** From a point to the nearest on the way between two others. */
function distance(point, from, to) {
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const along = ((point.x - from.x) * dx + (point.y - from.y) * dy) / Math.max(dx * dx + dy * dy, 1e-9);
  const share = Math.min(1, Math.max(0, along));
  return Math.hypot(point.x - from.x - share * dx, point.y - from.y - share * dy);
}

function same(one, other) {
  return one.every((value, i) => value === other[i]);
}
