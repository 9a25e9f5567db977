// The page of `charseq serve`. What comes from people or from the server becomes text, never HTML.

const COVERAGE = 0.95;
const MILLISECONDS_OF_TYPING = 200;
const MILLISECONDS_BETWEEN_LOOKS = 10_000;
const ROWS_SHOWN = 200;
const ROWS_OF_A_REQUEST = 500;
// Influence costs a question for each character, and only what is shown has it.
const ROWS_WITH_INFLUENCE = 50;
const CHARACTERS_SHOWN = 400;
const TOP = 8;
const MOST_FILE_BYTES = 50 * 1024 * 1024;
const MOST_TRIES = 20;
// JSON writes a UTF-16 unit in at most six bytes.
const BYTES_OF_A_CHARACTER = 6;
const BYTES_OF_A_REQUEST = 200;
// As in charseq/ask/rendering.py and charseq/measures/influence.py.
const STRANGE = 0.99;
const STEPS = [0.1, 0.3, 0.55, 0.8];
const LEAST_SCALE = -Math.log(0.9);
const REASONS = {
  empty_sequence: "no character in the sequence, or nothing but blanks",
  invalid_utf8: "no Unicode",
};

const element = (id) => document.getElementById(id);
const plural = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
const percent = (share) => `${(100 * share).toFixed(1)} %`;

let token = "";
let card = null;
let file = null;
// Counts what was typed or opened: a job ends when there is a newer one.
let newest = 0;
let isAsking = false;
// What is shown: rows, and the version that answered.
let answered = { rows: [], version: 0 };
let isLost = false;

class Outdated extends Error {}
class NeedsToken extends Error {}
class Unreachable extends Error {}

/* Rows */

// Returns the records of a CSV as RFC 4180 has it, each a list of fields.
function parseCsv(text) {
  const records = [];
  let record = [], field = "", isQuoted = false, at = 0;
  const endField = () => { record.push(field); field = ""; };
  const endRecord = () => { endField(); records.push(record); record = []; };
  while (at < text.length) {
    const character = text[at++];
    if (isQuoted) {
      if (character !== '"') field += character;
      else if (text[at] === '"') { field += '"'; at++; }
      else isQuoted = false;
    } else if (character === '"' && field === "") isQuoted = true;
    else if (character === ",") endField();
    else if (character === "\n" || character === "\r") {
      if (character === "\r" && text[at] === "\n") at++;
      endRecord();
    } else field += character;
  }
  if (isQuoted) throw new Error("A quotation mark of the CSV is never closed.");
  if (field !== "" || record.length) endRecord();
  return records.filter((fields) => fields.length > 1 || fields[0] !== "");
}

// Returns the sequences in a text: the column `sequence` of a CSV, the first one of a CSV file
// without it, or else the lines that are not empty.
function parseRows(text, isCsvFile) {
  const lines = text.split(/\r\n|\n|\r/);
  const header = lines[0].split(",").map((name) => name.trim().replace(/^"(.*)"$/, "$1").toLowerCase());
  const hasHeader = header.includes("sequence") && (isCsvFile || header.length > 1 || lines.length > 1);
  if (!hasHeader && !isCsvFile) return lines.filter((line) => line !== "");
  const records = parseCsv(text);
  const column = hasHeader ? header.indexOf("sequence") : 0;
  return records.slice(hasHeader ? 1 : 0).map((fields) => fields[column] ?? "");
}

function toCsv({ rows, version }) {
  const quote = (value) => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
  const names = ["sequence", "label", "probability", "set", "strangeness", "rejected", "version"];
  const lines = rows.map((row) => names.map((name) => {
    if (name === "version") return version;
    return name === "set" && row.set ? JSON.stringify(row.set) : row[name] ?? "";
  }));
  return [names, ...lines].map((fields) => fields.map((value) => quote(String(value))).join(",") + "\r\n").join("");
}

