// The list of cases: filters, order, deep links. The address always says what is shown.
const PAGE = 50;
const GROUPS = {
  all: () => true,
  regressed: (line) => line.fate === "regressed" || line.fate === "lost" || (line.fate === "broken" && line.baseline > line.candidate),
  improved: (line) => line.fate === "improved" || line.fate === "won",
  flipped: (line) => line.baseline !== null && line.baseline !== line.candidate,
  red: (line) => line.red_line,
  missed: (line) => line.candidate !== null && line.candidate < 1,
  passed: (line) => line.candidate !== null && line.candidate >= 1,
};
const JUDGED = {
  candidate: ["candidate preferred", (line) => line.judged === "candidate"],
  baseline: ["baseline preferred", (line) => line.judged === "baseline"],
  tie: ["tie", (line) => line.judged === "tie"],
  swapped: ["flipped under swap", (line) => line.swapped],
  apart: ["judge and checks disagree", (line) => line.apart],
  unread: ["unread", (line) => line.judged === "unread"],
};
const ORDERS = {
  worst: null,
  id: (a, b) => a.case.localeCompare(b.case),
  set: (a, b) => a.set.localeCompare(b.set) || a.case.localeCompare(b.case),
  longer: (a, b) => (b.longer ?? -Infinity) - (a.longer ?? -Infinity),
  shorter: (a, b) => (a.longer ?? Infinity) - (b.longer ?? Infinity),
};
const MARKS = {
  broken: "⚑", regressed: "▼", lost: "▼", missed: "✗", improved: "▲", won: "▲", unread: "?", held: "✓", tied: "=", passed: "✓",
};
const EMPTY = { show: "all", set: "", tag: "", test: "", suite: "", alarm: "", judge: "", q: "", sort: "worst", case: "" };

let state = { ...EMPTY };
let shown = [];
let drawn = 0;
let open = -1;
// The case that was open last: keys go on from it.
let last = -1;

const fateOf = (line) => say({ regressed: "got worse", improved: "got better" }[line.fate] || line.fate);
const nameOf = (line) => `${line.set}/${line.case}`;

function readAddress() {
  const [place, query] = location.hash.slice(1).split("?");
  if (place !== "cases" || query === undefined) return null;
  const given = Object.fromEntries(new URLSearchParams(query));
  const known = Object.fromEntries(Object.entries(given).filter(([key]) => key in EMPTY));
  if (known.show && !(known.show in GROUPS)) delete known.show;
  if (known.sort && !(known.sort in ORDERS)) delete known.sort;
  if (known.judge && !(known.judge in JUDGED)) delete known.judge;
  for (const key of ["set", "tag", "test", "suite", "alarm"]) {
    // A link to what no case has would find nothing.
    if (known[key] && ![...byId(`f-${key}`).options].some((option) => option.value === known[key])) delete known[key];
  }
  return { ...EMPTY, ...known };
}

function writeAddress() {
  const query = new URLSearchParams(Object.entries(state).filter(([key, value]) => value && value !== EMPTY[key]));
  const hash = `#cases?${query}`;
  if (location.hash !== hash) history.replaceState(null, "", hash);
}

const has = (line, i, q) =>
  !q || haystack.lines[i].includes(q) || (haystack.whole !== null && haystack.whole[i].includes(q));

function matches(line, i, q) {
  if (!GROUPS[state.show](line)) return false;
  if (state.set && line.set !== state.set) return false;
  if (state.tag && !line.tags.includes(state.tag)) return false;
  if (state.test && !line.tests.includes(state.test)) return false;
  if (state.suite && !line.suites.includes(state.suite)) return false;
  if (state.alarm && !line.alarms.includes(state.alarm)) return false;
  if (state.judge && !JUDGED[state.judge][1](line)) return false;
  return has(line, i, q);
}

