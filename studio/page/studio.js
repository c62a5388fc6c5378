// The page: voices, then one voice in steps: room, consent, lines. No library, nothing from other hosts.

import { LANGUAGES, WORDS } from "/words.js";
import { Recorder } from "/recorder.js";
import { PushPanel } from "/push.js";

const COUNT_MS = 450;
const MEASURE_MS = 3200;
const POLL_MS = 4000;
const KINDS = /\.(wav|flac|mp3|ogg|opus|m4a|aac|webm|mp4|list|csv|tsv|txt|zip)$/i;

const find = id => document.getElementById(id);
const all = selector => [...document.querySelectorAll(selector)];
const pause = ms => new Promise(done => setTimeout(done, ms));
const remembered = name => { try { return localStorage.getItem(`timbre.${name}`); } catch { return null; } };
const remember = (name, value) => { try { localStorage.setItem(`timbre.${name}`, value); } catch { /* private mode */ } };
const make = (tag, text = "", more = {}) => Object.assign(document.createElement(tag), { textContent: text }, more);

let language = remembered("language") || (navigator.language.startsWith("zh") ? "zh" : "en");
let state = null;      // what GET /api/state says
let voice = null;      // what GET /api/voices/NAME says
let step = "room";
let chosen = "";       // id of the line that is shown
let again = [];        // ids of the lines that a red gate asks for
let unsent = null;     // a take that could not be saved: { send, blob }
let busy = "";         // "", "count", "record", "send"
let sound = null;      // what is being listened to
let dropped = [];
let measured = null;
let told = null;       // the last message, to be said again in the other language

const mayRecord = () => !state || state.may.includes("record");
const word = (name, ...more) => {
  const found = WORDS[language][name];
  return typeof found === "function" ? found(...more) : found;
};

class Refusal extends Error {
  constructor(status, error) {
    super(error.message);
    Object.assign(this, { status, code: error.code, message: error.message, values: error.values ?? {} });
  }
}

async function call(method, path, body) {
  const headers = { "x-timbre-studio": "1" };
  if (body && !(body instanceof Blob)) { headers["content-type"] = "application/json"; body = JSON.stringify(body); }
  let answer;
  try {
    answer = await fetch(path, { method, body, headers });
  } catch {
    throw new Refusal(0, { code: "away", message: "no answer" });
  }
  if (answer.status === 204) return null;
  if (answer.ok && answer.headers.get("content-type")?.startsWith("audio/")) return answer.blob();
  const found = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refusal(answer.status, found.error ?? { code: "other", message: `HTTP ${answer.status}` });
  return found;
}

function reason(error) {
  const known = { NotAllowedError: "permission", SecurityError: "insecure", NotSupportedError: "insecure", NotFoundError: "no-microphone",
    NotReadableError: "no-microphone", OverconstrainedError: "no-microphone" };
  const code = error.code && typeof error.code === "string" ? error.code : known[error.name] ?? "other";
  const words = WORDS[language].errors;
  const found = words[code] ?? words.other;
  return typeof found === "function" ? found({ ...error.values, message: error.message }) : found;
}

function say(error) {
  told = error;
  find("message").textContent = error ? reason(error) : "";
}

function notice(text, action) {
  find("notice").replaceChildren(text);
  if (action) {
    const button = make("button", word("undo"), { type: "button" });
    button.addEventListener("click", () => { notice(""); action(); });
    find("notice").append(" ", button);
  }
}

const attempt = work => async event => {
  event?.preventDefault?.();
  say(null);
  try { await work(event); } catch (error) { say(error); if (!(error instanceof Refusal)) console.warn(error); }
};

// --- microphone ------------------------------------------------------------------------------------------------------

const recorder = new Recorder({
  onLevel: level => {
    const shown = Math.max(-60, Math.min(0, level));
    find("meter").setAttribute("aria-valuenow", Math.round(shown));
    find("meter").firstElementChild.style.width = `${(shown + 60) / 0.6}%`;
    find("meter").dataset.hot = level > -8;
    if (levels) levels.push(level);
  },
  onLost: recorded => {
    finish = null;
    setBusy("");
    if (recorded) say({ code: "lost" });
  },
  onSilence: () => { if (find("auto").checked || step === "consent") finish?.(); },
});
let finish = null;
let levels = null;