/* Requests */

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// Returns what a path answers, and the version that did; waits while the server is busy.
async function request(path, content) {
  const options = { headers: token ? { Authorization: `Bearer ${token}` } : {}, cache: "no-store" };
  if (content) Object.assign(options, { method: "POST", body: JSON.stringify(content) });
  for (let tries = 1; ; tries++) {
    let response;
    try {
      response = await fetch(path, options);
    } catch {
      throw new Unreachable("The server cannot be reached.");
    }
    if (response.status === 503 && tries < MOST_TRIES) {
      await pause(1000 * Number(response.headers.get("Retry-After") ?? 1));
      continue;
    }
    const answer = await response.json().catch(() => ({ error: response.statusText }));
    if (response.status === 401) throw new NeedsToken(answer.error);
    if (!response.ok) throw new Error(`The server refused it (${response.status}): ${answer.error}`);
    return { answer, version: Number(response.headers.get("X-Model-Version")) };
  }
}

// Reads the card of the current version; returns whether it is another than before.
async function look() {
  const { answer } = await request("/card");
  const isNew = card?.version !== answer.version;
  card = answer;
  if (isNew) showCard();
  return isNew;
}

// Returns the end of the rows from `start` that fit into a request.
function endOfPart(rows, start) {
  const most = Math.min(start < ROWS_SHOWN ? ROWS_WITH_INFLUENCE : ROWS_OF_A_REQUEST, card.limits.rows);
  let bytes = BYTES_OF_A_REQUEST, end = start;
  while (end < rows.length && end - start < most) {
    bytes += BYTES_OF_A_CHARACTER * rows[end].length + 3;
    if (bytes > card.limits.body_bytes && end > start) break;
    end++;
  }
  return end;
}

// Asks for all rows; again from the start if another version takes over meanwhile.
async function askAll(rows, job) {
  checkLengths(rows);
  const found = [];
  let before = card.version;
  while (found.length < rows.length) {
    const start = found.length, end = endOfPart(rows, start);
    const question = { sequences: rows.slice(start, end) };
    if (card.answers.influence && start < ROWS_SHOWN) question.influence = true;
    if (card.answers.coverage) question.coverage = COVERAGE;
    const { answer, version } = await request("/ask", question);
    if (job !== newest) throw new Outdated();
    if (version && version !== before) {
      await look();
      before = card.version;
      found.length = 0;
      continue;
    }
    for (const row of answer) found.push(row);
    if (end < rows.length) say(`${found.length.toLocaleString("en")} of ${plural(rows.length, "sequence")} answered`);
  }
  return { rows: found, version: before };
}

function checkLengths(rows) {
  const most = card.limits.characters;
  const place = rows.findIndex((row) => row.length > most && Array.from(row).length > most);
  if (place < 0) return;
  const length = Array.from(rows[place]).length.toLocaleString("en");
  throw new Error(`Sequence ${place + 1} has ${length} characters; the server takes ${most.toLocaleString("en")}.`);
}

// Returns pairs of a label and its probability for one sequence, if the model can say it.
async function askTop(sequence, expected) {
  if (!card.answers.top_k) return [];
  const content = { signature_name: "top_k", inputs: { sequence: [sequence], k: Math.min(TOP, card.labels.length) } };
  const { answer, version } = await request(`/v1/models/${encodeURIComponent(card.name)}:predict`, content);
  if (version !== expected) return [];
  const { labels, probabilities } = answer.outputs;
  return labels[0].map((label, place) => [label, probabilities[0][place]]);
}

// Asks about the newest rows until there are no newer ones: one request at a time.
async function ask() {
  if (isAsking) return;
  isAsking = true;
  let job;
  do {
    job = newest;
    await tryToAnswer(job);
  } while (job !== newest);
  isAsking = false;
}

async function tryToAnswer(job) {
  try {
    if (!card) await look();
    const rows = currentRows();
    if (!rows.length) {
      clear("");
    } else {
      const found = await askAll(rows, job);
      const hasTop = rows.length === 1 && !found.rows[0].rejected;
      const top = hasTop ? await askTop(rows[0], found.version) : [];
      if (job === newest) show(found, top);
    }
  } catch (error) {
    if (error instanceof Outdated) return;
    if (error instanceof NeedsToken) askForToken();
    else fail(error);
  }
}

/* What is asked */

function currentRows() {
  const rows = file ? parseRows(file.text, file.isCsv) : parseRows(element("sequences").value, false);
  // Half a surrogate pair is no Unicode, and the server would refuse the whole request.
  return rows.map((row) => row.replace(/\p{Surrogate}/gu, "\ufffd"));
}

function changed() {
  newest++;
  const job = newest;
  setTimeout(() => { if (job === newest) ask(); }, MILLISECONDS_OF_TYPING);
}