/** Show what the state says; without `quiet`, the address follows. */
function update(quiet) {
  const q = state.q.trim().toLowerCase();
  shown = [];
  let anywhere = 0;
  index.cases.forEach((line, i) => {
    if (matches(line, i, q)) shown.push(i);
    else if (q && has(line, i, q)) anywhere += 1;
  });
  byId("outside").hidden = anywhere === 0;
  byId("outside").textContent = say("With this text outside the filter: {n}. Show them", { n: number(anywhere) });
  const order = ORDERS[state.sort];
  if (order) shown.sort((a, b) => order(index.cases[a], index.cases[b]) || a - b);
  drawn = 0;
  open = -1;
  byId("list").replaceChildren();
  drawMore();
  countShown();
  for (const button of document.querySelectorAll("#groups button")) {
    button.setAttribute("aria-pressed", String(button.value === state.show));
  }
  for (const key of ["set", "tag", "test", "suite", "alarm", "judge", "sort", "q"]) {
    const field = byId(`f-${key}`);
    if (field && field.value !== state[key]) field.value = state[key];
  }
  byId("clear").hidden = Object.keys(EMPTY).every((key) => key === "case" || key === "sort" || state[key] === EMPTY[key]);
  if (!quiet) writeAddress();
  byId("cases").dataset.ready = "yes";
  if (q) loadHaystack(searchOn);
}

/** More of the answers can be searched now; what is open stays open. */
function searchOn() {
  if (haystack.whole === null || !state.q) return countShown();
  const kept = open;
  update(true);
  if (kept >= 0) show(kept);
}

function countShown() {
  const group = document.querySelector(`#groups [value=${state.show}]`).firstChild.textContent.trim();
  const filters = [state.show === "all" ? "" : group, state.set, state.tag, state.test, state.suite, state.alarm,
    state.judge && say(JUDGED[state.judge][0]), state.q && `“${state.q}”`].filter(Boolean);
  const told = [say("{k} of {n} cases", { k: number(shown.length), n: number(index.cases.length) }), ...filters].join(" · ");
  const searching = state.q && haystack.whole === null && haystack.loading !== null;
  const percent = Math.round(100 * haystack.done);
  byId("count").textContent = searching ? `${told} · ${say("searching the answers, {percent}%", { percent })}` : told;
  byId("nothing").hidden = shown.length > 0;
}

function row(i) {
  const line = index.cases[i];
  const button = el("button", { type: "button", class: "row", "aria-expanded": "false" },
    el("span", { class: `fate ${line.fate}`, title: fateOf(line), "aria-label": fateOf(line) }, MARKS[line.fate]),
    el("span", { class: "id" }, el("bdi", {}, line.case), el("small", {}, el("bdi", {}, line.set))),
    el("span", { class: "gist" }, el("bdi", {}, line.gist || line.asked)));
  for (const [key, word] of [["cut_off", "cut off"], ["unstable", "unstable"], ["waived", "waived"],
    ["swapped", "flipped under swap"], ["apart", "judge and checks disagree"]]) {
    if (line[key]) button.children[1].append(el("span", { class: "mark" }, say(word)));
  }
  if (line.red_line) button.children[1].append(redMark(line.fate === "broken", line.unstable));
  for (const alarm of line.alarms) button.children[1].append(el("span", { class: "mark" }, alarm));
  const item = el("li", { "data-case": String(i) }, button);
  button.addEventListener("click", () => (open === i ? close() : show(i)));
  return item;
}

function drawMore() {
  const list = byId("list");
  const next = shown.slice(drawn, drawn + PAGE);
  list.append(...next.map(row));
  drawn += next.length;
  byId("more").hidden = drawn >= shown.length;
  byId("more").textContent = say("show {n} more of {rest}", {
    n: number(Math.min(PAGE, shown.length - drawn)), rest: number(shown.length - drawn) });
}

const itemOf = (i) => byId("list").querySelector(`[data-case="${i}"]`);

function close() {
  const item = open >= 0 ? itemOf(open) : null;
  if (item) {
    item.querySelector(".body")?.remove();
    item.firstChild.setAttribute("aria-expanded", "false");
    item.classList.remove("open");
  }
  open = -1;
  state.case = "";
  writeAddress();
}

