// Small things that the rest of the script stands on. Text from models goes into the page as text nodes only.
const byId = (id) => document.getElementById(id);

/** An element with attributes and children; strings become text. */
function el(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** The reader's language; `{name}` stands for a value. */
let dictionary = {};
function say(english, values) {
  const text = dictionary[english] || english;
  return values ? text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole)) : text;
}

const number = (value) => value.toLocaleString("en-US");
const share = (value) => `${Math.round(value * 1000) / 10}%`;

/** A theme that was chosen here; the system's own until then. */
function remembered(value) {
  try {
    if (value === undefined) return localStorage.getItem("harness-theme");
    localStorage.setItem("harness-theme", value);
  } catch {
    // A page opened from disk may have no storage.
  }
  return null;
}
function setTheme(theme) {
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
}
function otherTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  setTheme(dark ? "light" : "dark");
  remembered(root.dataset.theme);
}
setTheme(remembered());
