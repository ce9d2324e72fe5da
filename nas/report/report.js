// What needs a script: sorting, filtering, pointing, opening a row, saving, and following a run. No library.
"use strict";
const $ = (what, within = document) => within.querySelector(what);
const $$ = (what, within = document) => [...within.querySelectorAll(what)];
const made = (name, ...inside) => { const e = document.createElement(name); e.append(...inside); return e; };
document.documentElement.classList.add("scripted");
const networks = Object.assign({}, ...$$(".networks").map(e => JSON.parse(e.textContent)));
const say = id => networks[id] ? networks[id].say : id;

// a network, everywhere at once
const marks = Object.create(null);
$$("[data-id]").forEach(e => (marks[e.dataset.id] ||= []).push(e));
const tip = $("#tip"), said = $("#said");
let lit = null;
function light(id) {
  if (id === lit) return;
  (marks[lit] || []).forEach(e => e.classList.remove("on"));
  (marks[id] || []).forEach(e => e.classList.add("on"));
  lit = id;
}
function show(id, x, y) {
  tip.replaceChildren(say(id), ...(networks[id] ? networks[id].mixers.slice(0, 8).map(m => made("span", m[0])) : []));
  tip.style.display = "block";
  tip.style.left = Math.max(6, Math.min(x + 14, innerWidth - tip.offsetWidth - 6)) + "px";
  tip.style.top = (y + tip.offsetHeight + 24 > innerHeight ? y - tip.offsetHeight - 12 : y + 16) + "px";
}
function hide() { tip.style.display = "none"; light(null); }
document.addEventListener("pointermove", event => {
  const mark = event.target.closest && event.target.closest("[data-id]");
  if (!mark) return hide();
  light(mark.dataset.id);
  if (mark.closest("table")) tip.style.display = "none";
  else show(mark.dataset.id, event.clientX, event.clientY);
});

// plots by keyboard: a stop each, arrows from mark to mark, Enter to the row
$$("[data-walk]").forEach(plot => {
  let at = -1;
  const all = $$(".pt[data-id]", plot).map(e => [e.getBoundingClientRect().x, e])
    .sort((a, b) => a[0] - b[0]).map(each => each[1]);
  plot.addEventListener("keydown", event => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") return hide();
    if (event.key === "Enter" && all[at]) { event.preventDefault(); return go(all[at].dataset.id); }
    if (!step || !all.length) return;
    event.preventDefault();
    at = at < 0 && step < 0 ? all.length - 1 : (at + step + all.length) % all.length;
    const place = all[at].getBoundingClientRect();
    light(all[at].dataset.id);
    show(all[at].dataset.id, place.x + place.width / 2, place.y + place.height / 2);
    said.textContent = say(all[at].dataset.id);
  });
  plot.addEventListener("blur", hide);
});
document.addEventListener("click", event => {
  const mark = event.target.closest("svg [data-id]");
  if (mark) go(mark.dataset.id);
});

