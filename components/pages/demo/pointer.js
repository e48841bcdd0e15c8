/** Pointers (mouse, pen, finger) and keys on the drawing of an easel. */
export function follow(easel) {
  const { canvas, drawing } = easel;
  const cursor = easel.find(".cursor");
  const key = { x: drawing.width >> 1, y: drawing.height >> 1, down: false };
  let held = null; // the pointer that draws, and where it was
  let keyed = false;

  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return {
      x: ((event.clientX - box.left) / box.width) * drawing.width,
      y: ((event.clientY - box.top) / box.height) * drawing.height,
    };
  };
  const mark = (point) => {
    const size = easel.way === "fill" ? 1 : easel.size;
    cursor.hidden = !point;
    if (!point) return;
    cursor.style.width = `${(100 * size) / drawing.width}%`;
    cursor.style.height = `${(100 * size) / drawing.height}%`;
    cursor.style.left = `${(100 * (point.x - size / 2)) / drawing.width}%`;
    cursor.style.top = `${(100 * (point.y - size / 2)) / drawing.height}%`;
  };
  const middle = () => ({ x: key.x + 0.5, y: key.y + 0.5 });
  const inside = ({ x, y }) => x >= 0 && y >= 0 && x < drawing.width && y < drawing.height;

  canvas.addEventListener("pointerdown", (event) => {
    if (held || event.button) return;
    const point = place(event);
    drawing.begin();
    if (easel.way === "fill") {
      if (inside(point)) drawing.fill(Math.floor(point.x), Math.floor(point.y), easel.ink);
    } else {
      canvas.setPointerCapture(event.pointerId);
      held = { id: event.pointerId, point };
      drawing.stroke(point, point, easel.size, easel.ink);
    }
    easel.changed("Drawn", event.timeStamp);
  });
  canvas.addEventListener("pointermove", (event) => {
    const point = place(event);
    if (event.pointerType !== "touch") mark(point);
    if (held?.id !== event.pointerId) return;
    const steps = event.getCoalescedEvents?.() ?? [];
    for (const step of steps.length ? steps : [event]) {
      const next = place(step);
      drawing.stroke(held.point, next, easel.size, easel.ink);
      held.point = next;
    }
    easel.changed("Drawn", event.timeStamp);
  });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
    canvas.addEventListener(end, (event) => {
      if (held?.id === event.pointerId) held = null;
    });
  }
  canvas.addEventListener("pointerleave", () => mark(keyed && document.activeElement === canvas ? middle() : null));

  const tell = () => {
    const value = drawing.at(key.x, key.y);
    const ink = easel.inks.find(({ bytes }) => bytes.every((byte, i) => byte === value[i]));
    easel.say(`row ${key.y + 1}, column ${key.x + 1}, ${ink ? ink.name : `colour ${value.join(" ")}`}`);
  };
  const paint = (from, since) => {
    drawing.stroke(from, middle(), easel.size, easel.ink);
    easel.changed("Drawn", since);
  };
  canvas.addEventListener("keydown", (event) => {
    if (event.altKey || event.metaKey || event.ctrlKey) return;
    const step = event.shiftKey ? 8 : 1;
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    if (event.key in moves) {
      const before = middle();
      key.x = Math.min(drawing.width - 1, Math.max(0, key.x + moves[event.key][0]));
      key.y = Math.min(drawing.height - 1, Math.max(0, key.y + moves[event.key][1]));
      if (key.down) paint(before, event.timeStamp);
    } else if (event.key === " ") {
      if (!event.repeat) {
        drawing.begin();
        key.down = easel.way === "brush";
        if (key.down) paint(middle(), event.timeStamp);
        else fill(event.timeStamp);
      }
    } else if (event.key.toLowerCase() === "f" && !event.repeat) {
      drawing.begin();
      fill(event.timeStamp);
    } else return;
    event.preventDefault();
    keyed = true;
    mark(middle());
    tell();
  });
  const fill = (since) => {
    drawing.fill(key.x, key.y, easel.ink);
    easel.changed("Drawn", since);
  };
  canvas.addEventListener("keyup", (event) => {
    if (event.key === " ") key.down = false;
  });
  canvas.addEventListener("focus", () => {
    if (canvas.matches(":focus-visible")) {
      keyed = true;
      mark(middle());
    }
  });
  canvas.addEventListener("blur", () => {
    key.down = keyed = false;
    mark(null);
  });

  // Keys that work anywhere in the section, but where somebody types or slides.
  easel.section.addEventListener("keydown", (event) => {
    const letter = event.key.toLowerCase();
    if (event.ctrlKey || event.metaKey) {
      if (letter === "z" || letter === "y") {
        event.preventDefault();
        easel.act(letter === "y" || event.shiftKey ? "redo" : "undo");
      }
      return;
    }
    if (event.altKey) return;
    const ink = easel.keys.indexOf(letter);
    if (ink >= 0) {
      easel.choose(".inks", ink);
      easel.say(easel.inks[ink].name);
    } else if (event.key === "[" || event.key === "]") {
      easel.size = easel.size + (event.key === "[" ? -1 : 1);
      if (keyed) mark(middle());
      easel.say(`size ${easel.size}`);
    } else if (letter === "f" && event.target !== canvas) easel.choose(".ways", 1);
  });
}
