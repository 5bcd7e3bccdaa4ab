// The table of all pictures: a row each from the moment it is given, sorted and selected as asked, saved as CSV.
import { nameOf, save } from "./service.js";

const $ = id => document.getElementById(id);
const COLUMNS = ["sha256", "verdict", "prob_fake", "log10_lr", "score", "detector_id"];
const ORDER = { fake: 2, uncertain: 1, real: 0 };
const speaking = answer => answer.windows.filter(part => part.prob_fake > 0.5).length;
const VALUES = {
  file: entry => nameOf(entry.file),
  verdict: entry => ORDER[entry.answer.verdict] * 10 + entry.answer.log10_lr,
  prob_fake: entry => entry.answer.prob_fake,
  log10_lr: entry => entry.answer.log10_lr,
  windows: entry => speaking(entry.answer) / entry.answer.windows.length,
};
let entries = [], sorting = null, falling = false, open = () => {}, changed = () => {};

export const judged = entry => Boolean(entry.answer && !entry.answer.error);
export const signed = number => (number < 0 ? "−" : "+") + Math.abs(number).toFixed(2);

export function initialise(handlers) {
  ({ open, changed } = handlers);
  for (const button of document.querySelectorAll("#all th button")) button.addEventListener("click", () => sortBy(button.dataset.column));
  $("select-all").addEventListener("change", event => {
    for (const entry of entries) entry.box.checked = event.target.checked;
    changed();
  });
}

export function add(entry) {
  entries.push(entry);
  entry.row = $("rows").insertRow();
  entry.box = document.createElement("input");
  entry.box.type = "checkbox";
  entry.box.setAttribute("aria-label", `Select ${nameOf(entry.file)}`);
  entry.box.addEventListener("change", changed);
  entry.row.insertCell().append(entry.box);
  const name = document.createElement("th");
  name.scope = "row";
  name.textContent = nameOf(entry.file);
  entry.row.append(name);
  state(entry, "waiting");
}

function state(entry, text, name = "quiet") {
  while (entry.row.cells.length > 2) entry.row.deleteCell(2);
  const cell = entry.row.insertCell();
  cell.colSpan = 4;
  cell.className = name;
  cell.textContent = text;
}

export function update(entry) {
  const answer = entry.answer;
  if (!answer) return state(entry, "being examined …");
  if (answer.error) return state(entry, `not judged: ${answer.error.message} [${answer.error.code}]`, "failed");
  while (entry.row.cells.length > 2) entry.row.deleteCell(2);
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = nameOf(entry.file);
  button.addEventListener("click", () => open(entry));
  entry.row.cells[1].replaceChildren(button);
  const cells = [[answer.words, answer.verdict], [answer.prob_fake.toFixed(3), "number"], [signed(answer.log10_lr), "number"], [`${speaking(answer)} of ${answer.windows.length}`, "number"]];
  for (const [text, name] of cells) {
    const cell = entry.row.insertCell();
    cell.textContent = text;
    cell.className = name;
  }
}

export function mark(entry) {
  for (const other of entries) other.row.removeAttribute("aria-current");
  entry.row.setAttribute("aria-current", "true");
}

function sortBy(column) {
  falling = sorting === column ? !falling : column !== "file";
  sorting = column;
  for (const head of document.querySelectorAll("#all th[aria-sort]")) head.removeAttribute("aria-sort");
  document.querySelector(`#all th button[data-column="${column}"]`).closest("th").setAttribute("aria-sort", falling ? "descending" : "ascending");
  sort();
}

export function sort() {  // what was not judged stays below
  if (!sorting) return;
  const value = VALUES[sorting], compare = new Intl.Collator("en", { numeric: true }).compare;
  const order = (a, b) => sorting === "file" ? compare(value(a), value(b)) : value(a) - value(b);
  const known = sorting === "file" ? () => true : judged;
  const rows = [...entries].sort((a, b) => known(b) - known(a) || (known(a) ? (falling ? order(b, a) : order(a, b)) : 0));
  $("rows").append(...rows.map(entry => entry.row));
}

export function chosen() {  // the selected ones, or all where none is
  const done = entries.filter(entry => entry.answer), selected = done.filter(entry => entry.box.checked);
  return { entries: selected.length ? selected : done, selected: selected.length };
}

export const all = () => entries;

export function clear() {
  entries = [];
  $("rows").textContent = "";
  $("select-all").checked = false;
}

export function saveCsv() {
  const safe = value => typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? "'" + value : value ?? "";  // no formula in a name
  const quoted = value => `"${String(safe(value)).replaceAll('"', '""')}"`;
  const rows = chosen().entries.map(({ file, answer }) => [nameOf(file), ...COLUMNS.map(name => answer[name]), answer.error?.code, answer.error?.message]);
  const lines = [["file", ...COLUMNS, "error_code", "error"], ...rows].map(line => line.map(quoted).join(","));
  save("ganfingerprint.csv", new Blob([lines.join("\r\n") + "\r\n"], { type: "text/csv" }));
}
