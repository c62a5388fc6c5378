// The page: choose a voice, type, hear it as it is spoken, compare two versions. No library, nothing from other hosts.

const WORDS = {
  en: {
    voice: "Voice", speed: "Speed", seed: "Seed", seedHelp: "-1: a different reading each time", text: "Text",
    keys: "Ctrl+Enter to speak, Escape to stop", speak: "Speak", stop: "Stop", compare: "Compare two versions",
    key: "API key", version: "Version", forPrograms: "For programs", play: "Play", save: "Save WAV",
    synthetic: "All speech here is synthetic. Voices are made only with their owners' consent.",
    first: "First audio", length: "Length", factor: "Real-time factor", spokenBy: "Version", seconds: "s",
    ready: n => `ready, ${n} ${n === 1 ? "voice" : "voices"}`, starting: "starting", down: "the server is not responding",
    degraded: "works, with problems:", noVoices: "no voice published yet", characters: (n, most) => most ? `${n} of ${most} characters` : `${n} characters`,
    sample: "Good morning. This voice was made by a commit.", production: "in production", notPassed: "failed its gates",
    unspoken: "Skipped characters", base: "base", languages: "speaks", rights: "rights", broken: "The speech was interrupted.", wave: "waveform",
    lane: x => `Version ${x}`, one: "Speech", since: "since",
  },
  zh: {
    voice: "声音", speed: "语速", seed: "随机种子", seedHelp: "-1：每次读法不同", text: "文本",
    keys: "Ctrl+Enter 朗读，Esc 停止", speak: "朗读", stop: "停止", compare: "比较两个版本",
    key: "API 密钥", version: "版本", forPrograms: "供程序调用", play: "播放", save: "保存 WAV",
    synthetic: "这里的语音全部是合成的。制作声音须经本人同意。",
    first: "首个声音", length: "时长", factor: "实时率", spokenBy: "版本", seconds: "秒",
    ready: n => `就绪，${n} 个声音`, starting: "正在启动", down: "服务器没有响应",
    degraded: "可用，但有问题：", noVoices: "还没有发布的声音", characters: (n, most) => most ? `${n} / ${most} 字` : `${n} 字`,
    sample: "早上好。这个声音由一次提交生成。", production: "生产版本", notPassed: "未通过质量门",
    unspoken: "未读出的字符", base: "底模", languages: "语言", rights: "权利", broken: "语音中断了。", wave: "波形",
    lane: x => `版本 ${x}`, one: "语音", since: "发布于",
  },
};
const STREAM_HEADROOM_S = 0.06;
const POLL_MS = 5000;

const find = id => document.getElementById(id);
const remembered = name => { try { return localStorage.getItem(`timbre.${name}`); } catch { return null; } };
const remember = (name, value) => { try { localStorage.setItem(`timbre.${name}`, value); } catch { /* private mode */ } };

// A key is kept as long as this tab lives, and no longer.
const keptKey = () => { try { return sessionStorage.getItem("timbre.key"); } catch { return null; } };
const keepKey = value => { try { sessionStorage.setItem("timbre.key", value); } catch { /* private mode */ } };

let language = remembered("language") || (navigator.language.startsWith("zh") ? "zh" : "en");
let voices = [];
let touched = false;
const word = (name, ...more) => {
  const found = WORDS[language][name];
  return typeof found === "function" ? found(...more) : found;
};

class Lane {
  // One reading: its samples, its picture, its sound.
  constructor(letter) {
    const article = find("lane").content.firstElementChild.cloneNode(true);
    article.dataset.lane = letter.toLowerCase();
    find("lanes").append(article);
    this.letter = letter;
    this.article = article;
    this.name = article.querySelector("h2");
    this.canvas = article.querySelector("canvas");
    this.select = article.querySelector("select");
    this.play = article.querySelector(".play");
    this.save = article.querySelector(".save");
    this.figures = article.querySelector("dl");
    this.pieces = [];
    this.sources = [];
    this.play.addEventListener("click", () => this.replay());
    new ResizeObserver(() => this.draw()).observe(this.canvas);
  }

  reset() {
    this.stop();
    this.pieces = [];
    this.rate = 0;
    this.shown = {};
    this.play.disabled = true;
    this.save.hidden = true;
    if (this.save.href) URL.revokeObjectURL(this.save.href);
    this.article.dataset.state = "idle";
    this.draw();
    this.tell();
  }

