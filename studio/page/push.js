// The last step: the check of the whole voice, the push, and how the pipeline stands.

const FOLLOW_MS = 8000;

export class PushPanel {
  // Everything that it needs of the page comes with the constructor.
  constructor(page) {
    Object.assign(this, page);
    this.clear();
  }

  clear() {
    this.checked = this.plan = this.followed = this.done = null;
    clearTimeout(this.timer);
  }

  bind() {
    this.find("check").addEventListener("click", this.attempt(() => this.check()));
    this.find("push").addEventListener("submit", this.attempt(() => this.push()));
  }

  get here() { return this.voice() && !this.find("step-push").hidden; }

  async open() {
    this.show();
    this.follow();
    this.plan = await this.call("GET", this.address("push"));
    const form = this.find("push").elements;
    if (!form.name.value) form.name.value = this.plan.author.name;
    if (!form.address.value) form.address.value = this.plan.author.address;
    // A hosted studio knows who this is.
    form.name.readOnly = form.address.readOnly = this.plan.own_author;
    this.show();
  }

  async busy(id, words, work) {
    this.find(id).textContent = this.word(words);
    for (const button of ["check", "push-now"]) this.find(button).disabled = true;
    try { return await work(); } finally {
      this.find(id).textContent = "";
      for (const button of ["check", "push-now"]) this.find(button).disabled = false;
      this.show();
    }
  }

  async check() {
    this.checked = null;
    this.checked = await this.busy("checking", "checking", () => this.call("POST", this.address("check")));
    this.show();
  }

  async push() {
    const form = this.find("push").elements;
    for (const [key, label] of [["name", "author"], ["address", "address"]]) {
      if (!form[key].value.trim()) { form[key].focus(); throw { code: "field", values: { field: this.word(label) } }; }
    }
    const author = { name: form.name.value.trim(), address: form.address.value.trim() };
    this.done = await this.busy("pushing", "pushing", () => this.call("POST", this.address("push"), author));
    this.plan = await this.call("GET", this.address("push"));
    this.show();
    this.follow();
  }

  async follow() {
    clearTimeout(this.timer);
    if (!this.here) return;
    const name = this.voice().name;
    const found = await this.call("GET", this.address("follow")).catch(() => null);
    if (!this.here || this.voice().name !== name) return;
    if (found) { this.followed = found; this.show(); }
    this.timer = setTimeout(() => this.follow(), FOLLOW_MS);
  }

  show() {
    this.showChecked();
    this.showPlan();
    this.showFollowed();
  }

  showChecked() {
    const place = this.find("checked");
    place.replaceChildren();
    place.dataset.state = this.checked ? (this.checked.passed ? "good" : "bad") : "";
    if (!this.checked) return;
    const { passed, problems, remarks, effective_s } = this.checked;
    place.append(this.make("strong", passed ? this.word("checkedGood", effective_s) : this.word("checkedBad", problems.length)));
    const list = this.make("ul");
    for (const [items, tag] of [[problems, "problem"], [remarks, "remark"]]) {
      this.problemWords(items, tag).forEach((row, index) => {
        const { where } = items[index];
        const at = this.voice().lines.findIndex(line => line.take?.file === where);
        if (at >= 0) {
          const button = this.make("button", this.word("toLine", at + 1), { type: "button" });
          button.addEventListener("click", () => this.toLine(this.voice().lines[at].id));
          row.prepend(button, " ");
        } else if (where) row.prepend(this.word("pair", where === "all clips" ? this.word("allClips") : where.startsWith("voice.yaml: consent") ? this.word("consent") : where, ""));
        list.append(row);
      });
    }
    if (list.childElementCount) place.append(list);
  }

  showPlan() {
    const { plan, done } = this;
    this.find("plan").textContent = !plan ? "" : plan.changes.length ? this.word("plan", plan) : this.word("nothing");
    this.find("changes").hidden = !plan?.changes.length;
    this.find("push-now").disabled = !plan?.changes.length;
    if (plan) {
      this.find("changes-head").textContent = this.word("changes", plan.changes.length);
      this.find("changed").replaceChildren(...plan.changes.map(({ path, kind, lfs }) =>
        this.make("li", `${path}${this.word("aside", this.word("list", [this.words().kinds[kind], ...(lfs ? ["LFS"] : [])]))}`)));
    }
    const place = this.find("pushed");
    const last = done ?? plan?.pushed;
    place.replaceChildren();
    if (!last) return;
    if (done) place.append(this.make("strong", this.word("pushDone")), " ");
    if (done?.moved_on) place.append(this.word("movedOn"), " ");
    if (done?.refused) place.append(this.make("p", `${this.word("requestRefused")} ${done.refused}`));
    if (last.url) place.append(this.make("a", last.number ? this.word("request", last.number) : this.word("openRequest"), { href: last.url, target: "_blank", rel: "noopener" }));
  }

  showFollowed() {
    const found = this.followed ?? { jobs: [], runs: [], versions: [], problems: [] };
    const state = name => this.words().states[name] ?? name;
    this.find("follow-empty").hidden = Boolean(found.jobs.length + found.runs.length + found.versions.length);
    this.find("jobs").replaceChildren(...found.jobs.map(job => {
      const row = this.make("li", "");
      row.dataset.state = job.state;
      const name = { translate: false };
      row.append(job.url ? this.make("a", job.name, { ...name, href: job.url, target: "_blank", rel: "noopener" }) : this.make("span", job.name, name), ` · ${state(job.state)}`);
      return row;
    }));
    this.find("runs").replaceChildren(...found.runs.map((run, index) => this.run(run, index === 0)));
    this.showVersions(found);
    this.find("follow-problems").replaceChildren(...(found.problems.length ? [this.word("told", ""), this.make("span", found.problems.join(" "), { lang: "en" })] : []));
  }

