// The page: pictures come in, wait in a queue, and are answered; what is said of the whole stands here.
import * as generator from "./generator.js";
import * as picture from "./picture.js";
import { FORM_BYTES, Refusal, ask, form, nameOf, onKey, save, size, unless } from "./service.js";
import * as table from "./table.js";

const LANES = 3;  // pictures that are asked for at once; the service judges them together
const $ = id => document.getElementById(id);
const waiting = [];
let about = null, introduced = null, run = null;  // run: { stop, lanes, total, done, busy } while pictures are examined

function examine(files) {
  const entries = [...files].map(file => ({ file, answer: null, beside: [] }));
  if (!entries.length) return;
  for (const entry of entries) { entry.beside = entries; table.add(entry); }
  waiting.push(...entries);
  $("all").hidden = false;
  if (matchMedia("(max-width: 820px)").matches) $("samples").open = false;  // the answers come nearer
  if (!run) {
    run = { stop: new AbortController(), lanes: 0, total: 0, done: 0, busy: 0 };
    $("run").hidden = false;
    $("stop").disabled = false;
    say(`Examining ${entries.length} picture${entries.length === 1 ? "" : "s"} …`);
  }
  run.total += entries.length;
  tell();
  while (run.lanes < Math.min(LANES, waiting.length + run.lanes)) lane();
}

async function lane() {
  const mine = run;
  mine.lanes++;
  for (let entry; (entry = waiting.shift());) {
    table.update(entry);
    entry.answer = await judge(entry.file, mine);
    mine.done++;
    table.update(entry);
    openFirst(entry.beside);
    tell();
  }
  if (--mine.lanes === 0) finish();
}

async function judge(file, mine) {
  try {
    const { limits } = await unless(mine.stop.signal, introduce());
    if (file.size + FORM_BYTES > limits.max_body) throw new Refusal("too_large", `it has ${size(file.size)}, and this service takes at most ${atMost(limits)}`);
    const reply = await ask("v1/predict", { body: form("files", [file]), signal: mine.stop.signal, waiting: on => { mine.busy += on ? 1 : -1; busy(mine); } });
    return (await reply.json()).answers[0];
  } catch (problem) {
    if (mine.stop.signal.aborted) return { error: { code: "stopped", message: "stopped before its turn" } };
    return { error: { code: problem.code ?? "internal", message: problem.message } };
  }
}

const atMost = limits => size(limits.max_body, Math.floor);
const say = text => { $("status").textContent = text; };

function busy(mine) {
  if (mine === run) say(mine.busy ? "The service is busy with others; waiting for a place …" : `Examining ${mine.total} picture${mine.total === 1 ? "" : "s"} …`);
}

function tell() {
  $("progress").max = run.total;
  $("progress").value = run.done;
  $("count").textContent = `${run.done} of ${run.total}`;
  report();
}

function finish() {
  run = null;
  if ($("run").contains(document.activeElement)) $("files").focus();
  $("run").hidden = true;
  table.sort();
  report();
  const entries = table.all(), counts = new Map();
  for (const { answer } of entries) {
    const words = answer.error ? "not judged" : answer.words;
    counts.set(words, (counts.get(words) ?? 0) + 1);
  }
  const said = [...counts].map(([words, number]) => `${words}: ${number}`).join("; ");
  say(entries.length === 1 && entries[0].answer.error ? `${nameOf(entries[0].file)} was not judged: ${entries[0].answer.error.message}.` : `Finished. ${said[0].toUpperCase()}${said.slice(1)}.`);
}

function open(entry, focus = true) {
  picture.show(entry);
  generator.show(entry);
  table.mark(entry);
  if (focus) $("one").focus();
}

function openFirst(entries) {  // of those that came together the first that could be judged, once
  const first = entries.find(entry => !entry.answer || table.judged(entry));
  if (!first?.answer || entries.opened) return;
  entries.opened = true;
  open(first, false);
}