  stop() {
    this.reading?.abort();
    this.sources.forEach(source => { try { source.stop(); } catch { /* ended already */ } });
    this.sources = [];
    this.context?.close();
    this.context = null;
    this.started = null;
  }

  async speak(body, reference) {
    // Streams raw samples and hands each piece to the speakers as soon as it is there.
    this.reset();
    this.article.dataset.state = "speaking";
    this.reading = new AbortController();
    const begun = performance.now();
    const answer = await call("/tts", {
      method: "POST", signal: this.reading.signal, headers: { "content-type": "application/json" },
      body: JSON.stringify({ ...body, spk: reference, media_type: "raw", streaming_mode: true }),
    });
    this.rate = Number(answer.headers.get("x-timbre-sample-rate"));
    this.shown.version = answer.headers.get("x-timbre-voice");
    this.shown.unspoken = Number(answer.headers.get("x-timbre-unspoken-characters"));
    this.open();
    const reader = answer.body.getReader();
    let rest = new Uint8Array(0);
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (this.shown.first === undefined) this.shown.first = (performance.now() - begun) / 1000;
      const bytes = new Uint8Array(rest.length + value.length);
      bytes.set(rest);
      bytes.set(value, rest.length);
      const whole = bytes.length & ~1;
      rest = bytes.slice(whole);
      if (whole) this.take(new Int16Array(bytes.buffer.slice(0, whole)));
    }
    this.shown.factor = (performance.now() - begun) / 1000 / Math.max(this.seconds, 0.01);
    this.finish();
  }

  async ended() {
    while (this.context && this.context.state === "running" && this.context.currentTime < this.next) await pause(50);
  }

  open() {
    this.context = new AudioContext({ sampleRate: this.rate });
    this.next = 0;
    this.started = null;
  }

  take(samples) {
    const floats = Float32Array.from(samples, value => value / 32768);
    this.pieces.push(floats);
    this.sound(floats);
    this.shown.length = this.seconds;
    this.draw();
    this.tell();
  }

  sound(floats) {
    if (!this.context || !floats.length) return;
    const buffer = this.context.createBuffer(1, floats.length, this.rate);
    buffer.copyToChannel(floats, 0);
    const source = this.context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.context.destination);
    const now = this.context.currentTime;
    this.next = Math.max(this.next, now + STREAM_HEADROOM_S);
    source.start(this.next);
    if (this.started === null) { this.started = this.next; this.follow(); }
    this.next += buffer.duration;
    this.sources.push(source);
  }

  finish() {
    this.article.dataset.state = "done";
    this.play.disabled = !this.pieces.length;
    this.save.href = URL.createObjectURL(new Blob([wav(this.pieces, this.rate)], { type: "audio/wav" }));
    this.save.download = `${(this.shown.version || "voice").replace("@", "-")}.wav`;
    this.save.hidden = false;
    this.draw();
    this.tell();
  }

  replay() {
    lanes.forEach(lane => lane.stop());
    this.open();
    this.pieces.forEach(piece => this.sound(piece));
    find("stop").disabled = false;
  }

  follow() {
    this.draw();
    if (this.context && this.context.currentTime < this.next + 0.2) requestAnimationFrame(() => this.follow());
  }

  get seconds() { return this.rate ? this.pieces.reduce((sum, piece) => sum + piece.length, 0) / this.rate : 0; }

  get heard() {
    if (!this.context || this.started === null || !this.seconds) return 0;
    return Math.min(Math.max((this.context.currentTime - this.started) / this.seconds, 0), 1);
  }

  draw() {
    const ratio = window.devicePixelRatio || 1;
    const width = this.canvas.width = Math.max(1, Math.round(this.canvas.clientWidth * ratio));
    const height = this.canvas.height = Math.max(1, Math.round(this.canvas.clientHeight * ratio));
    const paint = this.canvas.getContext("2d");
    const style = getComputedStyle(document.documentElement);
    const total = this.pieces.reduce((sum, piece) => sum + piece.length, 0);
    paint.fillStyle = style.getPropertyValue("--played");
    paint.fillRect(0, 0, width * this.heard, height);
    paint.fillStyle = style.getPropertyValue(this.letter === "A" ? "--wave" : "--wave-b");
    if (!total) { paint.globalAlpha = .3; paint.fillRect(0, height / 2 - ratio / 2, width, ratio); return; }
    const step = 3 * ratio, columns = Math.floor(width / step), each = total / columns;
    const peaks = new Float32Array(columns);
    let place = 0;
    for (const piece of this.pieces) {
      for (let index = 0; index < piece.length; index++, place++) {
        const column = Math.min(columns - 1, Math.floor(place / each));
        const level = Math.abs(piece[index]);
        if (level > peaks[column]) peaks[column] = level;
      }
    }
    const loudest = Math.max(0.02, ...peaks);
    peaks.forEach((peak, column) => {
      const tall = Math.max(ratio, peak / loudest * height * .92);
      paint.fillRect(column * step, (height - tall) / 2, step - ratio, tall);
    });
  }

  tell() {
    const shown = this.shown || {}, unit = word("seconds");
    const rows = [
      ["spokenBy", shown.version], ["first", shown.first && `${shown.first.toFixed(2)} ${unit}`],
      ["length", shown.length && `${shown.length.toFixed(2)} ${unit}`], ["factor", shown.factor?.toFixed(2)],
      ["unspoken", shown.unspoken],
    ];
    this.figures.replaceChildren(...rows.filter(row => row[1]).map(([name, value]) => {
      const box = document.createElement("div"), term = document.createElement("dt"), data = document.createElement("dd");
      term.textContent = word(name);
      data.textContent = value;
      data.dataset.figure = name;
      box.append(term, data);
      return box;
    }));
    this.canvas.setAttribute("aria-label", `${word("wave")}: ${rows.filter(r => r[1]).map(r => `${word(r[0])} ${r[1]}`).join(", ")}`);
    this.name.textContent = find("compare").checked ? word("lane", this.letter) : word("one");
    this.article.setAttribute("aria-label", this.name.textContent);
    this.play.textContent = word("play");
    this.save.textContent = word("save");
  }
}