async function openMicrophone() {
  recorder.device = remembered("microphone") ?? "";
  try {
    await recorder.start();
  } catch (error) {
    if (error.name !== "OverconstrainedError") throw error;
    recorder.device = "";
    await recorder.start();
  }
  const list = find("microphone");
  const current = recorder.stream.getAudioTracks()[0].getSettings().deviceId;
  list.replaceChildren(...(await recorder.devices()).map(device => make("option", device.label || device.deviceId, { value: device.deviceId, selected: device.deviceId === current })));
}

function setBusy(now) {
  busy = now;
  if (now === "") find("state").textContent = "";
  document.body.dataset.busy = now;
  controls();
}

async function capture() {
  // Counts down, records until it is stopped, by hand or by a pause. The WAV file, or null where the microphone went.
  await openMicrophone();
  stopSound();
  setBusy("count");
  for (const number of [3, 2, 1]) {
    find("state").textContent = word("ready", number);
    await pause(COUNT_MS);
    if (!recorder.open) return null;
  }
  setBusy("record");
  find("state").textContent = word("speak");
  recorder.begin();
  const ended = new Promise(done => { finish = () => done(true); });
  const lost = new Promise(done => {
    const look = setInterval(() => { if (!recorder.open) { clearInterval(look); done(false); } if (busy !== "record") clearInterval(look); }, 100);
  });
  const whole = await Promise.race([ended, lost]);
  finish = null;
  const blob = whole ? recorder.end() : null;
  setBusy(blob ? "send" : "");
  find("state").textContent = blob ? word("judging") : "";
  return blob;
}

async function deliver(path, blob) {
  // A take that cannot be saved waits here, and the page says so before it is closed.
  unsent = { path, blob };
  setBusy("send");
  find("state").textContent = word("judging");
  try {
    accept(await call("PUT", path, blob));
    unsent = null;
    draw(blob);
  } catch (error) {
    const hopeless = ["too-short", "too-long", "no-sound", "no-line"].includes(error.code);
    if (hopeless) unsent = null;
    throw error;
  } finally {
    setBusy("");
  }
}

// --- listening -------------------------------------------------------------------------------------------------------

async function listen(path) {
  if (sound) { stopSound(); return; }
  sound = new Audio(`${path}?at=${voice.revision}`);
  sound.addEventListener("ended", stopSound);
  sound.addEventListener("error", stopSound);
  controls();
  await sound.play();
}

function stopSound() {
  sound?.pause();
  sound = null;
  controls();
}

async function draw(blob) {
  const canvas = find("wave");
  const samples = new Int16Array((await blob.arrayBuffer()).slice(44));
  const paper = canvas.getContext("2d");
  const middle = canvas.height / 2;
  canvas.hidden = false;
  paper.clearRect(0, 0, canvas.width, canvas.height);
  paper.fillStyle = getComputedStyle(document.body).getPropertyValue("--wave");
  for (let x = 0; x < canvas.width; x += 3) {
    const part = samples.subarray(Math.floor(x / canvas.width * samples.length), Math.floor((x + 3) / canvas.width * samples.length));
    const top = part.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / 32768;
    paper.fillRect(x, middle - Math.max(1, top * middle), 2, Math.max(2, 2 * top * middle));
  }
}

// --- one voice -------------------------------------------------------------------------------------------------------

const address = (...more) => `/api/voices/${[voice.name, ...more].map(encodeURIComponent).join("/")}`;
const line = () => voice?.lines.find(item => item.id === chosen);

function accept(found) {
  if (!found) return;
  voice = found;
  if (!line()) chosen = voice.next || voice.lines[0]?.id || "";
  show();
}

async function open(name, at) {
  const answer = await call("GET", `/api/voices/${encodeURIComponent(name)}`);
  chosen = answer.next;
  again = [];
  voice = null;
  pushPanel.clear();
  find("preview").reset();
  find("preview-sound").hidden = true;
  find("wave").hidden = true;
  step = at ?? (!mayRecord() ? "push" : answer.consent.kind === "recorded" && !answer.consent.recorded ? "room" : "record");
  accept(answer);
  if (step === "push") attempt(() => pushPanel.open())();
  if (mayRecord()) judgeWaiting();
}