// what is packed in the page
async function unpacked(id) {
  const bytes = Uint8Array.from(atob($("#" + id).textContent), c => c.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
}
const known = {};
const kept = name => known[name] ||= unpacked(name).then(JSON.parse);
function quoted(value) { // no spreadsheet takes a reason for a formula
  return `"${String(value ?? "").replace(/^[=+@\t\r-](?!\d)/, "'$&").replace(/"/g, '""')}"`;
}
function csv(text) {
  const names = "id label phase state seed lr epochs params macs number seconds reason".split(" ");
  const figures = ["epoch", "accuracy", "loss"], parts = ["last", "judge", "test"];
  const heads = [...names, ...parts.flatMap(part => figures.map(figure => `${part}_${figure}`))];
  const rows = text.split("\n").filter(Boolean).map(line => JSON.parse(line)).map(line => {
    const scores = [line.scores[line.scores.length - 1], line.judge, line.test];
    return [...names.map(name => line[name]), ...scores.flatMap(score => figures.map(figure => score?.[figure]))];
  });
  return [heads, ...rows].map(row => row.map(quoted).join(",") + "\r\n").join("");
}

// the leaderboard
const board = $("#board"), body = board && board.tBodies[0], rows = body ? [...body.rows] : [];
const cell = (row, column) => $(".c-" + column, row).dataset.v;
function closed() {
  $$(".det", board).forEach(e => e.remove());
  $$(".id", board).forEach(e => e.setAttribute("aria-expanded", "false"));
}
function sort(column, way) {
  closed();
  const value = row => { const text = cell(row, column); return text === "" || isNaN(text) ? text : +text; };
  const keyed = column === "place" && way > 0 ? rows : rows.map((row, at) => [value(row), at, row])
    .sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0) * way || a[1] - b[1]).map(each => each[2]);
  body.append(...keyed);
  $$("thead th", board).forEach(th => th.dataset.col === column
    ? th.setAttribute("aria-sort", way > 0 ? "ascending" : "descending") : th.removeAttribute("aria-sort"));
}
function filter() {
  closed();
  const words = $("#find").value.toLowerCase().split(/\s+/).filter(Boolean);
  const kinds = $$(".tools input:checked").map(e => e.value);
  let count = 0;
  rows.forEach(row => {
    const text = row.dataset.q.toLowerCase();
    const is = kinds.includes(row.dataset.kind) && words.every(word => text.includes(word));
    row.hidden = !is;
    count += is;
    marks[row.dataset.id].forEach(e => e.closest("#verdict, table") || e.classList.toggle("off", !is));
  });
  const some = `${count} of ${rows.length} shown, here and in the plots`;
  $("#shown").textContent = count === rows.length ? `all ${count} shown` : some;
}
function go(id) {
  if (!$("#n-" + CSS.escape(id))) return;
  if (location.hash === "#n-" + id) follow(); else location.hash = "n-" + id;
}
function follow() {
  const row = location.hash.startsWith("#n-") && document.getElementById(location.hash.slice(1));
  if (!row) return;
  if (row.hidden) { $("#find").value = ""; $$(".tools input[type=checkbox]").forEach(e => e.checked = true); filter(); }
  if (!row.nextElementSibling || !row.nextElementSibling.classList.contains("det")) open(row);
  board.parentElement.scrollTop = row.offsetTop - 44; // below the header that stays
  board.parentElement.scrollIntoView({ block: "center" });
  $(".id", row).focus({ preventScroll: true });
}
function drawn(name, attributes) {
  const e = document.createElementNS("http://www.w3.org/2000/svg", name);
  Object.entries(attributes).forEach(([key, value]) => e.setAttribute(key, value));
  return e;
}
function curve(losses) {
  const values = losses.map(each => Math.log(Math.max(each, 1e-4)));
  const low = Math.min(...values), high = Math.max(...values);
  const x = at => (300 * at / Math.max(1, values.length - 1)).toFixed(1);
  const y = value => (66 - 62 * (value - low) / (high - low || 1)).toFixed(1);
  const label = `Training loss from ${losses[0]} to ${losses[losses.length - 1]}`;
  const svg = drawn("svg", { viewBox: "0 0 300 70", class: "curve", role: "img", "aria-label": label });
  const d = "M" + values.map((value, at) => `${x(at)} ${y(value)}`).join("L");
  svg.append(drawn("path", { class: "cv cv-win", d }));
  return svg;
}
function open(row) {
  const id = row.dataset.id, told = networks[id], inside = made("td"), detail = made("tr", inside), big = made("div");
  const icons = new Map($$(".c-ic .ic", row).map(e => [$("use", e).getAttribute("href"), e]));
  const shown = [...icons.values()];
  detail.className = "det";
  big.className = "big";
  inside.colSpan = row.cells.length;
  told.mixers.forEach(([text, words], at) => {
    big.append(made("div", shown[at] ? shown[at].cloneNode(true) : "", made("code", text), made("br"), words));
  });
  inside.append(big);
  if (told.losses.length > 1) inside.append("Training loss by epoch (log scale)", curve(told.losses));
  const scores = told.scores.map(([epoch, share]) => `epoch ${epoch}: ${(100 * share).toFixed(1)}%`);
  if (scores.length) inside.append(made("p", `Validation accuracy: ${scores.join(", ")}`));
  inside.append(made("p", ...told.commands.flatMap(each => [made("code", each), " "])));
  const text = made("pre", "…");
  text.tabIndex = 0;
  text.setAttribute("role", "region");
  text.setAttribute("aria-label", "Its text");
  inside.append(text);
  row.after(detail);
  $(".id", row).setAttribute("aria-expanded", "true");
  kept("sources").then(found => text.textContent = found[id], problem => text.textContent = problem);
  kept("pictures").then(found => found[id] && big.replaceChildren(...found[id].map(picture =>
    document.importNode(new DOMParser().parseFromString(picture, "image/svg+xml").documentElement, true))));
}
if (board) {
  const better = { acc: -1, gain: -1 };
  $$("thead th", board).forEach(th => {
    const button = made("button", th.textContent), column = th.dataset.col;
    button.type = "button";
    th.replaceChildren(button);
    const other = { ascending: -1, descending: 1 };
    button.onclick = () => sort(column, other[th.getAttribute("aria-sort")] || better[column] || 1);
  });
  $("#sortby").onchange = event => sort(event.target.value, better[event.target.value] || 1);
  $$(".tools input").forEach(e => e.addEventListener("input", filter));
  body.addEventListener("click", event => {
    const link = event.target.closest(".id"), row = link && link.closest("tr");
    if (!row) return;
    const next = row.nextElementSibling;
    if (next && next.classList.contains("det")) {
      event.preventDefault();
      next.remove();
      link.setAttribute("aria-expanded", "false");
    } else if (location.hash === "#n-" + row.dataset.id) {
      event.preventDefault();
      open(row);
    }
  });
  addEventListener("hashchange", follow);
  addEventListener("keydown", event => {
    if (event.key !== "/" || /INPUT|SELECT|TEXTAREA/.test(document.activeElement.tagName)) return;
    event.preventDefault();
    $("#find").focus();
  });
  $$(".id", board).forEach(e => e.setAttribute("aria-expanded", "false"));
  filter();
  addEventListener("load", () => setTimeout(follow)); // after the browser itself has gone to the place
}

