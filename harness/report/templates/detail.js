// One case, opened: what was asked and expected, the answers side by side, and what the checks found.
const SHOWN = 6000;

/** A text as it was written, shortened until the reader wants it whole. */
function textBox(text, parts) {
  const box = el("div", { class: "said", dir: "auto" });
  if (!text) {
    box.classList.add("none");
    box.append(text === "" ? say("Empty answer.") : say("No text in this record."));
    return box;
  }
  const fill = (whole) => {
    box.replaceChildren();
    if (parts && (whole || text.length <= SHOWN)) {
      for (const [piece, changed] of parts) box.append(changed ? el("mark", {}, piece) : piece);
    } else box.append(whole ? text : text.slice(0, SHOWN));
    if (!whole && text.length > SHOWN) {
      const more = el("button", { type: "button", class: "link" },
        say("… show all {n} characters", { n: number(text.length) }));
      more.addEventListener("click", () => fill(true));
      box.append(more);
    }
  };
  fill(false);
  return box;
}

function outcome(score, samples) {
  if (score === null) return ["", ""];
  if (score >= 1) return ["ok", samples > 1 ? say("{k} of {n} samples pass", { k: samples, n: samples }) : say("passed")];
  const passed = score * samples;
  const whole = samples > 1 && Math.abs(passed - Math.round(passed)) < 1e-6;
  if (whole) return ["miss", say("{k} of {n} samples pass", { k: Math.round(passed), n: samples })];
  return ["miss", score > 0 ? say("scores {share}", { share: share(score) }) : say("missed")];
}

/** Tokens, and how the answer ended. */
function answerFacts(answer) {
  const facts = [];
  if (answer.written) facts.push(say("{read} tokens read, {written} written", answer));
  if (answer.seconds) facts.push(say("{seconds} s", { seconds: answer.seconds.toPrecision(2) }));
  if (answer.text !== null) facts.push(say("{n} characters", { n: number(answer.text.length) }));
  const line = el("p", { class: "facts" }, facts.join(" · "));
  if (answer.cut_off) line.append(" ", el("span", { class: "mark" }, say("cut off at max_tokens")));
  return line;
}

function column(role, line, answers, at, parts, sent) {
  const [tone, word] = outcome(line[role], line.samples);
  const head = el("h4", {}, el("span", { class: "role" }, say(role)), " ", el("bdi", {}, index.models[role] || ""), " ",
    el("span", { class: "outcome" }, word));
  const answer = answers[Math.min(at, answers.length - 1)];
  const prompt = sent ? el("details", { class: "more" }, el("summary", {}, say("What was sent")), textBox(sent)) : null;
  return el("section", { class: `${role} ${tone}` }, head, textBox(answer.text, parts), answerFacts(answer), prompt);
}

function answersOf(line, detail) {
  const roles = ["baseline", "candidate"].filter((role) => detail.answers[role]);
  if (!detail.answers.baseline && detail.answers.root) roles.unshift("root");
  const box = el("div", {});
  if (!roles.length) return box;
  const samples = Math.max(...roles.map((role) => detail.answers[role].length));
  const draw = (at) => {
    const texts = roles.map((role) => detail.answers[role][Math.min(at, detail.answers[role].length - 1)].text);
    const both = roles.length === 2 && texts[0] && texts[1] && texts[0] !== texts[1];
    const sides = both ? wordDiff(texts[0], texts[1]) : null;
    const pair = el("div", { class: "pair answers" },
      ...roles.map((role, i) => column(role, line, detail.answers[role], at, sides && sides[i], detail.sent[role])));
    const notes = [];
    if (roles.length === 2 && texts[0] === texts[1]) notes.push(say("Both gave the very same answer."));
    if (both && !sides) notes.push(say("Hardly a word is the same in both, so none is marked."));
    if (both && sides) notes.push(say("Words that differ are marked."));
    box.replaceChildren(pair, el("p", { class: "facts" }, notes.join(" ")));
    if (samples > 1) {
      const chosen = el("p", { class: "samples" }, say("sample"));
      for (let i = 0; i < samples; i++) {
        const button = el("button", { type: "button", "aria-pressed": String(i === at) }, String(i + 1));
        button.addEventListener("click", () => draw(i));
        chosen.append(" ", button);
      }
      box.prepend(chosen);
    }
  };
  draw(0);
  if (roles[0] === "baseline" && detail.answers.root && line.root !== null) {
    const root = el("details", { class: "more" }, el("summary", {}, say("what the root base says")));
    root.append(column("root", line, detail.answers.root, 0, null));
    box.append(root);
  }
  return box;
}

