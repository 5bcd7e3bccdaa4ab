// One picture: what was found, in words and on the scale; its windows, its heat map, its spectrum.
import { ask, form, nameOf, size } from "./service.js";
import { signed } from "./table.js";

const $ = id => document.getElementById(id);
let current = null, scale = null;

function cell(row, text, name = "") {
  const made = row.insertCell();
  made.textContent = text;
  made.className = name;
}

export function put(parent, name, text, className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = className;
  parent.append(made);
  return made;
}

export function calibrate(about) {  // the scale: where the verdicts change, and how far it reaches
  const bound = about.calibration.log10_lr_bound, { real_below: low, fake_above: high } = about.log10_lr_thresholds;
  scale = { bound, low, high, at: value => 50 + 50 * Math.max(-1, Math.min(1, value / bound)) };
  const edges = [0, scale.at(low), scale.at(high), 100];
  [...document.querySelectorAll("#scale .zone")].forEach((zone, i) => { zone.style.width = `${edges[i + 1] - edges[i]}%`; });
  $("ticks").textContent = "";
  for (let power = -Math.floor(bound); power <= bound; power++) {
    const at = scale.at(power), tick = put($("ticks"), "span", power ? `${10 ** Math.abs(power)} : 1` : "even");
    tick.style.left = `${at}%`;
    tick.className = at < 6 ? "first" : at > 94 ? "last" : "";
  }
}

export function show(entry) {
  current = entry;
  const { answer, file } = entry;
  $("one").hidden = false;
  $("name").textContent = nameOf(file);
  $("verdict").textContent = answer.words;
  $("verdict").className = "banner " + answer.verdict;
  $("meaning").replaceChildren();
  for (const sentence of answer.meaning) put($("meaning"), "p", sentence);
  $("mark").style.left = scale.at(answer.log10_lr) + "%";
  $("scale").setAttribute("aria-label", `Weight of evidence ${signed(answer.log10_lr)} on a scale from ${signed(-scale.bound)}, for a photograph, to ${signed(scale.bound)}, for a generator. Below ${signed(scale.low)} no trace is found, above ${signed(scale.high)} the picture looks generated.`);
  URL.revokeObjectURL($("picture").src);
  $("cannot-show").hidden = true;
  $("stage").hidden = false;
  $("picture").src = URL.createObjectURL(file);
  $("picture").alt = `The picture ${nameOf(file)}`;
  hide();
  showWindows(answer);
  const facts = [["probability", answer.prob_fake.toFixed(3)], ["evidence", `${signed(answer.log10_lr)} (powers of ten)`], ["raw score", signed(answer.score)], ["file", `${answer.format}, ${answer.width} × ${answer.height} pixels, ${size(answer.size_bytes)}`], ["SHA-256", answer.sha256], ["detector", answer.detector_id]];
  $("facts").replaceChildren();
  for (const [name, value] of facts) { put($("facts"), "dt", name); put($("facts"), "dd", value); }
}

export function hide() {  // what belongs to another picture
  for (const id of ["heat", "spectrum"]) {
    URL.revokeObjectURL($(id).src);
    $(id).removeAttribute("src");
  }
  $("look-status").textContent = "";
  $("heat").hidden = $("fade-label").hidden = $("heat-note").hidden = $("spectrum-figure").hidden = true;
  $("show-heat").setAttribute("aria-pressed", "false");
  $("show-spectrum").setAttribute("aria-pressed", "false");
}