async function judgeWaiting() {
  // Takes of an import, or of an earlier version, one after the other.
  const name = voice.name;
  while (voice?.name === name && voice.waiting.length) {
    const before = voice.waiting.length;
    accept(await call("POST", address("takes", voice.waiting[0], "judge")).catch(() => null));
    if (voice?.waiting.length >= before) return;
  }
}

function problemWords(items, tag) {
  return items.map(item => {
    const kind = item.kind.replace(/-left-out$/, "");
    const known = WORDS[language].problems[kind];
    if (known) return make("li", kind === item.kind ? known : `${known} ${word("leftOut")}`, { className: tag });
    const row = make("li", "", { className: tag });
    // What has no words of the page is said as the pipeline says it, in English.
    row.append(word("told", ""), make("span", `${item.value} → ${item.remedy}`, { lang: "en" }));
    return row;
  });
}

function verdict(place, take) {
  place.replaceChildren();
  place.dataset.state = "";
  if (!take) return;
  if (take.good === null || take.good === undefined) { place.textContent = word("unjudged"); return; }
  place.dataset.state = take.good ? "good" : "bad";
  place.append(make("strong", word(take.good ? "good" : "bad")));
  const list = make("ul");
  list.append(...problemWords(take.problems, "problem"), ...problemWords(take.remarks, "remark"));
  if (take.missed?.length) {
    const row = make("li", word("pair", word("heardWords"), ""), { className: "remark" });
    row.append(make("span", word("list", take.missed), { lang: line().language }));
    list.append(row);
  }
  if (list.childElementCount) place.append(list);
  if (take.speech_s) place.append(make("p", word("figures", take.speech_s, take.snr_db, take.level_dbfs), { className: "quiet" }));
}

function marked(text, missed) {
  // The line, with the words that were not heard.
  const found = [];
  let rest = text;
  for (const piece of missed ?? []) {
    const at = rest.indexOf(piece);
    if (at < 0) continue;
    found.push(rest.slice(0, at), make("mark", piece));
    rest = rest.slice(at + piece.length);
  }
  return [...found, rest];
}

function show() {
  // Before the state is there, the forms have no base to offer.
  find("home").hidden = Boolean(voice) || !state;
  find("voice").hidden = !voice;
  find("where").textContent = state ? state.repository : "";
  document.title = voice ? `${voice.name} · ${word("title")}` : word("title");
  if (!voice) return;
  find("voice-name").textContent = `${voice.name} · ${LANGUAGES[language][voice.language] ?? voice.language} · ${voice.base}`;
  all("#steps button").forEach(button => {
    if (button.dataset.step === step) button.setAttribute("aria-current", "step"); else button.removeAttribute("aria-current");
    button.hidden = button.dataset.step !== "push" && !mayRecord();
    button.dataset.done = button.dataset.step === "consent" ? voice.consent.good || voice.consent.kind !== "recorded"
      : button.dataset.step === "record" ? voice.progress.speech_s >= voice.progress.needed_s
        : button.dataset.step === "room" ? Boolean(measured) : Boolean(pushPanel.done ?? pushPanel.plan?.pushed);
  });
  all("[data-panel]").forEach(panel => { panel.hidden = panel.dataset.panel !== step; });
  showConsent();
  showLine();
  showProgress();
  showLines();
  find("meter-bar").hidden = step === "push";
  controls();
}

function showConsent() {
  const { consent } = voice;
  const needed = consent.kind === "recorded";
  find("rights").hidden = !needed || Boolean(consent.speaker && consent.purpose);
  find("consent-help").textContent = needed ? word("consentHelp") : word("notNeeded", consent.kind);
  find("consent-text").textContent = consent.text;
  find("consent-text").lang = voice.language;
  find("consent-text").hidden = find("consent-actions").hidden = find("withdraw").hidden = !needed;
  find("withdraw-help").textContent = word("withdrawHelp", voice.name);
  const place = find("consent-verdict");
  place.replaceChildren();
  place.dataset.state = "";
  if (!needed) return;
  if (!consent.recorded) { place.textContent = word("consentNone"); return; }
  place.dataset.state = consent.good ? "good" : "bad";
  place.append(make("strong", word(consent.good ? "consentGood" : "bad")));
  const list = make("ul");
  list.append(...problemWords(consent.problems, "problem"), ...problemWords(consent.remarks, "remark"));
  if (list.childElementCount) place.append(list);
}

