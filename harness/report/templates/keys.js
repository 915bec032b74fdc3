// Keys for those who read many cases, and the start of it all.
function step(by) {
  const at = shown.indexOf(open);
  const next = shown[at < 0 ? (by > 0 ? 0 : shown.length - 1) : at + by];
  if (next !== undefined) show(next, { scroll: true });
}

const KEYS = {
  j: () => step(1),
  k: () => step(-1),
  "/": () => byId("f-q").focus(),
  a: () => choose({ show: "all" }),
  r: () => choose({ show: "regressed" }),
  i: () => choose({ show: "improved" }),
  f: () => choose({ show: "flipped" }),
  m: () => choose({ show: "missed" }),
  s: () => choose({ show: "all", judge: "swapped" }),
  d: () => choose({ show: "all", judge: "apart" }),
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