function showWindows(answer) {
  const { width, height } = answer, share = (value, whole) => `${100 * Math.max(0, Math.min(1, value / whole))}%`;
  $("boxes").replaceChildren();
  $("windows").replaceChildren();
  answer.windows.forEach(({ box: [left, top, right, bottom], prob_fake: probability }, index) => {
    const box = put($("boxes"), "li", "", probability > 0.5 ? "for-fake" : "for-real"), row = $("windows").insertRow();
    const edges = { left: share(left, width), top: share(top, height), right: share(width - right, width), bottom: share(height - bottom, height) };
    Object.assign(box.style, edges);
    const chip = put(box, "button", probability.toFixed(2));
    chip.type = "button";
    chip.setAttribute("aria-label", `Window ${index + 1}: probability ${probability.toFixed(2)} by itself`);
    chip.setAttribute("aria-pressed", "false");
    chip.addEventListener("click", () => point(index, chip.getAttribute("aria-pressed") === "false"));
    row.addEventListener("mouseenter", () => box.classList.add("over"));
    row.addEventListener("mouseleave", () => box.classList.remove("over"));
    cell(row, index + 1, "number");
    cell(row, [left, top, right, bottom].join(", "));
    cell(row, probability.toFixed(3), "number");
    cell(row, probability > 0.5 ? "a generator" : "a photograph");
  });
  const number = answer.windows.length, fake = answer.windows.filter(part => part.prob_fake > 0.5).length;
  $("windows-count").textContent = `${fake} of ${number} window${number === 1 ? "" : "s"} for a generator`;
}

function point(chosen, on) {  // one window, here and in the table
  [...$("boxes").children].forEach((box, index) => {
    const is = on && index === chosen;
    box.classList.toggle("chosen", is);
    box.firstChild.setAttribute("aria-pressed", String(is));
    $("windows").rows[index].setAttribute("aria-current", String(is));
  });
  $("boxes").classList.toggle("one", on);
  if (on) $("windows-table").open = true;
}

async function look(button, path, saying, shown) {  // ask for a picture of the picture, or put it away
  const entry = current;
  if ($(button).getAttribute("aria-pressed") === "true") { shown(null); $(button).setAttribute("aria-pressed", "false"); return; }
  if ($(button).getAttribute("aria-busy") === "true") return;
  $(button).setAttribute("aria-busy", "true");
  $("look-status").textContent = saying;
  try {
    const reply = await ask(path, { body: form("file", [entry.file]), waiting: on => { if (on && entry === current) $("look-status").textContent = "The service is busy; waiting …"; } });
    const made = await reply.blob();
    if (entry !== current) return;
    shown(URL.createObjectURL(made), reply);
    $(button).setAttribute("aria-pressed", "true");
    $("look-status").textContent = "";
  } catch (problem) {
    if (entry === current) $("look-status").textContent = `Not available: ${problem.message}`;
  } finally {
    $(button).removeAttribute("aria-busy");
  }
}

function fade() {
  $("heat").style.opacity = $("fade").value / 100;
}

function showHeat(url, reply) {
  $("heat").hidden = $("fade-label").hidden = $("heat-note").hidden = !url;
  if (!url) return;
  $("heat").src = url;
  if (!$("cannot-show").hidden) {  // it shows the picture too
    $("picture").src = url;
    $("stage").hidden = false;
  }
  const generator = reply.headers.get("X-Heat-Speaks-For") === "fake";
  $("heat").alt = `The same under its heat map: where the evidence for ${generator ? "a generator" : "a photograph"} seems to lie`;
  $("heat-note").textContent = `Coloured: where the evidence for ${generator ? "a generator" : "a photograph"} seems to lie, relative to the strongest place in this picture. A hint, far from exact.`;
  fade();
}

function showSpectrum(url) {
  $("spectrum-figure").hidden = !url;
  if (url) $("spectrum").src = url;
}

export function initialise() {
  $("show-heat").addEventListener("click", () => look("show-heat", "v1/explain", "Drawing the heat map …", showHeat));
  $("show-spectrum").addEventListener("click", () => look("show-spectrum", "v1/spectrum", "Computing the spectrum …", showSpectrum));
  $("show-windows").addEventListener("click", event => {
    const on = event.target.getAttribute("aria-pressed") === "false";
    event.target.setAttribute("aria-pressed", String(on));
    $("boxes").hidden = !on;
  });
  $("fade").addEventListener("input", fade);
  $("picture").addEventListener("error", () => { $("stage").hidden = true; $("cannot-show").hidden = false; });
}