function showLine() {
  const now = line();
  if (!now) return;
  find("line-number").textContent = word("line", voice.lines.indexOf(now) + 1, voice.lines.length);
  find("line-text").replaceChildren(...marked(now.text, now.take?.missed));
  find("line-text").lang = now.language;
  verdict(find("verdict"), now.take);
}

function showProgress() {
  const { speech_s, needed_s, heard, missing } = voice.progress;
  find("speech").max = needed_s;
  find("speech").value = Math.min(speech_s, needed_s);
  find("speech-words").textContent = word("speech", speech_s, needed_s);
  find("sounds").max = Math.max(1, heard.length + missing.length);
  find("sounds").value = heard.length;
  find("sounds-words").textContent = word("sounds", heard.length, heard.length + missing.length);
  const unread = voice.lines.some(item => !item.take);
  const sentence = find("preview").elements.text;
  if (!sentence.value) sentence.value = WORDS[language].previewSamples[voice.language] ?? "";
  find("enough").textContent = speech_s >= needed_s ? word(unread ? "enough" : "allRead") : "";
  find("missing").textContent = missing.length && heard.length ? word("pair", word("missing"), missing.join(" ")) : "";
  const place = find("voice-problems");
  place.replaceChildren();
  place.dataset.state = voice.room.length ? "bad" : "";
  if (voice.room.length) place.append(...problemWords(voice.room, "problem").map(item => make("p", item.textContent)));
}

function showLines() {
  const rows = voice.lines.map((item, index) => {
    const row = make("li");
    const button = make("button", "", { type: "button", className: "line" });
    const take = item.take;
    const status = !take ? "none" : take.good === null ? "wait" : take.good ? "good" : "bad";
    button.dataset.state = status;
    if (item.id === chosen) button.setAttribute("aria-current", "true");
    const text = make("span", item.text, { className: "text" });
    text.lang = item.language;
    button.append(make("span", String(index + 1), { className: "number" }), text);
    if (take) {
      const label = status === "good" ? word("seconds", take.speech_s) : word(status === "wait" ? "unjudged" : "bad");
      button.append(make("span", label, { className: "tag" }));
    }
    button.addEventListener("click", () => { chosen = item.id; stopSound(); find("wave").hidden = true; show(); find("line-record").focus(); scrollTo({ top: 0 }); });
    row.append(button);
    return row;
  });
  find("lines").replaceChildren(...rows);
}

function controls() {
  if (!voice) return;
  const now = line();
  const recording = busy === "record";
  for (const [id, label] of [["line-record", now?.take ? "again" : "start"], ["consent-record", voice.consent.recorded ? "again" : "start"]]) {
    find(id).textContent = recording ? word("stop") : word(label);
    find(id).disabled = busy === "count" || busy === "send";
    find(id).dataset.recording = recording;
  }
  const { consent } = voice;
  if (!find("rights").hidden) find("consent-record").disabled = true;
  find("consent-listen").disabled = Boolean(busy) || !consent.recorded;
  find("consent-on").disabled = Boolean(busy);
  find("line-listen").disabled = Boolean(busy) || !now?.take;
  find("line-listen").textContent = find("consent-listen").textContent = word(sound ? "playing" : "listen");
  find("line-next").disabled = Boolean(busy);
  find("line-delete").disabled = Boolean(busy) || !now?.take;
  find("line-back").hidden = !now?.deleted;
  find("line-back").disabled = Boolean(busy);
  find("send-again").hidden = !unsent || Boolean(busy);
  find("measure").disabled = Boolean(busy);
}

function showMeasured() {
  const place = find("measured");
  place.textContent = "";
  place.dataset.state = "";
  find("room-on").hidden = !measured;
  if (!measured) return;
  place.dataset.state = measured.verdict === "loud" ? "bad" : "good";
  place.textContent = [word(measured.verdict, measured.level_dbfs), ...measured.advice.map(item => WORDS[language].advice[item])].join(language === "zh" ? "" : " ");
}

