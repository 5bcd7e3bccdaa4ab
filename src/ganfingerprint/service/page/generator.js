// Which generator made the picture that is shown, and whether two pictures are of one; where the service has a gallery.
import { put } from "./picture.js";
import { FORM_BYTES, ask, form, nameOf, size } from "./service.js";
import { chosen, judged } from "./table.js";

const $ = id => document.getElementById(id);
const BUSY = "The service is busy; waiting …";
let current = null, limits = null, comparing = false, held = false, compared = 0;  // compared: which comparison was asked for last

export function introduce(about) {  // without a gallery nothing of this is offered
  limits = about.limits;
  $("whose-part").hidden = $("compare-part").hidden = !about.gallery;
  if (about.gallery) $("known").textContent = `${about.gallery.generators.length} generators are known (gallery ${about.gallery.id}).`;
}

export function show(entry) {  // another picture: what was said of the one before goes
  current = entry;
  $("whose-status").textContent = "";
  expand(false);
}

function expand(on) {
  $("whose").hidden = !on;
  $("show-generator").setAttribute("aria-expanded", String(on));
}

async function attribute() {
  const entry = current, button = $("show-generator");
  if (button.getAttribute("aria-expanded") === "true") return expand(false);
  if (button.getAttribute("aria-busy") === "true") return;
  button.setAttribute("aria-busy", "true");
  const say = text => { if (entry === current) $("whose-status").textContent = text; };
  try {
    if (!entry.whose) {
      say("Comparing with the enrolled pictures …");
      const reply = await ask("v1/attribute", { body: form("files", [entry.file]), waiting: on => say(on ? BUSY : "Comparing with the enrolled pictures …") });
      entry.whose = (await reply.json()).answers[0];
    }
    if (entry !== current) return;
    tell(entry.whose);
    expand(true);
    say("");
  } catch (problem) {
    say(`Not available: ${problem.message}`);
  } finally {
    button.removeAttribute("aria-busy");
  }
}

function tell(whose) {
  $("whose-sentence").textContent = whose.sentence;
  $("whose-reservation").textContent = whose.reservation;
  $("whose-reservation").hidden = !whose.reservation;
  const first = whose.candidates.slice(0, 3).map(one => [one.name, one.probability, one.references]);
  $("whose-rows").replaceChildren();
  for (const [name, probability, references] of [...first, ["a generator that is not enrolled", whose.prob_unknown, ""], ["none: a photograph", whose.prob_photograph, ""]]) {
    const row = $("whose-rows").insertRow();
    put(row, "th", name).scope = "row";
    put(row, "td", probability.toFixed(3), "number");
    put(row, "td", references, "number");
  }
  const near = whose.nearest.map(one => `${one.id} (${one.name}, distance ${one.distance.toFixed(3)})`);
  $("whose-nearest").textContent = near.length ? `Nearest enrolled pictures: ${near.join("; ")}.` : "";
  $("whose-worth").textContent = `${whose.priors} ${whose.note}`;
}

function pair() {  // the two that would be compared, or null
  const { entries, selected } = chosen();
  return selected === 2 && entries.every(judged) ? entries : null;
}

export function offer(examining = held) {
  held = examining;
  const two = pair(), bytes = (two ?? []).reduce((sum, entry) => sum + entry.file.size + FORM_BYTES, 0);
  const fits = limits !== null && bytes <= limits.max_body && limits.max_files >= 2;
  $("compare").disabled = !two || !fits || held || comparing;
  $("compare-note").textContent = two && !fits ? `Two pictures to compare may have ${size(limits.max_body, Math.floor)} together.` : "Select two pictures in the table that were judged: were they made by one generator?";
}

async function compare() {
  const two = pair(), mine = ++compared;
  if (!two) return;
  comparing = true;
  offer();
  const say = text => { if (mine === compared) $("compare-status").textContent = text; };
  say("Comparing …");
  try {
    const body = form("first", [two[0].file]);
    body.append("second", two[1].file, nameOf(two[1].file));
    const reply = await ask("v1/compare", { body, waiting: on => say(on ? BUSY : "Comparing …") });
    const found = await reply.json();
    if (mine !== compared) return;
    say("");
    tellPair(two, found);
  } catch (problem) {
    say(`Not compared: ${problem.message}.`);
  } finally {
    comparing = false;
    offer();
  }
}

function tellPair(two, found) {
  $("pair-sentence").textContent = found.sentence;
  $("pair-facts").replaceChildren();
  for (const [index, picture] of [found.first[0], found.second[0]].entries()) {
    put($("pair-facts"), "dt", nameOf(two[index].file));
    put($("pair-facts"), "dd", `${picture.words} (probability ${picture.prob_fake.toFixed(3)})`);
  }
  put($("pair-facts"), "dt", "distance");
  put($("pair-facts"), "dd", `${found.distance.toFixed(3)} (0: equal fingerprints; 2: opposite ones)`);
  $("pair-reservations").replaceChildren();
  for (const said of found.reservations) put($("pair-reservations"), "p", said);
  $("pair-note").textContent = found.note;
  $("pair").hidden = false;
  $("pair").focus();
}

export function hide() {
  current = null;
  compared++;
  $("pair").hidden = true;
  $("compare-status").textContent = "";
}

export function initialise() {
  $("show-generator").addEventListener("click", attribute);
  $("compare").addEventListener("click", compare);
}
