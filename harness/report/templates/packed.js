// Blocks of the page that are unpacked when they are looked at.
async function unpack(id) {
  const raw = atob(byId(id).textContent.trim());
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(plain).text());
}

let index = { cases: [], places: [], models: {}, words: {} };
const details = new Map();

/** Everything about a case. The few blocks used last are kept. */
async function detailOf(i) {
  const [block, place] = index.places[i];
  if (!details.has(block)) {
    if (details.size > 12) details.delete(details.keys().next().value);
    details.set(block, unpack(`b${block}`));
  }
  return (await details.get(block))[place];
}

const answerTexts = (detail) => Object.values(detail.answers).flat().map((answer) => answer.text || "");

const choiceTexts = (detail) => (detail.choices ? detail.choices.options.map((option) => option.text) : []);

const reasonsOf = (detail) => detail.opinions.flatMap((one) => [one.first, one.second]).filter(Boolean).map((o) => o.reason);

/** What the search looks through: first the lines, then, once all blocks are unpacked, every prompt and answer. */
const haystack = { lines: [], whole: null, done: 0, loading: null };

function loadHaystack(onProgress) {
  haystack.loading ||= (async () => {
    const whole = new Array(index.cases.length).fill("");
    const blocks = index.places.length ? index.places[index.places.length - 1][0] + 1 : 0;
    let i = 0;
    for (let block = 0; block < blocks; block++) {
      for (const detail of await unpack(`b${block}`)) {
        whole[i++] = [detail.prompt, detail.target, ...answerTexts(detail), ...choiceTexts(detail), ...detail.checks.map((c) => c.explanation), ...reasonsOf(detail)]
          .join("\n").toLowerCase();
      }
      haystack.done = (block + 1) / blocks;
      onProgress();
    }
    haystack.whole = whole;
    onProgress();
  })();
  return haystack.loading;
}