const pushPanel = new PushPanel({
  call, word, find, make, attempt, problemWords, words: () => WORDS[language], language: () => language, voice: () => voice,
  address: (...more) => address(...more), toLine: id => { chosen = id; goTo("record"); },
  toLines: ids => { again = ids; chosen = ids[0]; goTo("record"); if (ids.length > 1) notice(word("againQueue", ids.length)); },
});

// --- actions ---------------------------------------------------------------------------------------------------------

const recordLine = attempt(async () => {
  if (busy === "record") { finish?.(); return; }
  if (busy) return;
  find("wave").hidden = true;
  const now = chosen;
  const blob = await capture();
  if (blob) await deliver(address("takes", now), blob);
});

const recordConsent = attempt(async () => {
  if (busy === "record") { finish?.(); return; }
  if (busy) return;
  const blob = await capture();
  if (blob) await deliver(address("consent"), blob);
});

function nextLine() {
  if (busy) return;
  stopSound();
  find("wave").hidden = true;
  const asked = again.length > 0;
  again = again.filter(id => id !== chosen && voice.lines.some(item => item.id === id));
  if (asked) notice(again.length ? word("againQueue", again.length) : word("againDone"));
  const unread = voice.next && voice.next !== chosen ? voice.next : "";
  const index = voice.lines.findIndex(item => item.id === chosen);
  chosen = again[0] || unread || voice.lines[(index + 1) % voice.lines.length].id;
  show();
  find("line-record").focus();
}

const removeTake = attempt(async () => {
  const now = chosen;
  accept(await call("DELETE", address("takes", now)));
  find("wave").hidden = true;
  notice(word("deleted"), attempt(async () => { chosen = now; accept(await call("POST", address("takes", now, "back"))); }));
});

const measureRoom = attempt(async () => {
  await openMicrophone();
  setBusy("count");
  find("measured-count").textContent = word("measuring");
  levels = [];
  recorder.begin();
  await pause(MEASURE_MS);
  const blob = recorder.end();
  const found = levels.sort((a, b) => a - b);
  levels = null;
  find("measured-count").textContent = "";
  setBusy("");
  if (!blob) throw { code: "lost" };
  measured = await call("POST", "/api/quiet", blob);
  // What a pause sounds like here; a measurement in which somebody spoke says nothing about that.
  if (!measured.advice.includes("spoken")) recorder.quiet = Math.max(-75, Math.min(-40, found[Math.floor(found.length / 2)] ?? -60));
  showMeasured();
  show();
});

const hearPreview = attempt(async () => {
  const form = find("preview").elements;
  stopSound();
  find("previewing").textContent = word("previewing");
  find("preview-now").disabled = true;
  try {
    const spoken = await call("POST", address("preview"), { text: form.text.value.trim() });
    const player = find("preview-sound");
    if (player.src) URL.revokeObjectURL(player.src);
    player.src = URL.createObjectURL(spoken);
    player.setAttribute("aria-label", word("preview"));
    player.hidden = false;
    await player.play();
  } finally {
    find("previewing").textContent = "";
    find("preview-now").disabled = false;
  }
});

function goTo(name, leading = false) {
  // leading: by a button that leads on, not by the row of steps.
  if (busy) return;
  step = name;
  stopSound();
  find("wave").hidden = true;
  say(null);
  notice("");
  show();
  if (name === "push") attempt(() => pushPanel.open())();
  // Space is to record at once, as the page says.
  const first = { record: "line-record", consent: "consent-record", room: "measure" }[name];
  const main = first && find(first);
  (main && !main.disabled && (name === "record" || leading) ? main : document.querySelector(`[data-step="${name}"]`))?.focus();
}

// --- home ------------------------------------------------------------------------------------------------------------

async function home() {
  recorder.close();
  voice = null;
  state = await call("GET", "/api/state");
  find("new").hidden = find("bring").hidden = !mayRecord();
  showHome();
  show();
}

