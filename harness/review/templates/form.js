(() => {
"use strict";
const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("data").textContent);
const { pages, words } = data;
const memory = `harness-review:${data.seal}:${data.form}`;
const FORMAT = "harness-review/1";

/** The sentence with its values. */
const say = (name, values = {}) => words[name].replace(/\{(\w+)\}/g, (_, key) => values[key]);

/** An element with a text: texts of models and users are never anything but text. */
function made(tag, text, settings = {}) {
  const element = document.createElement(tag);
  element.textContent = text;
  for (const [key, value] of Object.entries(settings)) element.setAttribute(key, value);
  return element;
}

/* ---- What has been answered */

const blank = () => ({ choice: null, skip: null, comment: "", marks: {}, seconds: 0 });
let answers = Object.fromEntries(pages.map((page) => [page.id, blank()]));
let place = 0;
let since = null;
let forgetful = false;
let changed = false;
let leading = null;

const isDone = (answer) => answer.choice !== null || answer.skip !== null;
const openPages = () => pages.filter((page) => !isDone(answers[page.id])).length;

function recall() {
  try {
    const kept = localStorage.getItem(memory);
    if (kept === null) return;
    const found = JSON.parse(kept);
    if (found.digest !== data.digest) return;
    for (const [id, answer] of Object.entries(found.answers)) if (id in answers) answers[id] = { ...blank(), ...answer };
    place = Math.min(Math.max(0, found.place | 0), pages.length - 1);
  } catch {
    forgetful = true;
  }
}

function keep() {
  changed = true;
  try {
    localStorage.setItem(memory, JSON.stringify({ digest: data.digest, place, answers }));
  } catch {
    forgetful = true;
  }
}

/** Seconds count while the page is looked at; a page left open over lunch counts two minutes at most. */
function count() {
  if (since !== null) answers[pages[place].id].seconds += Math.min(120, (performance.now() - since) / 1000);
  since = document.visibilityState === "visible" ? performance.now() : null;
}

/* ---- What is seen */

function tell(text) {
  byId("told").textContent = text;
  byId("told").hidden = text === "";
}

function fill(id, text) {
  byId(id).textContent = text === "" ? words.empty : text;
  byId(id).classList.toggle("none", text === "");
}

/** One answer; where it was cut off, that is said below it. */
function fillAnswer(side, text) {
  fill(side, text);
  byId(`${side}-cut`).hidden = !text.endsWith("[…]");
}

function show() {
  const page = pages[place];
  const answer = answers[page.id];
  byId("place").textContent = say("page_of", { page: place + 1, all: pages.length });
  fill("prompt", page.prompt);
  byId("target-box").hidden = page.target === "";
  byId("target").textContent = page.target;
  fillAnswer("left", page.left);
  byId("left-title").textContent = page.right === null ? words.answer : words.left;
  byId("right-box").hidden = page.right === null;
  byId("answers").classList.toggle("one", page.right === null);
  if (page.right !== null) fillAnswer("right", page.right);
  byId("comment").value = answer.comment;
  byId("details").open = answer.comment !== "" || Object.keys(answer.marks).length > 0;
  byId("previous").disabled = place === 0;
  byId("next").disabled = place === pages.length - 1;
  paint();
}

function paint() {
  const page = pages[place];
  const answer = answers[page.id];
  for (const button of byId("choices").children) press(button, button.value === answer.choice);
  for (const button of byId("reasons").children) press(button, button.value === answer.skip);
  for (const button of byId("dimensions").querySelectorAll("button"))
    press(button, answer.marks[button.name] === button.value);
  document.querySelector(".answer").classList.toggle("picked", data.mode === "pairs" && answer.choice === "1");
  byId("right-box").classList.toggle("picked", data.mode === "pairs" && answer.choice === "2");
  const left = openPages();
  byId("bar").value = pages.length - left;
  byId("count").textContent = say("done_of", { done: pages.length - left, all: pages.length });
  byId("save").textContent = left ? say("save_open", { left }) : words.save;
  byId("save").classList.toggle("ready", left === 0);
  byId("open").disabled = left === 0 || (left === 1 && !isDone(answer));
  byId("skip").textContent = answer.skip === null ? words.skip : words.undo_skip;
  if (answer.skip !== null) byId("why").hidden = false;
}

const press = (button, on) => button.setAttribute("aria-pressed", String(on));

/* ---- What can be done */

function turn(to) {
  clearTimeout(leading);
  leading = null;
  if (to < 0 || to >= pages.length || to === place) return;
  count();
  place = to;
  byId("why").hidden = true;
  if (byId("task").open && pages.some((page) => isDone(answers[page.id]))) byId("task").open = false;
  show();
  keep();
  window.scrollTo(0, 0);
  byId("page").focus({ preventScroll: true });
}

function nextOpen() {
  for (let step = 1; step <= pages.length; step++) {
    const to = (place + step) % pages.length;
    if (!isDone(answers[pages[to].id])) return turn(to);
  }
}

/** Takes the choice; the first one on a page leads on, a changed mind stays. A second click meanwhile is a slip. */
function choose(value) {
  if (leading !== null) return;
  const answer = answers[pages[place].id];
  const first = !isDone(answer);
  answer.choice = value;
  answer.skip = null;
  byId("why").hidden = true;
  count();
  settle(first);
}

function skip(reason) {
  if (leading !== null) return;
  const answer = answers[pages[place].id];
  const first = !isDone(answer);
  answer.skip = reason;
  answer.choice = null;
  count();
  // Whoever has another reason is about to write it down.
  if (reason === "other") {
    byId("details").open = true;
    byId("comment").focus();
  }
  settle(first && reason !== "other");
}

function settle(first) {
  keep();
  paint();
  tell(openPages() === 0 ? words.all_done : forgetful ? words.no_memory : "");
  if (first && !byId("details").open && openPages() > 0) leading = setTimeout(nextOpen, 250);
}

function toggleSkip() {
  const answer = answers[pages[place].id];
  if (answer.skip === null) {
    byId("why").hidden = !byId("why").hidden;
    return;
  }
  answer.skip = null;
  byId("why").hidden = true;
  keep();
  paint();
}

/** What is signed: all that was answered, in the order of the pages. */
const signed = (found) =>
  JSON.stringify([data.seal, data.form, data.digest, pages.map((page) => {
    const one = found[page.id];
    return [page.id, one.choice, one.skip, one.comment, data.dimensions.map((name) => one.marks[name] ?? null), Math.round(one.seconds * 10)];
  })]);

function save() {
  count();
  const file = {
    format: FORMAT,
    seal: data.seal,
    form: data.form,
    reviewer: data.reviewer,
    shown: data.digest,
    saved: new Date().toISOString(),
    answers: pages.map((page) => ({ id: page.id, ...answers[page.id], seconds: Math.round(answers[page.id].seconds * 10) / 10 })),
    digest: sha256(signed(answers)),
  };
  const name = `review-${data.reviewer}-${data.form}.json`;
  const link = made("a", "", { download: name, href: URL.createObjectURL(new Blob([JSON.stringify(file, null, 1)], { type: "application/json" })) });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  changed = false;
  tell(say("saved", { name }));
}

async function load(file) {
  let found;
  try {
    found = JSON.parse(await file.text());
  } catch {
    return tell(words.unreadable);
  }
  if (found === null || found.format !== FORMAT || !Array.isArray(found.answers)) return tell(words.unreadable);
  if (found.seal !== data.seal || found.form !== data.form) return tell(words.not_mine);
  let n = 0;
  for (const { id, ...answer } of found.answers) {
    if (!(id in answers)) continue;
    answers[id] = { ...blank(), ...answer };
    if (isDone(answers[id])) n++;
  }
  keep();
  show();
  tell(say("loaded", { n }));
}

/* ---- SHA-256 (FIPS 180-4): pages opened from a disk have no other everywhere */

function sha256(text) {
  const bytes = new TextEncoder().encode(text);
  const primes = [];
  for (let n = 2; primes.length < 64; n++) if (primes.every((p) => n % p)) primes.push(n);
  const part = (x) => ((x - Math.floor(x)) * 2 ** 32) | 0;
  const k = primes.map((p) => part(Math.cbrt(p)));
  const h = primes.slice(0, 8).map((p) => part(Math.sqrt(p)));
  const blocks = new DataView(new ArrayBuffer(((bytes.length + 8) >> 6) * 64 + 64));
  bytes.forEach((byte, i) => blocks.setUint8(i, byte));
  blocks.setUint8(bytes.length, 128);
  blocks.setUint32(blocks.byteLength - 8, Math.floor(bytes.length / 2 ** 29));
  blocks.setUint32(blocks.byteLength - 4, bytes.length << 3);
  const turned = (x, n) => (x >>> n) | (x << (32 - n));
  const w = new Int32Array(64);
  for (let at = 0; at < blocks.byteLength; at += 64) {
    for (let i = 0; i < 16; i++) w[i] = blocks.getInt32(at + 4 * i);
    for (let i = 16; i < 64; i++) {
      const [a, b] = [w[i - 15], w[i - 2]];
      w[i] = w[i - 16] + (turned(a, 7) ^ turned(a, 18) ^ (a >>> 3)) + w[i - 7] + (turned(b, 17) ^ turned(b, 19) ^ (b >>> 10));
    }
    let [a, b, c, d, e, f, g, last] = h;
    for (let i = 0; i < 64; i++) {
      const one = (last + (turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)) + ((e & f) ^ (~e & g)) + k[i] + w[i]) | 0;
      const two = ((turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      [a, b, c, d, e, f, g, last] = [(one + two) | 0, a, b, c, (d + one) | 0, e, f, g];
    }
    [a, b, c, d, e, f, g, last].forEach((value, i) => (h[i] = (h[i] + value) | 0));
  }
  return h.map((x) => (x >>> 0).toString(16).padStart(8, "0")).join("");
}

/* ---- The page */

for (const [key, name] of data.choices) {
  const button = made("button", "", { type: "button", value: key });
  button.append(made("kbd", key), words[name]);
  button.addEventListener("click", () => choose(key));
  byId("choices").append(button);
}
for (const name of data.skips) {
  const button = made("button", words[`skip_${name}`], { type: "button", value: name });
  button.addEventListener("click", () => skip(name));
  byId("reasons").append(button);
}
for (const name of data.dimensions) {
  const row = document.createElement("div");
  for (const [value, label] of data.marks) {
    const button = made("button", label ? words[label] : value, { type: "button", name, value, "aria-label": `${words[name]}: ${label ? words[label] : value}` });
    button.addEventListener("click", () => {
      const { marks } = answers[pages[place].id];
      if (marks[name] === value) delete marks[name];
      else marks[name] = value;
      keep();
      paint();
    });
    row.append(button);
  }
  byId("dimensions").append(made("span", words[name]), row);
}
byId("comment").addEventListener("input", (event) => {
  answers[pages[place].id].comment = event.target.value;
  keep();
});
byId("previous").addEventListener("click", () => turn(place - 1));
byId("next").addEventListener("click", () => turn(place + 1));
byId("open").addEventListener("click", nextOpen);
byId("skip").addEventListener("click", toggleSkip);
byId("save").addEventListener("click", save);
byId("load").addEventListener("change", (event) => event.target.files.length && load(event.target.files[0]));
document.addEventListener("visibilitychange", count);
window.addEventListener("pagehide", () => {
  const unsaved = changed;
  count();
  keep();
  changed = unsaved;
});
window.addEventListener("beforeunload", (event) => {
  if (forgetful && changed) event.preventDefault();
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.target.tagName === "TEXTAREA") {
    if (event.key === "Escape") byId("page").focus();
    return;
  }
  const key = event.key.toLowerCase();
  if (data.choices.some(([one]) => one === key)) choose(key);
  else if (key === "arrowright") turn(place + 1);
  else if (key === "arrowleft") turn(place - 1);
  else if (key === "s") toggleSkip();
  else if (key === "c") {
    byId("details").open = true;
    byId("comment").focus();
  } else return;
  event.preventDefault();
});
recall();
if (pages.some((page) => isDone(answers[page.id]))) byId("task").open = false;
show();
count();
tell(forgetful ? words.no_memory : "");
document.body.dataset.ready = "yes";
})();