async function open(chosen) {
  try {
    if (chosen.size > MOST_FILE_BYTES) throw new Error(`${chosen.name} is larger than 50 MiB: charseq predict reads it.`);
    const bytes = await chosen.arrayBuffer();
    let text;
    try {
      text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    } catch {
      throw new Error(`${chosen.name} is not in UTF-8.`);
    }
    file = { text, isCsv: chosen.name.toLowerCase().endsWith(".csv") };
    element("opened-name").replaceChildren(...shown(chosen.name));
    element("opened").hidden = false;
    changed();
  } catch (error) {
    fail(error);
  }
}

function close() {
  file = null;
  element("opened").hidden = true;
  element("file").value = "";
}

function askForToken() {
  clear("");
  element("token-note").textContent = token
    ? "The server does not know this token."
    : "It is kept until this page is closed or loaded again.";
  element("token-form").hidden = false;
  element("token").focus();
}

/* What is shown */

function make(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

function say(text) {
  element("status").textContent = text;
}

function clear(text) {
  say(text);
  answered = { rows: [], version: 0 };
  isLost = false;
  for (const id of ["answers", "top", "error"]) element(id).hidden = true;
}

function fail(error) {
  clear("");
  isLost = error instanceof Unreachable;
  element("error").textContent = error.message;
  element("error").hidden = false;
}

// Returns a text as nodes: what is invisible, or turns the direction of others, by its number.
function shown(text) {
  return text.split(/([\p{Cc}\p{Cf}\p{Zl}\p{Zp}])/u).map((part, place) =>
    place % 2 ? make("i", "", `\\u{${part.codePointAt(0).toString(16)}}`) : part);
}

function bar(share) {
  const inner = document.createElement("i");
  inner.style.width = percent(share).replace(" ", "");
  const outer = make("span", "bar", inner);
  outer.ariaHidden = "true";
  return outer;
}

function levelOf(share) {
  const level = STEPS.filter((step) => Math.abs(share) >= step).length;
  return share > 0 ? level : -level;
}

// Returns the characters, each with those that combine with it, and their strongest influence.
function clustersOf(text, influence) {
  const clusters = [];
  Array.from(text).forEach((character, place) => {
    const value = influence[place] ?? 0, last = clusters.at(-1);
    if (!last || !/\p{M}/u.test(character)) clusters.push({ text: character, value });
    else {
      last.text += character;
      if (Math.abs(value) > Math.abs(last.value)) last.value = value;
    }
  });
  return clusters;
}

// Returns a sequence, with the characters that speak for or against the label marked.
function marked(row) {
  const influence = row.influence ?? [], text = make("span", "text");
  const scale = Math.max(LEAST_SCALE, ...influence.map(Math.abs));
  const clusters = clustersOf(row.read ?? row.sequence, influence);
  for (const { text: characters, value } of clusters.slice(0, CHARACTERS_SHOWN)) {
    const level = levelOf(value / scale);
    if (!level) text.append(...shown(characters));
    else {
      const mark = make("b", `${level > 0 ? "for" : "against"}${Math.abs(level)}`, ...shown(characters));
      mark.title = `${value > 0 ? "for" : "against"} ${row.label}: ${value.toFixed(2)}`;
      text.append(mark);
    }
  }
  const isCut = row.read === undefined ? false : Array.from(row.sequence).length > Array.from(row.read).length;
  if (isCut || clusters.length > CHARACTERS_SHOWN) text.append("…");
  return text;
}

function line(row) {
  const sequence = make("td", "", marked(row));
  if (row.rejected) {
    const reason = make("td", "rejected", `no answer: ${REASONS[row.rejected] ?? row.rejected}`);
    reason.colSpan = 3;
    return make("tr", "", sequence, reason);
  }
  if (row.strangeness >= STRANGE) {
    const strange = make("span", "strange", "strange");
    strange.title = "unlike the sequences of the training";
    sequence.append(" ", strange);
  }
  const labels = row.set ? `{${row.set.join(", ")}}` : "";
  return make("tr", "", sequence, make("td", "", ...shown(row.label)),
    make("td", "", percent(row.probability), bar(row.probability)), make("td", "", ...shown(labels)));
}

function summary({ rows: found, version }) {
  const [first] = found, by = `by version ${version}`;
  if (found.length === 1 && !first.rejected) return `${first.label}, ${percent(first.probability)}, ${by}`;
  const rejected = found.filter((row) => row.rejected).length;
  const strange = found.filter((row) => row.strangeness >= STRANGE).length;
  const notes = [rejected && `${rejected} without an answer`, strange && `${strange} strange`].filter(Boolean);
  return [`${plural(found.length, "sequence")} answered ${by}`, ...notes].join(", ");
}

function show(found, top) {
  const { rows } = found;
  clear(summary(found));
  answered = found;
  element("rows").replaceChildren(...rows.slice(0, ROWS_SHOWN).map(line));
  element("more").textContent = rows.length > ROWS_SHOWN
    ? `The first ${ROWS_SHOWN} of ${plural(rows.length, "sequence")}; the CSV has all of them.` : "";
  element("legend").hidden = !card.answers.influence;
  element("set-head").textContent = card.answers.coverage ? "Set at 95 %" : "";
  element("answers").hidden = false;
  element("top-labels").replaceChildren(...top.map(([label, probability]) =>
    make("li", "", make("span", "name", ...shown(label)), bar(probability), make("span", "number", percent(probability)))));
  element("top").hidden = !top.length;
}

function facts() {
  const { evaluation, labels } = card, rows = [];
  const add = (name, value) => { if (value !== undefined && value !== null && value !== "") rows.push([name, String(value)]); };
  add("Labels", labels && `${labels.length.toLocaleString("en")}: ${labels.slice(0, 20).join(", ")}${labels.length > 20 ? ", …" : ""}`);
  add("Trained on", card.train_rows !== undefined ? plural(card.train_rows, "row") : "");
  add("Dataset", card.dataset);
  add("Reads", card.max_length && `the first ${plural(card.max_length, "character")}; it knows ${card.alphabet_size.toLocaleString("en")} different ones`);
  if (evaluation) {
    const score = (name) => evaluation[name]?.toFixed(4);
    const measured = evaluation.rows ? ` on ${plural(evaluation.rows, `${evaluation.split} row`)}` : "";
    add("Accuracy", score("accuracy") && `${score("accuracy")}${measured}`);
    add("Macro F1", score("macro_f1"));
    add("Log loss", score("loss"));
    add("Calibration error", score("calibration_error"));
  }
  add("Promoted", card.promoted?.replace("T", " ").replace("+00:00", " UTC"));
  return rows;
}

function showCard() {
  document.title = card.name;
  element("model").hidden = false;
  element("name").textContent = card.name;
  element("version").textContent = `Version ${card.version}`;
  element("card").replaceChildren(...facts().flatMap(([name, value]) =>
    [make("dt", "", name), make("dd", "", ...shown(value))]));
}

function download() {
  const address = URL.createObjectURL(new Blob([toCsv(answered)], { type: "text/csv" }));
  const link = make("a", "");
  link.href = address;
  link.download = `${card.name}-${answered.version}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

/* Events */

element("sequences").addEventListener("input", () => { close(); changed(); });
element("file").addEventListener("change", (event) => { if (event.target.files[0]) open(event.target.files[0]); });
element("close").addEventListener("click", () => { close(); element("sequences").focus(); changed(); });
element("download").addEventListener("click", download);
element("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  token = element("token").value.trim();
  element("token").value = "";
  element("token-form").hidden = true;
  element("sequences").focus();
  newest++;
  ask();
});

// Text that is dragged goes into the field, as everywhere; a file is opened.
const hasFile = (event) => event.dataTransfer?.types.includes("Files");
addEventListener("dragover", (event) => {
  if (!hasFile(event)) return;
  event.preventDefault();
  document.body.classList.add("dropping");
});
addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("dropping"); });
addEventListener("drop", (event) => {
  if (!hasFile(event)) return;
  event.preventDefault();
  document.body.classList.remove("dropping");
  open(event.dataTransfer.files[0]);
});

// A version that was promoted meanwhile answers what was asked again.
async function watch() {
  if (document.hidden || isAsking || !element("token-form").hidden) return;
  try {
    if (!card || isLost || await look()) changed();
  } catch (error) {
    if (error instanceof NeedsToken) askForToken();
  }
}
setInterval(watch, MILLISECONDS_BETWEEN_LOOKS);
ask();