function showHome() {
  const list = find("voices");
  list.replaceChildren(...state.voices.map(item => {
    const row = make("li");
    const button = make("button", "", { type: "button" });
    button.append(make("strong", item.name), make("span", `${LANGUAGES[language][item.language] ?? item.language} · ${item.base} · ${word("recordings", item.clips)}`, { className: "quiet" }));
    button.addEventListener("click", attempt(() => open(item.name)));
    row.append(button);
    return row;
  }));
  if (!state.voices.length) list.append(make("li", word("noVoices"), { className: "quiet" }));
  for (const form of [find("new"), find("bring")]) {
    const { language: spoken, base } = form.elements;
    const before = spoken.value || (language === "zh" ? "zh" : "en");
    spoken.replaceChildren(...state.languages.map(code => make("option", LANGUAGES[language][code], { value: code, selected: code === before })));
    listBases(spoken.value, base);
  }
  find("new").elements.purpose.placeholder = word("purposeExample");
  find("chosen").textContent = dropped.length ? word("chosen", dropped.length) : "";
}

function listBases(spoken, select) {
  const before = select.value;
  const fitting = state.bases.filter(base => base.languages.includes(spoken));
  select.replaceChildren(...fitting.map(base => make("option", base.here ? base.name : `${base.name}${word("aside", word("baseAway"))}`, { value: base.name, selected: base.name === before })));
}

function choose(files) {
  // files: [path, File]. Hidden files and kinds that nobody reads are left out.
  dropped = files.filter(([path]) => KINDS.test(path) && !path.split("/").some(part => part.startsWith(".")));
  find("bring-more").hidden = !dropped.length;
  find("chosen").textContent = word("chosen", dropped.length);
  if (dropped.length) find("bring").elements.name.focus();
}

async function entriesOf(entry, before = "") {
  if (entry.isFile) return [[`${before}${entry.name}`, await new Promise((done, wrong) => entry.file(done, wrong))]];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const part = await new Promise((done, wrong) => reader.readEntries(done, wrong));
    if (!part.length) return found;
    for (const item of part) found.push(...await entriesOf(item, `${before}${entry.name}/`));
  }
}

const importAll = attempt(async () => {
  const { name, language: spoken, base } = find("bring").elements;
  if (!name.value.trim()) { name.focus(); throw { code: "field", values: { field: word("name") } }; }
  const { number } = await call("POST", "/api/imports");
  for (const [index, [path, file]] of dropped.entries()) {
    find("chosen").textContent = word("importing", index + 1, dropped.length);
    await call("PUT", `/api/imports/${number}/file?name=${encodeURIComponent(path)}`, file);
  }
  const made = await call("POST", `/api/imports/${number}`, { name: name.value.trim(), language: spoken.value, base: base.value });
  dropped = [];
  find("bring").reset();
  find("bring-more").hidden = true;
  find("chosen").textContent = "";
  step = "consent";
  pushPanel.clear();
  chosen = made.next;
  accept(made);
  notice(word("imported", made.rows));
  if (made.notes.length) find("notice").append(" ", word("pair", word("notes"), ""), make("span", made.notes.join("; "), { lang: "en" }));
  judgeWaiting();
});

const makeVoice = attempt(async () => {
  const form = find("new").elements;
  for (const [key, label] of [["name", "name"], ["speaker", "speaker"], ["purpose", "purpose"]]) {
    if (!form[key].value.trim()) { form[key].focus(); throw { code: "field", values: { field: word(label) } }; }
  }
  const values = Object.fromEntries(["name", "speaker", "language", "base", "purpose"].map(key => [key, form[key].value.trim()]));
  const made = await call("POST", "/api/voices", values);
  find("new").reset();
  step = "room";
  pushPanel.clear();
  chosen = made.next;
  accept(made);
  document.querySelector('[data-step="room"]').focus();
});

// --- words, keys, start ----------------------------------------------------------------------------------------------

function translate() {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  all("[data-word]").forEach(item => { item.textContent = word(item.dataset.word); });
  all("[data-label]").forEach(item => item.setAttribute("aria-label", word(item.dataset.label)));
  find("language").textContent = language === "zh" ? "English" : "中文";
  find("language").lang = language === "zh" ? "en" : "zh-CN";
  if (state) showHome();
  showMeasured();
  notice("");
  if (told) say(told);
  if (voice) pushPanel.show();
  show();
}