$$("[data-save]").forEach(button => button.onclick = async () => {
  const kind = button.dataset.save, text = await unpacked("results"), link = made("a");
  const type = kind === "csv" ? "text/csv" : "application/x-ndjson";
  link.href = URL.createObjectURL(new Blob([kind === "csv" ? csv(text) : text], { type }));
  link.download = `${$("#results").dataset.run}.${kind}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
});
$$(".copy").forEach(button => button.onclick = async () => {
  const text = $("pre", button.parentElement);
  try { await navigator.clipboard.writeText(text.textContent); button.textContent = "Copied"; }
  catch { getSelection().selectAllChildren(text); button.textContent = "Selected: press Ctrl-C"; }
  setTimeout(() => button.textContent = "Copy", 2500);
});

// a page that a server keeps up with its run
if ("live" in document.body.dataset) {
  const events = new EventSource("events?state=" + encodeURIComponent(document.body.dataset.live));
  const place = sessionStorage.getItem("place"), find = $("#find");
  if (find && sessionStorage.getItem("find")) { find.value = sessionStorage.getItem("find"); filter(); }
  if (place && !location.hash) scrollTo(0, +place);
  events.addEventListener("changed", () => {
    events.close();
    sessionStorage.setItem("place", scrollY);
    sessionStorage.setItem("find", find ? find.value : "");
    location.reload();
  });
  events.onerror = () => { $("#live-state").textContent = "the server has gone"; };
}
