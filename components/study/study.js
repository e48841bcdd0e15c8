// The page of a study. The server knows where the participant is; this file shows it and sends what is answered.
"use strict";

const EXPOSURE = Number(document.body.dataset.exposure); // ms
const PAUSE = 600; // ms between an answer and the next pair
const WAITS = [250, 500, 1000, 2000, 4000]; // ms before an unanswered request is sent again

const at = (id) => document.getElementById(id);
const sides = ["left", "right"];
let state = null;
let asking = null; // {position, exposure, since} while an answer is awaited

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const frame = () => new Promise((done) => requestAnimationFrame(done));

class Refused extends Error {}

// Every request may be sent again without harm: the server does nothing twice.
async function ask(path, body) {
  const options = body === undefined ? {} : {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  };
  for (let attempt = 0; ; attempt++) {
    let answer = null;
    try {
      answer = await fetch(path, { ...options, cache: "no-store" });
    } catch {
      // nobody answers; the server may be starting again
    }
    if (answer && answer.ok) return answer;
    if (answer && answer.status !== 503) {
      const told = await answer.json().catch(() => ({}));
      throw Object.assign(new Refused(told.error || `The server said ${answer.status}.`), { status: answer.status });
    }
    if (attempt === WAITS.length) throw new Error("The server cannot be reached. Your answers so far are kept.");
    await sleep(WAITS[attempt]);
  }
}

function view(id) {
  for (const name of ["welcome", "pairs", "done"]) at(name).hidden = name !== id;
}

function say(text) {
  at("say").textContent = text;
}

function enable(on) {
  for (const side of sides) at(side).disabled = !on;
}

// A button that the participant presses to go on; resolves when it is pressed.
function pressed(label) {
  const button = at("go");
  button.textContent = label;
  button.hidden = false;
  button.focus();
  return new Promise((done) => button.addEventListener("click", () => {
    button.hidden = true;
    done();
  }, { once: true }));
}

function progress() {
  const what = state.practice ? "Practice pair" : "Pair";
  at("progress").textContent = `${what} ${state.number} of ${state.of}`;
}

async function loaded(name) {
  const answer = await ask(`/picture/${name}`);
  return createImageBitmap(await answer.blob());
}

async function visible() {
  while (document.visibilityState !== "visible") {
    await new Promise((done) => document.addEventListener("visibilitychange", done, { once: true }));
  }
}

function clear() {
  for (const side of sides) {
    const canvas = at(side).querySelector("canvas");
    canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
  }
}

// Both pictures are decoded before; they are drawn in one frame and wiped in the frame nearest to one second later.
async function expose(pictures) {
  await visible();
  const start = await frame();
  sides.forEach((side, i) => at(side).querySelector("canvas").getContext("2d").drawImage(pictures[i], 0, 0));
  let away = false;
  const leave = () => { away = document.visibilityState !== "visible"; if (away) clear(); };
  document.addEventListener("visibilitychange", leave);
  let now = start, last = start, step = 1000 / 60;
  while (!away && EXPOSURE - (now - start) > step / 2) {
    // A timer stands by for a browser that gives no frames.
    now = await Promise.race([frame(), sleep(EXPOSURE + 50 - (now - start)).then(() => performance.now())]);
    step = Math.min(now - last, 50);
    last = now;
  }
  clear();
  document.removeEventListener("visibilitychange", leave);
  return away ? performance.now() - start : now - start;
}

// Shows the pair that is due and gives for how long; null where another tab has shown it.
async function showPair() {
  say("Look …");
  let pictures, pair;
  for (let attempt = 0; !pictures; attempt++) {
    try {
      pair = await (await ask("/api/pair", {})).json();
      pictures = await Promise.all(sides.map((side) => loaded(pair[side])));
    } catch (error) {
      if (error.status === 409) return null;
      if (error.status !== 404 || attempt === 3) throw error; // 404: the server has begun anew, with other names
    }
  }
  await visible();
  try {
    await ask("/api/shown", { position: pair.position, name: pair.name });
  } catch (error) {
    if (error.status === 409) return null;
    throw error;
  }
  return expose(pictures);
}

function question(exposure) {
  progress();
  say("Which one was real?");
  enable(true);
  return new Promise((done) => {
    asking = { since: performance.now(), answer: (side) => {
      const answered = { position: state.position, side, exposure_ms: exposure, answer_ms: performance.now() - asking.since };
      asking = null;
      enable(false);
      at(side).classList.add("chosen");
      done(answered);
    } };
  });
}

async function run() {
  view("pairs");
  enable(false);
  clear();
  progress();
  say(state.phase === "question" ? "This pair was on screen already." : "Keep your eyes between the two places. A pair is there for one second.");
  await pressed(state.position === 0 ? "Show the first pair" : "Go on");
  while (state.phase !== "done") {
    let exposure = 0;
    progress();
    if (state.phase === "pair") {
      exposure = await showPair();
      if (exposure === null) {
        exposure = 0;
        state = await (await ask("/api/state")).json();
        if (state.phase === "pair") continue;
        if (state.phase === "done") break;
      }
    }
    const answered = await question(exposure);
    const told = await (await ask("/api/vote", answered)).json();
    const practised = state.practice;
    state = told.state;
    if (told.feedback) {
      for (const side of sides) at(side).classList.toggle("chosen", side === told.feedback.real);
      say(`${told.feedback.right ? "Correct" : "Wrong"}: the ${told.feedback.real} one was real.`);
      await pressed("Next");
    } else {
      say("");
      await sleep(PAUSE);
    }
    for (const side of sides) at(side).classList.remove("chosen");
    if (practised && state.phase === "pair" && !state.practice) {
      progress();
      say("The practice is over. From here on nobody tells you whether you are right.");
      await pressed("Start");
    }
  }
  finish();
}

function finish() {
  view("done");
  at("thanks").focus();
}

function problem(error) {
  at("problem").textContent = error.message;
  at("problem").hidden = false;
  if (at("pairs").hidden) return;
  enable(false);
  say("");
  pressed("Try again").then(begin);
}

async function begin() {
  at("problem").hidden = true;
  try {
    state = await (await ask("/api/state")).json();
    if (state.phase === "welcome") view("welcome");
    else if (state.phase === "done") finish();
    else await run();
  } catch (error) {
    problem(error);
  }
}

at("join").addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = event.target.querySelector("button");
  button.disabled = true;
  at("problem").hidden = true;
  try {
    state = await (await ask("/api/join", { code: at("code") ? at("code").value : null })).json();
  } catch (error) {
    button.disabled = false;
    problem(error);
    return;
  }
  state.phase === "done" ? finish() : run().catch(problem);
});

for (const side of sides) at(side).addEventListener("click", () => asking && asking.answer(side));
document.addEventListener("keydown", (event) => {
  const side = { ArrowLeft: "left", ArrowRight: "right" }[event.key];
  if (!side || !asking || event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  asking.answer(side);
});

if (at("code") && location.hash.length > 1) at("code").value = decodeURIComponent(location.hash.slice(1));
begin();