/** What each model took of several choices, and how likely it found them. */
function choicesOf(line, found) {
  const box = el("div", {});
  const roles = ["baseline", "candidate"].filter((role) => role in found.taken);
  if (roles.length === 1 && "root" in found.taken) roles.unshift("root");
  const took = (role) => {
    const [tone, word] = outcome(line[role], 1);
    const text = found.taken[role];
    const said = text !== null ? textBox(text) : el("div", { class: "said none" }, line[role] >= 1
      ? say("The right choice, which this record does not name.") : say("A wrong choice, which this record does not name."));
    return el("section", { class: `${role} ${tone}` },
      el("h4", {}, el("span", { class: "role" }, say(role)), " ", el("bdi", {}, index.models[role] || ""), " ",
        el("span", { class: "outcome" }, word)), said);
  };
  box.append(el("div", { class: "pair answers" }, ...roles.map(took)));
  if (found.options.length) {
    const known = roles.filter((role) => found.options.some((option) => role in option.scores));
    const table = el("table", { class: "checks choices" });
    table.append(el("thead", {}, el("tr", {}, el("th", { scope: "col" }, say("choice")),
      ...known.map((role) => el("th", { scope: "col", class: "n" }, say(role))))));
    table.append(el("tbody", {}, ...found.options.map((option) => {
      const name = el("th", { scope: "row" }, el("bdi", {}, option.text));
      if (option.right) name.append(" ", el("span", { class: "mark good" }, say("right")));
      return el("tr", {}, name, ...known.map((role) => {
        const score = option.scores[role];
        const mine = option.takers.includes(role);
        return el("td", { class: `n ${mine ? (option.right ? "ok" : "miss") : ""}` }, score === undefined ? "–" : score.toFixed(2).replace("-", "−"),
          mine ? el("small", {}, say("taken")) : null);
      }));
    })));
    box.append(table, el("p", { class: "facts" }, say("How likely each choice was: log-likelihoods, the nearer to 0 the likelier. The likeliest is taken.")));
  }
  if (!found.whole) box.append(el("p", { class: "facts" }, say("This record keeps of the choices only what the check names; new runs keep all, with both models' likelihoods.")));
  return box;
}

function checksOf(line, detail) {
  const table = el("table", { class: "checks" });
  const score = (value) => el("td", { class: `n ${value === null ? "" : value >= 1 ? "ok" : "miss"}` },
    value === null ? "–" : line.samples > 1 ? share(value) : value >= 1 ? "✓" : value > 0 ? share(value) : "✗");
  const head = ["check", "candidate", "baseline", "what it found"].map((name, i) =>
    el("th", { scope: "col", class: i === 1 || i === 2 ? "n" : "" }, say(name)));
  table.append(el("thead", {}, el("tr", {}, ...head)));
  const body = el("tbody", {});
  for (const check of detail.checks) {
    const name = el("th", { scope: "row" }, el("code", { dir: "auto" }, check.test));
    if (check.red_line) name.append(" ", redMark(check.candidate < 1 && !check.unstable, check.unstable));
    if (check.unstable) name.append(" ", el("span", { class: "mark" }, say("unstable")));
    body.append(el("tr", {}, name, score(check.candidate), score(check.baseline),
      el("td", {}, el("bdi", { class: "why" }, check.explanation))));
  }
  for (const alarm of line.alarms) {
    body.append(el("tr", {}, el("th", { scope: "row" }, el("code", {}, alarm), " ", el("span", { class: "mark" }, say("alarm"))),
      score(0), score(1), el("td", {}, alarm === "bleed" ? say("answers in the task's format though nobody asked for it") : "")));
  }
  table.append(body);
  return table;
}

/** A red line is one check of a case: it may hold where the case is missed. */
function redNote(line) {
  if (line.fate === "broken") return say("A red line is broken: none may be.");
  if (line.unstable) return say("The red line was kept in some samples only: unstable, and not counted as broken.");
  return line.candidate < 1 ? say("The red line holds, though another check is missed: a red line is one check, not the whole case.")
    : say("The red line holds.");
}

function redMark(broken, unstable) {
  return broken ? el("span", { class: "mark red" }, say("red line broken"))
    : unstable ? el("span", { class: "mark" }, say("red line")) : el("span", { class: "mark good" }, say("red line held"));
}

function drawDetail(line, detail) {
  const body = el("div", { class: "body" });
  const asked = el("div", { class: "pair" });
  if (detail.prompt !== null) asked.append(el("section", {}, el("h4", {}, say("Asked")), textBox(detail.prompt)));
  if (detail.target !== null) asked.append(el("section", {}, el("h4", {}, say("Expected")), textBox(detail.target)));
  if (asked.childElementCount) body.append(asked);
  body.append(detail.choices ? choicesOf(line, detail.choices) : answersOf(line, detail));
  if (detail.checks.length) body.append(checksOf(line, detail));
  if (line.red_line) body.append(el("p", { class: "facts" }, redNote(line)));
  for (const opinion of detail.opinions) body.append(opinionOf(opinion));
  const where = el("p", { class: "where" }, el("bdi", {}, line.where));
  for (const tag of line.tags) {
    const button = el("button", { type: "button", class: "link tag" }, tag);
    button.addEventListener("click", () => choose({ tag }));
    where.append(" · ", button);
  }
  body.append(where);
  return body;
}