const lanes = ["A", "B"].map(letter => new Lane(letter));
const pause = ms => new Promise(done => setTimeout(done, ms));

function wav(pieces, rate) {
  const count = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const view = new DataView(new ArrayBuffer(44 + 2 * count));
  const ascii = (at, text) => [...text].forEach((letter, index) => view.setUint8(at + index, letter.charCodeAt(0)));
  ascii(0, "RIFF"); view.setUint32(4, 36 + 2 * count, true); ascii(8, "WAVEfmt ");
  view.setUint32(16, 16, true); view.setUint16(20, 1, true); view.setUint16(22, 1, true);
  view.setUint32(24, rate, true); view.setUint32(28, 2 * rate, true); view.setUint16(32, 2, true); view.setUint16(34, 16, true);
  ascii(36, "data"); view.setUint32(40, 2 * count, true);
  let at = 44;
  for (const piece of pieces) for (const value of piece) { view.setInt16(at, Math.round(value * 32767), true); at += 2; }
  return view.buffer;
}

async function call(path, options = {}) {
  // Throws an Error with the server's own words; asks for a key where one is needed, and says so at the same moment.
  const key = find("key").value || keptKey();
  const headers = { ...options.headers, ...(key ? { authorization: `Bearer ${key}` } : {}) };
  const answer = await fetch(path, { ...options, headers });
  if (answer.ok) return answer;
  let told = {};
  try { told = await answer.json(); } catch { /* not ours */ }
  const detail = told.error || told;
  const words = [detail.message || `HTTP ${answer.status}`, detail.remedy].filter(Boolean).join(" · ");
  if (answer.status === 401) {
    find("message").textContent = words;
    find("key-row").hidden = false;
  }
  throw new Error(words);
}

function showWords() {
  document.documentElement.lang = language;
  document.querySelectorAll("[data-word]").forEach(element => { element.textContent = word(element.dataset.word); });
  const button = find("language");
  button.textContent = language === "en" ? "中文" : "English";
  button.lang = language === "en" ? "zh" : "en";
  if (!touched) find("text").value = word("sample");
  showCount();
  showAbout();
  showVersions();
  lanes.forEach(lane => lane.tell());
}

function showCount() {
  // maxLength is -1 until the server has sent its limit.
  const text = find("text");
  find("count").textContent = word("characters", text.value.length, Math.max(text.maxLength, 0));
}

const chosen = () => voices.find(voice => voice.id === find("voice").value);

function showVoices(list) {
  const usable = list.filter(voice => voice.state === "ready" || voice.versions.length);
  if (JSON.stringify(usable) === JSON.stringify(voices)) return;
  voices = usable;
  const before = find("voice").value;
  find("voice").replaceChildren(...voices.map(voice => new Option(voice.id, voice.id, false, voice.id === before)));
  showAbout();
  showVersions();
}