/** Open a case of the list; one is open at a time. */
async function show(i, { scroll = false } = {}) {
  while (!itemOf(i) && drawn < shown.length) drawMore();
  const item = itemOf(i);
  if (!item) return;
  if (open >= 0) close();
  open = last = i;
  state.case = nameOf(index.cases[i]);
  writeAddress();
  item.classList.add("open");
  item.firstChild.setAttribute("aria-expanded", "true");
  item.firstChild.focus({ preventScroll: true });
  const detail = await detailOf(i);
  if (open !== i) return;
  item.append(drawDetail(index.cases[i], detail));
  if (scroll) item.scrollIntoView({ block: "start" });
}

/** Change filters; the open case closes. */
function choose(changes) {
  state = { ...state, case: "", ...changes };
  update();
}

function followAddress() {
  const wanted = readAddress();
  if (!wanted) return;
  state = wanted;
  update(true);
  const at = state.case ? index.cases.findIndex((line) => nameOf(line) === state.case) : -1;
  if (at >= 0 && !shown.includes(at)) {
    // A link to a case that the filters hide would lead nowhere.
    state = { ...EMPTY, case: state.case };
    update(true);
  }
  if (at >= 0) show(at, { scroll: true });
  else byId("cases").scrollIntoView();
}

/** Fill a menu with the values that occur, the most frequent first. */
function menu(id, values, all, least = 2) {
  const counts = new Map();
  for (const value of values) counts.set(value, (counts.get(value) || 0) + 1);
  const found = [...counts].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
  const field = byId(id);
  field.append(el("option", { value: "" }, all));
  for (const [value, n] of found) field.append(el("option", { value }, `${value} (${number(n)})`));
  field.closest("label").hidden = found.length < least;
  field.addEventListener("change", () => choose({ [id.slice(2)]: field.value }));
}

/** The judge's menu: what it said, and whether it holds. */
function judgeMenu() {
  const field = byId("f-judge");
  field.append(el("option", { value: "" }, say("any verdict")));
  for (const [value, [word, has]] of Object.entries(JUDGED)) {
    const n = index.cases.filter(has).length;
    if (n) field.append(el("option", { value }, `${say(word)} (${number(n)})`));
  }
  field.closest("label").hidden = !index.cases.some((line) => line.judged);
  field.addEventListener("change", () => choose({ judge: field.value }));
}

async function startList() {
  index = await unpack("index");
  dictionary = index.words;
  haystack.lines = index.cases.map((line) =>
    [line.case, line.set, line.asked, line.gist, ...line.tags, ...line.tests].join("\n").toLowerCase());
  menu("f-set", index.cases.map((line) => line.set), say("all sets"));
  menu("f-tag", index.cases.flatMap((line) => line.tags), say("all tags"));
  menu("f-test", index.cases.flatMap((line) => line.tests), say("any failed check"));
  menu("f-suite", index.cases.flatMap((line) => line.suites), say("all suites"));
  menu("f-alarm", index.cases.flatMap((line) => line.alarms), say("any alarm"), 1);
  judgeMenu();
  for (const button of document.querySelectorAll("#groups button")) {
    const n = index.cases.filter(GROUPS[button.value]).length;
    button.append(" ", el("span", { class: "count" }, number(n)));
    button.hidden = n === 0 && button.value !== "all";
    button.addEventListener("click", () => choose({ show: button.value }));
  }
  byId("f-sort").addEventListener("change", () => choose({ sort: byId("f-sort").value }));
  byId("f-q").addEventListener("input", () => choose({ q: byId("f-q").value }));
  byId("clear").addEventListener("click", () => choose({ ...EMPTY, sort: state.sort }));
  byId("more").addEventListener("click", drawMore);
  byId("outside").addEventListener("click", () => choose({ ...EMPTY, q: state.q, sort: state.sort }));
  new IntersectionObserver((seen) => { byId("top").hidden = seen.some((one) => one.isIntersecting); }).observe(byId("why"));
  addEventListener("hashchange", followAddress);
  state = readAddress() || { ...EMPTY, show: index.cases.some(GROUPS.regressed) ? "regressed" : "all" };
  update(true);
  followAddress();
}
