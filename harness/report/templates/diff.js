// Which words two answers share: Myers' shortest edit script over words, and over characters where a script has none.
const WORD = /\s+|[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]|[\p{L}\p{N}\p{M}_]+|[^\s]/gu;
const MOST_EDITS = 1200;
const MOST_WORDS = 20000;

/** [before, after] as lists of [text, changed]; null where the two are too long or too unlike to be marked. */
function wordDiff(before, after) {
  const a = before.match(WORD) || [];
  const b = after.match(WORD) || [];
  if (!a.length || !b.length || a.length + b.length > MOST_WORDS) return null;
  const script = edits(a, b);
  if (!script) return null;
  const shared = script.filter((step) => step === 0).length;
  // Two texts that share spaces and commas only are better read without marks.
  if (shared < 0.25 * Math.min(a.length, b.length)) return null;
  const sides = [[], []];
  const push = (side, text, changed) => {
    const last = side[side.length - 1];
    if (last && last[1] === changed) last[0] += text;
    else side.push([text, changed]);
  };
  let i = 0;
  let j = 0;
  for (const step of script) {
    if (step === 0) {
      push(sides[0], a[i++], false);
      push(sides[1], b[j++], false);
    } else if (step < 0) push(sides[0], a[i++], true);
    else push(sides[1], b[j++], true);
  }
  return sides;
}

/** Steps from a to b: 0 keeps a word, -1 drops one of a, 1 takes one of b. */
function edits(a, b) {
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < Math.min(a.length, b.length) - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++;
  const n = a.length - head - tail;
  const m = b.length - head - tail;
  const most = Math.min(n + m, MOST_EDITS);
  const furthest = new Int32Array(2 * most + 3);
  const trace = [];
  for (let d = 0; d <= most; d++) {
    trace.push(furthest.slice(most - d, most + d + 3));
    for (let k = -d; k <= d; k += 2) {
      const at = most + 1 + k;
      const down = k === -d || (k !== d && furthest[at - 1] < furthest[at + 1]);
      let x = down ? furthest[at + 1] : furthest[at - 1] + 1;
      while (x < n && x - k < m && a[head + x] === b[head + x - k]) x++;
      furthest[at] = x;
      if (x >= n && x - k >= m) {
        return [...new Array(head).fill(0), ...walkBack(trace, n, m, d), ...new Array(tail).fill(0)];
      }
    }
  }
  return null;
}

function walkBack(trace, n, m, depth) {
  const steps = [];
  let x = n;
  let y = m;
  for (let d = depth; d > 0; d--) {
    const seen = trace[d];
    const at = (k) => seen[k + d + 1];
    const k = x - y;
    const down = k === -d || (k !== d && at(k - 1) < at(k + 1));
    const from = down ? k + 1 : k - 1;
    const fromX = at(from);
    const fromY = fromX - from;
    while (x > fromX && y > fromY) {
      steps.push(0);
      x--;
      y--;
    }
    steps.push(down ? 1 : -1);
    x = fromX;
    y = fromY;
  }
  while (x-- > 0) steps.push(0);
  return steps.reverse();
}