function showAbout() {
  const voice = chosen();
  const speech = voice?.languages.join(", ");
  find("about").textContent = !voice ? word("noVoices") : [
    voice.version && `${word("spokenBy")} ${voice.version}`, voice.base && `${word("base")} ${voice.base}`,
    speech && `${word("languages")} ${speech}`, voice.rights && `${word("rights")}: ${voice.rights}`, voice.problem,
  ].filter(Boolean).join(" · ");
  const spoken = { model: "timbre", voice: voice?.id || "NAME", input: "Good morning." };
  find("curl").textContent = `curl ${location.origin}/v1/audio/speech -H 'Content-Type: application/json' \\\n`
    + `  -d '${JSON.stringify(spoken)}' -o speech.mp3`;
}

function showVersions() {
  const voice = chosen();
  lanes.forEach((lane, index) => {
    const before = lane.select.value, versions = voice?.versions || [];
    lane.select.replaceChildren(...versions.map(version => {
      const notes = [version.created?.slice(0, 16).replace("T", " ")];
      if (version.id === voice.version) notes.push(word("production"));
      if (version.passed === false) notes.push(word("notPassed"));
      return new Option(`${version.id} · ${notes.filter(Boolean).join(" · ")}`, version.id);
    }));
    const fallback = index === 0 ? voice?.version : versions.find(version => version.id !== lanes[0].select.value)?.id;
    const wanted = versions.some(version => version.id === before) ? before : fallback || versions[0]?.id;
    if (wanted) lane.select.value = wanted;
  });
}

function showCompare() {
  const on = find("compare").checked;
  lanes[1].article.hidden = !on;
  lanes.forEach(lane => { lane.article.querySelector(".version").hidden = !on; lane.tell(); lane.draw(); });
}

async function look() {
  const health = find("health");
  try {
    const state = await (await fetch("/health")).json();
    find("text").maxLength = state.max_characters;
    showCount();
    health.dataset.state = state.status === "starting" ? "" : state.status;
    const ready = word("ready", state.voices.ready || 0);
    health.textContent = state.status === "starting" ? word("starting")
      : state.problems.length ? `${word("degraded")} ${state.problems[0]}` : ready;
    showVoices((await (await call("/v1/audio/voices")).json()).data);
  } catch (error) {
    if (error instanceof TypeError) { health.dataset.state = "down"; health.textContent = word("down"); }
    else find("message").textContent = error.message;
  }
}

async function speak() {
  const voice = chosen(), compare = find("compare").checked;
  if (!voice || find("speak").disabled || !find("form").reportValidity()) return;
  lanes.forEach(lane => lane.reset());
  find("message").textContent = "";
  find("speak").disabled = true;
  find("stop").disabled = false;
  const body = { text: find("text").value, speed_factor: Number(find("speed").value), seed: Number(find("seed").value) };
  if (compare && body.seed < 0) body.seed = Math.floor(Math.random() * 2 ** 31);
  if (find("key").value) keepKey(find("key").value);
  try {
    for (const lane of compare ? lanes : lanes.slice(0, 1)) {
      // Lanes speak one after the other, so that two readings are heard apart.
      await lanes[0].ended();
      await lane.speak(body, compare && lane.select.value ? `${voice.id}@${lane.select.value}` : voice.id);
    }
  } catch (error) {
    if (error.name !== "AbortError") {
      find("message").textContent = error instanceof TypeError ? word("broken") : error.message;
    }
  } finally {
    find("speak").disabled = false;
  }
}

function stop() {
  lanes.forEach(lane => lane.stop());
  find("stop").disabled = true;
}

find("form").addEventListener("submit", event => { event.preventDefault(); speak(); });
find("stop").addEventListener("click", stop);
find("compare").addEventListener("change", showCompare);
find("voice").addEventListener("change", () => { showAbout(); showVersions(); remember("voice", find("voice").value); });
find("text").addEventListener("input", () => { touched = true; showCount(); });
find("key").addEventListener("change", () => { find("message").textContent = ""; look(); });
find("language").addEventListener("click", () => {
  language = language === "en" ? "zh" : "en";
  remember("language", language);
  showWords();
  look();
});
document.addEventListener("keydown", event => {
  if (event.key === "Escape") stop();
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); speak(); }
});

showWords();
showCompare();
await look();
const last = remembered("voice");
if (voices.some(voice => voice.id === last)) { find("voice").value = last; showAbout(); showVersions(); }
lanes.forEach(lane => lane.reset());
setInterval(look, POLL_MS);