function sendable() {  // what a report can be made of, and why not of more
  const { entries, selected } = table.chosen(), { limits } = about ?? { limits: { max_body: 0, max_files: 0 } };
  const files = entries.filter(entry => !["too_large", "not_sent", "stopped"].includes(entry.answer.error?.code)).map(entry => entry.file);
  const bytes = files.reduce((sum, file) => sum + file.size + FORM_BYTES, 0);
  return { files, selected, bytes, limits, fits: files.length > 0 && files.length <= limits.max_files && bytes <= limits.max_body };
}

function report() {
  const { files, selected, bytes, limits, fits } = sendable(), of = selected ? `${selected} selected` : "all";
  $("report").textContent = `Save a report of ${of}`;
  $("csv").textContent = `Save ${of} as CSV`;
  $("report").disabled = !fits || run !== null || $("report").getAttribute("aria-busy") === "true";
  $("csv").disabled = run !== null;
  $("clear").disabled = run !== null;
  generator.offer(run !== null);
  const over = files.length > 0 && !fits;
  $("report-note").textContent = over ? `One report takes at most ${limits.max_files} pictures and ${atMost(limits)}; these are ${files.length} with ${size(bytes)}. Select fewer in the table.` : "";
}

async function saveReport() {
  const { files } = sendable();
  $("report").setAttribute("aria-busy", "true");
  report();
  say(`Writing the report of ${files.length} picture${files.length === 1 ? "" : "s"} …`);
  try {
    save("report.html", await (await ask("v1/report", { body: form("files", files), waiting: on => say(on ? "The service is busy with others; waiting for a place …" : "Writing the report …") })).blob());
    say("The report is saved.");
  } catch (problem) {
    say(`No report: ${problem.message}.`);
  }
  $("report").removeAttribute("aria-busy");
  report();
}

function introduce() {
  introduced ??= ask("v1/detector").then(async reply => {
    about = await reply.json();
    picture.calibrate(about);
    generator.introduce(about);
    $("detector").textContent = `Detector ${about.name}, ${about.id}. ${about.reliability}`;
    $("limits").textContent = `At most ${atMost(about.limits)} each.`;
    return about;
  }).catch(problem => { introduced = null; throw problem; });
  return introduced;
}

function clear() {
  table.clear();
  picture.hide();
  generator.hide();
  $("all").hidden = $("one").hidden = true;
  say("");
  $("files").focus();
}

async function sample(path, name) {
  try {
    const reply = await ask(path);
    examine([new File([await reply.blob()], name, { type: "image/jpeg" })]);
  } catch (problem) {
    say(`The sample cannot be read: ${problem.message}.`);
  }
}

function stop() {
  $("stop").disabled = true;
  for (const entry of waiting.splice(0)) {
    entry.answer = { error: { code: "stopped", message: "stopped before its turn" } };
    run.done++;
    table.update(entry);
  }
  run.stop.abort();
  $("files").focus();
}

onKey(wrong => new Promise(done => {
  $("key-form").hidden = false;
  $("key-wrong").textContent = wrong ? "This key was not accepted." : "";
  $("key").value = "";
  $("key").focus();
  $("key-form").onsubmit = event => { event.preventDefault(); $("key-form").hidden = true; done($("key").value); };
}));
table.initialise({ open, changed: report });
picture.initialise();
generator.initialise();
$("files").addEventListener("change", event => { examine(event.target.files); event.target.value = ""; });
$("csv").addEventListener("click", table.saveCsv);
$("report").addEventListener("click", saveReport);
$("clear").addEventListener("click", clear);
$("stop").addEventListener("click", stop);
for (const button of document.querySelectorAll("#samples button")) button.addEventListener("click", () => sample(button.querySelector("img").getAttribute("src"), button.dataset.name));
const holds = event => event.dataTransfer?.types.includes("Files");
for (const name of ["dragenter", "dragover"]) document.addEventListener(name, event => { if (holds(event)) { event.preventDefault(); $("drop").classList.add("over"); } });
for (const name of ["dragleave", "drop"]) document.addEventListener(name, event => { if (holds(event)) { event.preventDefault(); $("drop").classList.remove("over"); } });
document.addEventListener("drop", event => examine(event.dataTransfer.files));
document.addEventListener("paste", event => examine(event.clipboardData.files));
introduce().catch(problem => say(`${problem.message}.`));