function bind() {
  find("language").addEventListener("click", () => { language = language === "zh" ? "en" : "zh"; remember("language", language); translate(); });
  find("leave").addEventListener("click", attempt(() => { if (!busy) return home(); }));
  all("#steps button").forEach(button => button.addEventListener("click", () => goTo(button.dataset.step)));
  find("measure").addEventListener("click", measureRoom);
  find("room-on").addEventListener("click", () => goTo(voice.consent.kind === "recorded" ? "consent" : "record", true));
  find("microphone").addEventListener("change", attempt(async event => { remember("microphone", event.target.value); recorder.close(); await openMicrophone(); }));
  find("consent-record").addEventListener("click", recordConsent);
  find("consent-listen").addEventListener("click", attempt(() => listen(address("consent"))));
  find("consent-on").addEventListener("click", () => goTo("record"));
  find("withdraw-name").addEventListener("input", event => { find("withdraw-now").disabled = event.target.value !== voice.name; });
  find("withdraw-now").addEventListener("click", attempt(async () => {
    const found = await call("DELETE", address("consent"), { voice: voice.name });
    find("withdraw-name").value = "";
    find("withdraw-now").disabled = true;
    accept(found);
    notice(word("withdrawn", found.removed));
  }));
  find("rights").addEventListener("submit", attempt(async event => {
    const form = event.target.elements;
    for (const key of ["speaker", "purpose"]) if (!form[key].value.trim()) { form[key].focus(); throw { code: "field", values: { field: word(key) } }; }
    accept(await call("POST", address("rights"), { speaker: form.speaker.value.trim(), purpose: form.purpose.value.trim() }));
    find("consent-record").focus();
  }));
  find("line-record").addEventListener("click", recordLine);
  find("line-listen").addEventListener("click", attempt(() => listen(address("takes", chosen))));
  find("line-next").addEventListener("click", nextLine);
  find("line-delete").addEventListener("click", removeTake);
  find("line-back").addEventListener("click", attempt(async () => { accept(await call("POST", address("takes", chosen, "back"))); notice(word("restored")); }));
  find("send-again").addEventListener("click", attempt(() => deliver(unsent.path, unsent.blob)));
  find("preview").addEventListener("submit", hearPreview);
  find("new").addEventListener("submit", makeVoice);
  find("bring").addEventListener("submit", importAll);
  for (const form of [find("new"), find("bring")]) form.elements.language.addEventListener("change", event => listBases(event.target.value, form.elements.base));
  find("files").addEventListener("change", event => choose([...event.target.files].map(file => [file.name, file])));
  find("folder").addEventListener("change", event => choose([...event.target.files].map(file => [file.webkitRelativePath, file])));
  const drop = find("drop");
  for (const kind of ["dragover", "dragenter"]) drop.addEventListener(kind, event => { event.preventDefault(); drop.dataset.over = true; });
  for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, () => { delete drop.dataset.over; });
  drop.addEventListener("drop", attempt(async event => {
    const entries = [...event.dataTransfer.items].map(item => item.webkitGetAsEntry()).filter(Boolean);
    choose((await Promise.all(entries.map(entry => entriesOf(entry)))).flat());
  }));
  addEventListener("keydown", event => {
    const typing = event.target.closest("input:not([type=checkbox]), textarea, select, summary, button, a");
    if (!voice || step !== "record" || event.repeat || (typing && typing.id !== "line-record")) return;
    if (event.code === "Space" && !typing) { event.preventDefault(); recordLine(); }
    if (event.code === "Enter") { event.preventDefault(); nextLine(); }
  });
  addEventListener("beforeunload", event => { if (unsent || busy === "record") event.preventDefault(); });
  setInterval(async () => {
    // Another tab or device may work on the same voice.
    if (!voice || busy || document.hidden) return;
    const name = voice.name;
    const found = await call("GET", `${address()}?since=${voice.revision}`).catch(() => null);
    if (!found || busy || voice?.name !== name || found.revision === voice.revision) return;
    accept(found);
    notice(word("another"));
  }, POLL_MS);
}

bind();
pushPanel.bind();
translate();
attempt(home)();
