// The service over HTTP: its key, its queue, and what it refuses, in words.
const PATIENCE = 300;  // how often a picture comes back to a service that is busy
const WORDS = { 404: "this service does not offer it", 413: "it is too large for this service", 502: "the service cannot be reached", 504: "the service did not answer in time" };
let key = "", pending = null, askForKey = async () => "";

export class Refusal extends Error {
  constructor(code, message) { super(message); this.code = code; }
}

export function onKey(handler) { askForKey = handler; }  // handler(wrong) → the key, once it is known

function newKey(wrong) {
  pending ??= askForKey(wrong).then(given => { key = given; pending = null; });
  return pending;
}

export function unless(signal, promise) {  // the promise, or the end of waiting for it
  if (!signal) return promise;
  return new Promise((done, fail) => {
    const stop = () => fail(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    promise.then(done, fail).finally(() => signal.removeEventListener("abort", stop));
  });
}

const pause = seconds => new Promise(done => setTimeout(done, 1000 * seconds));

async function once(path, body, signal) {
  try {
    return await fetch(path, { method: body ? "POST" : "GET", body, signal, headers: key ? { "X-API-Key": key } : {} });
  } catch (problem) {
    if (signal?.aborted) throw signal.reason;
    throw new Refusal("not_sent", body ? "it could not be sent: the service cannot be reached, or this is a folder or a file that has changed" : "the service cannot be reached");
  }
}

export async function ask(path, { body, signal, waiting = () => {} } = {}) {
  for (let tries = 0; ;) {
    const used = key, reply = await once(path, body, signal);
    if (reply.ok) return reply;
    if (reply.status === 401) {
      if (used === key) await unless(signal, newKey(used !== ""));
    } else if (reply.status === 503 && tries++ < PATIENCE) {
      waiting(true);
      await unless(signal, pause(Number(reply.headers.get("Retry-After")) || 1)).finally(() => waiting(false));
    } else {
      const said = (await reply.json().catch(() => null))?.error;
      throw new Refusal(said?.code ?? String(reply.status), said?.message ?? WORDS[reply.status] ?? `the service answered ${reply.status}`);
    }
  }
}

export const nameOf = file => file.name || "pasted.png";

export function form(name, files) {
  const made = new FormData();
  for (const file of files) made.append(name, file, nameOf(file));
  return made;
}

export const FORM_BYTES = 512;  // of a form beside the file itself, generously

export function size(bytes, round = Math.ceil) {  // a limit is rounded down, what may break it up
  const megabytes = bytes / 2 ** 20;
  return megabytes < 0.1 ? `${round(bytes / 2 ** 10)} KB` : `${round(10 * megabytes) / 10} MB`;
}

export function save(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
