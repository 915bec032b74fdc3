// Keys for those who read many cases, and the start of it all.
function step(by) {
  const at = shown.indexOf(open >= 0 ? open : last);
  const next = shown[at < 0 ? (by > 0 ? 0 : shown.length - 1) : at + by];
  if (next !== undefined) show(next, { scroll: true });
}

/** A filter by key: the list may be far away, so it is brought to view. */
function filter(changes) {
  choose(changes);
  byId("cases").scrollIntoView();
}
const judged = () => index.cases.some((line) => line.judged);

const KEYS = {
  j: () => step(1),
  k: () => step(-1),
  "/": () => {
    byId("cases").scrollIntoView();
    byId("f-q").focus({ preventScroll: true });
  },
  a: () => filter({ show: "all" }),
  r: () => filter({ show: "regressed" }),
  i: () => filter({ show: "improved" }),
  f: () => filter({ show: "flipped" }),
  l: () => filter({ show: "red" }),
  m: () => filter({ show: "missed" }),
  p: () => filter({ show: "passed" }),
  s: () => judged() && filter({ show: "all", judge: "swapped" }),
  d: () => judged() && filter({ show: "all", judge: "apart" }),
  t: otherTheme,
  "?": () => byId("help").showModal(),
  Escape: () => (open >= 0 ? close() : document.activeElement.blur()),
};

addEventListener("keydown", (event) => {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
  if (typing) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const action = KEYS[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});

byId("theme").addEventListener("click", otherTheme);
byId("keys").addEventListener("click", () => byId("help").showModal());
for (const button of document.querySelectorAll("button.copy")) {
  button.addEventListener("click", async () => {
    const text = button.previousElementSibling.textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = say("copied");
    } catch {
      getSelection().selectAllChildren(button.previousElementSibling);
    }
  });
}
startList();