  run(run, newest) {
    const state = name => this.words().states[name] ?? name;
    const row = this.make("li");
    row.dataset.state = run.state;
    row.append(this.make("p", `${this.word("run", run.id.slice(0, 10), run.commit.slice(0, 8))} · ${state(run.state)}`));
    const stages = this.make("ol", "", { className: "stages" });
    stages.append(...run.stages.map(stage => {
      const item = this.make("li", this.word("pair", this.words().stages[stage.name] ?? stage.name, state(stage.state)));
      item.dataset.state = stage.state;
      return item;
    }));
    row.append(stages);
    // Gates of earlier runs say nothing of the takes that are here now.
    if (newest) row.append(...run.gates.map(gate => this.gate(gate)));
    return row;
  }

  gate(gate) {
    const language = this.language();
    const place = this.make("div", "", { className: "gate" });
    const known = gate.value !== null && gate.limit !== null;
    place.append(this.make("strong", gate.title[language] + (known ? this.word("aside", this.word("gateValue", gate.value, gate.limit, gate.direction)) : "")));
    place.append(this.make("p", gate.advice[language]));
    const lines = this.voice().lines;
    const takes = gate.takes.map(take => ({ ...take, at: lines.findIndex(line => line.id === take.line) })).filter(take => take.at >= 0);
    if (!takes.length) return place;
    const list = this.make("ul");
    list.append(...takes.map(({ line, why, at }) => {
      const row = this.make("li");
      const button = this.make("button", this.word("toLine", at + 1), { type: "button" });
      button.addEventListener("click", () => this.toLines([line]));
      const text = this.make("span", lines[at].text, { lang: lines[at].language });
      const said = this.make("span");
      said.append(text, this.make("span", this.word("aside", this.words().suspects[why]), { className: "quiet" }));
      row.append(button, said);
      return row;
    }));
    const again = this.make("button", this.word("recordAgain", takes.length), { type: "button", className: "main" });
    again.addEventListener("click", () => this.toLines(takes.map(take => take.line)));
    place.append(list, again);
    return place;
  }

  showVersions({ versions, rollback }) {
    const place = this.find("versions");
    const known = JSON.stringify([versions, rollback, this.language()]);
    // Players keep playing, and a question stays open, while the page asks again.
    if (place.dataset.known === known) return;
    place.dataset.known = known;
    place.replaceChildren(...versions.map(item => this.version(item, rollback)), ...this.sentences(versions));
  }

  version(item, rollback) {
    const part = this.make("div", "", { className: "version" });
    const tags = [item.production && this.word("production"), item.newest && this.word("newest"), !item.passed && this.word("notPassed")].filter(Boolean);
    part.append(this.make("h4", `${this.word("version", item.version)}${tags.length ? this.word("aside", this.word("list", tags)) : ""}`));
    part.append(this.make("p", [item.created.slice(0, 16).replace("T", " "), item.author.replace(/ *<.*/, "")].filter(Boolean).join(" · "), { className: "quiet" }));
    const actions = this.make("div", "", { className: "row actions" });
    if (item.promote) actions.append(this.move("promote", { version: item.version }, "promoteNow", "confirmPromote", item.version));
    if (item.approve) actions.append(this.move("promote", { version: item.version, approve: true }, "approveNow", "confirmApprove", item.version));
    if (item.production && rollback) actions.append(this.move("rollback", { version: rollback }, "rollBack", "confirmRollBack", rollback));
    if (actions.childElementCount) part.append(actions);
    const why = this.words().whyNot[item.why];
    if (why) part.append(this.make("p", why, { className: "quiet" }));
    return part;
  }

  move(path, body, label, question, version) {
    // Everybody hears what is in production, so a second press confirms.
    const place = this.make("span", "", { className: "move" });
    const button = (text, main, work) => {
      const made = this.make("button", text, { type: "button", className: main ? "main" : "" });
      made.addEventListener("click", work);
      return made;
    };
    const begin = button(this.word(label, version), false, () => {
      place.replaceChildren(this.make("span", `${this.word(question, version)} `),
        button(this.word("confirm"), true, this.attempt(async () => {
          this.followed = await this.call("POST", this.address(path), body);
          this.show();
        })), " ", button(this.word("cancel"), false, () => { place.replaceChildren(begin); begin.focus(); }));
      place.querySelector("button").focus();
    });
    place.append(begin);
    return place;
  }

  sentences(versions) {
    // One sentence, every version that spoke it, side by side.
    const found = new Map();
    for (const item of versions) {
      for (const { path, text } of item.samples) found.set(path, [...found.get(path) ?? [], { item, text }]);
    }
    return [...found].map(([path, spoken]) => {
      const part = this.make("div", "", { className: "sentence" });
      const { text } = spoken[0];
      if (text) part.append(this.make("p", text, { lang: this.voice().language }));
      for (const { item } of spoken) {
        const name = `${this.word("version", item.version)}${item.production ? this.word("aside", this.word("production")) : ""}`;
        const box = this.make("div", "", { className: "heard" });
        const player = this.make("audio", "", { controls: true, preload: "none", src: `${this.address("versions", item.version)}/${path}` });
        player.setAttribute("aria-label", this.word("pair", this.word("listen"), this.word("list", [name, text || path])));
        box.append(this.make("span", name, { className: "quiet" }), player);
        part.append(box);
      }
      return part;
    });
  }
}
