// What a judge said of the two answers, in both orders.
const PREFERS = {
  candidate: () => say("prefers the candidate"),
  baseline: () => say("prefers the baseline"),
  tie: () => say("sees a tie"),
  unread: () => say("could not be read"),
};

function orderRow(told, order) {
  const verdict = el("td", { class: `verdict ${order.preferred}` }, PREFERS[order.preferred]());
  if (order.share !== null) verdict.append(" ", el("small", { class: "inline" }, share(order.share)));
  if (order.retried) verdict.append(" ", el("span", { class: "mark" }, say("asked twice")));
  const why = el("td", {}, order.reason ? el("div", { class: "why", dir: "auto" }, order.reason) : "");
  if (order.fault) why.prepend(el("span", { class: "mark" }, order.fault), " ");
  return el("tr", {}, el("th", { scope: "row" }, told), verdict, why);
}

function opinionOf(opinion) {
  const verdict = el("span", { class: `verdict ${opinion.preferred}` }, PREFERS[opinion.preferred]());
  const head = el("h4", {}, say("Judge"), " ", el("bdi", {}, opinion.judge), ": ", verdict);
  if (opinion.advisory) head.append(" ", el("span", { class: "mark" }, say("advisory")));
  if (opinion.swapped) head.append(" ", el("span", { class: "mark" }, say("flipped under swap")));
  const box = el("section", { class: "opinion" }, head);
  if (opinion.same_answer) box.append(el("p", { class: "facts" }, say("The same answer, so a tie without a call.")));
  const rows = [];
  if (opinion.first) rows.push(orderRow(say("candidate shown first"), opinion.first));
  if (opinion.second) rows.push(orderRow(say("candidate shown second"), opinion.second));
  if (rows.length) box.append(el("table", { class: "checks orders" }, el("tbody", {}, ...rows)));
  const facts = [];
  const [candidate, baseline] = opinion.lengths;
  if (candidate || baseline) {
    facts.push(say("{candidate} characters against {baseline}", { candidate: number(candidate), baseline: number(baseline) }));
  }
  if (opinion.shortened) facts.push(say("{n} characters were left out for the judge", { n: number(opinion.shortened) }));
  for (const [name, preferred] of opinion.members) facts.push(`${name}: ${PREFERS[preferred]()}`);
  if (facts.length) box.append(el("p", { class: "facts" }, el("bdi", {}, facts.join(" · "))));
  return box;
}
