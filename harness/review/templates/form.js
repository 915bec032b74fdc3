(() => {
"use strict";
const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("data").textContent);
const { pages, words } = data;
const memory = `harness-review:${data.seal}:${data.form}`;
const FORMAT = "harness-review/1";
/** Keys of the reasons to skip, one beside the other and none of the other keys. */
const REASONS = "qwert";

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
let begun = false;
let reading = true;

/** Why a page is skipped; "something else" is no reason before it is said. */
const reason = (answer) => (answer.skip === "other" && answer.comment.trim() === "" ? null : answer.skip);
const isDone = (answer) => answer.choice !== null || reason(answer) !== null;
const openPages = () => pages.filter((page) => !isDone(answers[page.id])).length;

function recall() {
  try {
    const kept = localStorage.getItem(memory);
    if (kept === null) return;
    const found = JSON.parse(kept);
    if (found.digest !== data.digest) return;
    for (const { id } of pages) if (found.answers[id]) answers[id] = tidy(found.answers[id]);
    begun = found.begun === true || pages.some((page) => isDone(answers[page.id]));
    place = Math.min(Math.max(0, found.place | 0), pages.length - 1);
  } catch {
    forgetful = true;
  }
}

/** An answer of a file or of this browser, as far as this form knows such answers. */
function tidy(told) {
  const known = (value, values) => (values.includes(value) ? value : null);
  const marks = Object.entries(told.marks ?? {}).filter(([name, value]) => data.dimensions.includes(name) && data.marks.some(([mark]) => mark === value));
  return {
    choice: known(told.choice, data.choices.map(([key]) => key)),
    skip: known(told.skip, data.skips),
    comment: typeof told.comment === "string" ? told.comment : "",
    marks: Object.fromEntries(marks),
    seconds: Number.isFinite(told.seconds) ? told.seconds : 0,
  };
}

function keep(alters = true) {
  changed ||= alters;
  try {
    localStorage.setItem(memory, JSON.stringify({ digest: data.digest, place, begun, answers }));
  } catch {
    forgetful = true;
  }
}

/** Seconds count while the page is looked at; a page left open over lunch counts two minutes at most. */
function count() {
  if (since !== null) answers[pages[place].id].seconds += Math.min(120, (performance.now() - since) / 1000);
  since = document.visibilityState === "visible" && !reading ? performance.now() : null;
}

/* ---- What is seen */

/** A notice in the header, which is always in sight, with what can be done about it. It goes when the page turns. */
function tell(text, label = "", action = null) {
  byId("told-text").textContent = text;
  byId("told").hidden = text === "";
  byId("told-do").textContent = label;
  byId("told-do").hidden = label === "";
  byId("told-do").onclick = action;
}

const tellNothing = () => tell(forgetful ? words.no_memory : "");

function fill(id, text) {
  byId(id).textContent = text === "" ? words.empty : text;
  byId(id).classList.toggle("none", text === "");
}

/** One answer; where it was cut off, or something in it hidden, that is said below it. A training row is as it is. */
function fillAnswer(side, text) {
  const ours = data.mode !== "rows";
  fill(side, text);
  byId(`${side}-cut`).hidden = !(ours && text.endsWith(data.cut));
  byId(`${side}-hidden`).hidden = !(ours && text.includes(data.hidden));
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
  byId("details").open = answer.comment !== "" || answer.skip === "other" || Object.keys(answer.marks).length > 0;
  byId("why").hidden = answer.skip === null;
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
  byId("left-box").classList.toggle("picked", data.mode === "pairs" && "01".includes(answer.choice ?? "-"));
  byId("right-box").classList.toggle("picked", data.mode === "pairs" && "02".includes(answer.choice ?? "-"));
  const left = openPages();
  byId("bar").value = pages.length - left;
  byId("count").textContent = say("done_of", { done: pages.length - left, all: pages.length });
  byId("save").textContent = left ? say("save_open", { left }) : words.save;
  byId("save").classList.toggle("ready", left === 0);
  byId("open").disabled = left === 0 || (left === 1 && !isDone(answer));
  byId("open").classList.toggle("ready", left > 0 && isDone(answer));
  byId("skip").textContent = answer.skip === null ? words.skip : words.undo_skip;
  byId("comment").placeholder = answer.skip === "other" ? words.say_why : "";
}

const press = (button, on) => button.setAttribute("aria-pressed", String(on));

/* ---- What can be done */

/** The instructions instead of the page, or the page again; nobody is timed while reading them. */
function read(on) {
  clearTimeout(leading);
  leading = null;
  count();
  reading = on;
  since = null;
  for (const [id, hidden] of [["task", !on], ["page", on], ["turning", on]]) byId(id).hidden = hidden;
  byId("begin").textContent = begun ? words.go_on : words.begin;
  window.scrollTo(0, 0);
  if (on) return;
  count();
  byId("page").focus({ preventScroll: true });
}

function begin() {
  begun = true;
  keep(false);
  tellNothing();
  show();
  read(false);
}

function turn(to) {
  clearTimeout(leading);
  leading = null;
  if (to < 0 || to >= pages.length || to === place) return;
  count();
  place = to;
  show();
  keep(false);
  tellNothing();
  window.scrollTo(0, 0);
  byId("page").focus({ preventScroll: true });
}

function nextOpen() {
  for (let step = 1; step <= pages.length; step++) {
    const to = (place + step) % pages.length;
    if (!isDone(answers[pages[to].id])) return turn(to);
  }
}

/** Takes the choice. A second click before the page has turned is a slip. */
function choose(value) {
  if (leading !== null) return;
  const answer = answers[pages[place].id];
  answer.choice = value;
  answer.skip = null;
  byId("why").hidden = true;
  settle();
}

function skip(why) {
  if (leading !== null) return;
  const answer = answers[pages[place].id];
  answer.skip = why;
  answer.choice = null;
  if (why === "other") {
    byId("details").open = true;
    byId("comment").focus();
  }
  settle();
}

/** Every choice leads to the next unanswered page, but for whoever is at marks and comment: they turn it themselves. */
function settle() {
  count();
  keep();
  paint();
  if (!isDone(answers[pages[place].id])) return tell(words.say_why);
  if (openPages() === 0) return tell(words.all_done);
  tellNothing();
  if (!byId("details").open) leading = setTimeout(nextOpen, 250);
}

/** The next page at once, where it is on its way: S and C that are pressed meanwhile are meant for it. */
function arrive() {
  if (leading !== null) nextOpen();
}

function toggleSkip() {
  const answer = answers[pages[place].id];
  if (answer.skip === null) {
    byId("why").hidden = !byId("why").hidden;
    byId("why").scrollIntoView({ block: "nearest" });
    return;
  }
  answer.skip = null;
  byId("why").hidden = true;
  keep();
  paint();
  tellNothing();
}

/** What is signed: all that was answered, in the order of the pages. */
const signed = (found) =>
  JSON.stringify([data.seal, data.form, data.digest, pages.map((page) => {
    const one = found[page.id];
    return [page.id, one.choice, reason(one), one.comment, data.dimensions.map((name) => one.marks[name] ?? null), Math.round(one.seconds * 10)];
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
    answers: pages.map(({ id }) => ({ id, ...answers[id], skip: reason(answers[id]), seconds: Math.round(answers[id].seconds * 10) / 10 })),
    digest: sha256(signed(answers)),
  };
  const name = `review-${data.reviewer}-${data.form}.json`;
  const link = made("a", "", { download: name, href: URL.createObjectURL(new Blob([JSON.stringify(file, null, 1)], { type: "application/json" })) });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  changed = false;
  const left = openPages();
  tell(say(left ? "saved_open" : "saved", { name, left }));
}

const content = ({ choice, skip, comment, marks }) => JSON.stringify([choice, skip, comment, data.dimensions.map((name) => marks[name])]);

/** Adds what is unanswered here. Where this page and the file differ, this page stands, and whoever reads it may decide
    otherwise: an older file must not wipe out what came after it. */
async function load(file) {
  let found;
  try {
    found = JSON.parse(await file.text());
  } catch {
    return tell(words.unreadable);
  }
  if (found === null || found.format !== FORMAT || !Array.isArray(found.answers)) return tell(words.unreadable);
  if (found.seal !== data.seal || found.form !== data.form) return tell(words.not_mine);
  count();
  const theirs = {};
  let added = 0;
  for (const told of found.answers) {
    if (!told || !Object.hasOwn(answers, told.id)) continue;
    const [mine, other] = [answers[told.id], tidy(told)];
    if (content(other) === content(blank()) || content(other) === content(mine)) continue;
    if (isDone(mine)) {
      theirs[told.id] = other;
      continue;
    }
    answers[told.id] = {
      ...other,
      comment: mine.comment.includes(other.comment) ? mine.comment : [mine.comment, other.comment].filter(Boolean).join("\n"),
      marks: { ...other.marks, ...mine.marks },
      seconds: Math.max(mine.seconds, other.seconds),
    };
    if (isDone(answers[told.id])) added++;
  }
  const kept = Object.keys(theirs).length;
  if (isDone(answers[pages[place].id]) && openPages() > 0) place = pages.findIndex((page) => !isDone(answers[page.id]));
  keep();
  show();
  const told = [added ? say("loaded", { n: added }) : "", kept ? say("kept", { n: kept }) : ""].filter(Boolean).join(" ");
  tell(told || words.loaded_none, kept ? words.take_theirs : "", () => replace(theirs));
}

/** Puts the file's answers in the place of those here, which can be had back. */
function replace(theirs) {
  const before = Object.fromEntries(Object.keys(theirs).map((id) => [id, answers[id]]));
  const put = (others) => {
    Object.assign(answers, others);
    keep();
    show();
  };
  put(theirs);
  tell(say("taken", { n: Object.keys(theirs).length }), words.undo, () => {
    put(before);
    tell(words.undone);
  });
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
for (const [i, name] of data.skips.entries()) {
  const button = made("button", "", { type: "button", value: name });
  button.append(made("kbd", REASONS[i].toUpperCase()), words[`skip_${name}`]);
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
  const label = made("span", words[name]);
  label.append(made("small", words[`${name}_is`]));
  byId("dimensions").append(label, row);
}
byId("comment").addEventListener("input", (event) => {
  const answer = answers[pages[place].id];
  answer.comment = event.target.value;
  keep();
  paint();
  if (answer.skip === "other") tell(!isDone(answer) ? words.say_why : openPages() === 0 ? words.all_done : "");
});
byId("previous").addEventListener("click", () => turn(place - 1));
byId("next").addEventListener("click", () => turn(place + 1));
byId("open").addEventListener("click", nextOpen);
byId("skip").addEventListener("click", toggleSkip);
byId("begin").addEventListener("click", begin);
byId("instructions").addEventListener("click", () => read(true));
byId("save").addEventListener("click", save);
byId("load").addEventListener("change", async (event) => {
  if (event.target.files.length) await load(event.target.files[0]);
  // The same file may be chosen again.
  event.target.value = "";
});
// A button that was clicked is done with: no ring around it when a key is pressed next.
document.addEventListener("click", (event) => event.detail > 0 && event.target.closest("button")?.blur());
document.addEventListener("visibilitychange", count);
window.addEventListener("pagehide", () => {
  count();
  keep(false);
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
  if (reading) {
    if (event.key === "Escape" && begun) begin();
    return;
  }
  const key = event.key.toLowerCase();
  const answer = answers[pages[place].id];
  if (data.choices.some(([one]) => one === key)) choose(key);
  else if (key === "arrowright") turn(place + 1);
  else if (key === "arrowleft") turn(place - 1);
  else if (key === "s") {
    arrive();
    toggleSkip();
  }
  else if (!byId("why").hidden && key.length === 1 && REASONS.includes(key)) skip(data.skips[REASONS.indexOf(key)]);
  else if (!byId("why").hidden && key === "escape" && answer.skip === null) byId("why").hidden = true;
  else if (key === "c") {
    arrive();
    byId("details").open = true;
    byId("comment").focus();
  } else return;
  event.preventDefault();
});
recall();
show();
read(!begun);
tellNothing();
document.body.dataset.ready = "yes";
})();
