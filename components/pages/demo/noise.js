import { asked, named } from "./condition.js";
import { ask, bytesOf, Newest } from "./newest.js";

const find = (what) => document.querySelector(what);
const [seed, towards, way] = ["#seed", "#towards", "#way"].map(find);
const canvases = [...document.querySelectorAll(".made canvas")];
const all = find(".made-all");

const newest = new Newest(
  ({ path }) => ask(path),
  (answer, job, last) => {
    answer.pictures.forEach((text, i) => show(canvases[i], bytesOf(text)));
    alarm("");
    if (!last) return;
    all.setAttribute("aria-busy", "false");
    find(".shown").textContent = `${job.said}. The ${answer.pictures.length > 1 ? "models" : "model"} took ${(1000 * answer.seconds).toFixed(0)} ms.`;
  },
  (error) => {
    alarm(error.message);
    all.setAttribute("aria-busy", "false");
  },
);

function alarm(text) {
  find(".alarm").hidden = !text;
  find(".alarm span").textContent = text;
}

function draw() {
  const numbers = [seed, towards].map(({ value }) => value.trim());
  find("#percent").textContent = way.value;
  if (![seed, towards].every((input) => input.value !== "" && input.checkValidity())) return;
  const kinds = [...document.querySelectorAll("[name=kind]")];
  all.setAttribute("aria-busy", "true");
  const place = way.value === "0" ? `Seed ${numbers[0]}` : way.value === "100" ? `Seed ${numbers[1]}` : `${way.value} % of the way from seed ${numbers[0]} to seed ${numbers[1]}`;
  const name = kinds.length ? `, ${named(kinds)}` : "";
  newest.ask({ path: `/made/${numbers[0]}/${numbers[1]}/${way.value}/${asked(kinds)}`, said: place + name });
}

function show(canvas, bytes) {
  const pixels = new Uint8ClampedArray(4 * canvas.width * canvas.height).fill(255);
  for (let i = 0; i < canvas.width * canvas.height; i++) pixels.set(bytes.subarray(3 * i, 3 * i + 3), 4 * i);
  canvas.getContext("2d").putImageData(new ImageData(pixels, canvas.width, canvas.height), 0, 0);
}

[seed, towards, way, ...document.querySelectorAll("[name=kind]")].forEach((input) => input.addEventListener("input", draw));
document.querySelectorAll("[data-another]").forEach((button) => {
  button.addEventListener("click", () => {
    find(`#${button.dataset.another}`).value = Math.floor(Math.random() * 1e6);
    draw();
  });
});
document.querySelectorAll(".save").forEach((button, i) => {
  button.addEventListener("click", () => {
    const link = document.createElement("a");
    [link.href, link.download] = [canvases[i].toDataURL("image/png"), button.dataset.file];
    link.click();
  });
});
find(".alarm button").addEventListener("click", () => alarm(""));
draw();
