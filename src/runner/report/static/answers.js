// Answers side by side. Only the rows in sight exist as elements, so that tens of thousands scroll as easily as ten.
// Answers are untrusted: they are set as text, never as markup.
"use strict";
(() => {
  const ROW = 84, ROW_PHONE = 96, LINE_PHONE = 25, SPARE = 6, PRINTED = 40, LONGEST_IN_ROW = 400, LONGEST_WHOLLY_MARKED = 80;
  const [ID, DOCUMENT, CLASS, FIELD, QUESTION, REFERENCES, PICTURES] = [0, 1, 2, 3, 4, 5, 6];

  const make = (tag, name, text) => {
    const made = document.createElement(tag);
    if (name) made.className = name;
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const untrusted = (tag, name, text) => {
    const made = make(tag, name, text);
    made.dir = "auto"; // right-to-left text keeps its direction and doesn't turn its neighbours
    return made;
  };

  class Viewer {
    constructor(root) {
      this.root = root;
      this.data = JSON.parse(document.getElementById(root.dataset.source).textContent);
      this.pictures = JSON.parse(document.getElementById(root.dataset.pictures).textContent);
      this.say = this.data.texts;
      this.n = this.data.candidates.length;
      this.order = this.data.samples.map((_, number) => number);
      this.shown = this.order;
      this.phone = matchMedia("(max-width: 40rem)");
      this.build();
      this.filter();
    }

    name(sample, part) {
      return this.data.names[this.data.samples[sample][part]];
    }
    entries(sample, candidate) {
      return this.data.answers[candidate][sample];
    }
    isWrong(entry) {
      const measure = this.data.measure;
      return measure !== null && measure.perfect !== null && entry[1] !== null && entry[1] !== measure.perfect;
    }

    // ------------------------------------------------------------------------------------------ what is shown

    build() {
      const bar = make("div", "filters noprint");
      this.search = make("input");
      this.search.type = "search";
      this.search.placeholder = this.say.search;
      this.search.setAttribute("aria-label", this.say.search);
      this.field = this.select(this.fields(), "field");
      const kinds = [["all", this.say.all]];
      if (this.data.measure && this.data.measure.perfect !== null)
        kinds.push(["wrong", `${this.say.wrong} (${this.data.measure.name})`]);
      if (kinds.length > 1 && this.n > 1)
        this.data.candidates.forEach((label, number) => kinds.push([`wrong:${number}`, `${this.say.wrong}: ${label}`]));
      if (this.n > 1) kinds.push(["disagree", this.say.disagree]);
      kinds.push(["error", this.say.errors]);
      if (this.data.answers.some((all) => all.some((one) => one.some((entry) => entry[2]?.remarks))))
        kinds.push(["judged", this.say.judged]);
      this.kind = this.select(kinds, "kind");
      this.sort = this.select([["order", this.say.order], ...(this.data.measure ? [["worst", this.say.worst]] : [])], "sort");
      this.count = make("output", "count");
      bar.append(this.search, this.field, this.kind, this.sort, this.count);
      this.list = make("div", "list");
      this.list.tabIndex = 0;
      this.list.setAttribute("role", "region");
      this.list.setAttribute("aria-label", this.say.answers);
      this.head = make("div", "row head");
      this.head.append(make("div", "cell", ""), make("div", "cell", `${this.say.question} / ${this.say.reference}`));
      this.data.candidates.forEach((label, number) => this.head.append(this.label(number)));
      this.space = make("div", "space");
      this.list.append(this.head, this.space);
      this.root.append(bar, this.list);
      this.root.style.setProperty("--n", this.n);

      let waiting = 0;
      this.search.addEventListener("input", () => {
        clearTimeout(waiting);
        waiting = setTimeout(() => this.filter(), 120);
      });
      for (const one of [this.field, this.kind, this.sort]) one.addEventListener("change", () => this.filter());
      this.list.addEventListener("scroll", () => this.soon(), { passive: true });
      new ResizeObserver(() => this.draw(true)).observe(this.list);
      this.phone.addEventListener("change", () => this.draw(true));
      addEventListener("beforeprint", () => this.print());
      addEventListener("afterprint", () => this.draw(true));
    }

    label(number) {
      const cell = make("div", "cell name");
      cell.append(make("span", `dot c${number % 10}`), make("span", "", this.data.candidates[number]));
      return cell;
    }

    select(options, name) {
      const made = make("select", name);
      made.setAttribute("aria-label", this.say[name]);
      for (const [value, text] of options) {
        const option = make("option", "", text);
        option.value = value;
        made.append(option);
      }
      return made;
    }

    fields() {
      const found = new Map();
      this.data.samples.forEach((sample, number) => {
        const key = `${sample[CLASS]}/${sample[FIELD]}`;
        if (!found.has(key)) found.set(key, [this.name(number, CLASS), this.name(number, FIELD)].filter(Boolean).join(" / "));
      });
      const named = [...found].filter(([, text]) => text).sort((a, b) => a[1].localeCompare(b[1]));
      return [["", this.say.all_fields], ...named];
    }

    // ------------------------------------------------------------------------------------------ filters

    text(sample) {
      this.texts ??= [];
      return (this.texts[sample] ??= [
        this.data.samples[sample][ID],
        this.name(sample, DOCUMENT),
        this.name(sample, CLASS),
        this.name(sample, FIELD),
        this.name(sample, QUESTION),
        ...this.data.samples[sample][REFERENCES],
        ...this.data.answers.flatMap((all) => all[sample].map((entry) => `${entry[0] ?? ""} ${entry[2]?.error ?? ""}`)),
      ]
        .join("\n")
        .toLowerCase());
    }

    matches(sample, kind) {
      const [name, number] = kind.split(":");
      if (name === "all") return true;
      const all = this.data.answers.map((answers) => answers[sample]);
      if (name === "wrong")
        return (number === undefined ? all : [all[Number(number)]]).some((one) => one.some((entry) => this.isWrong(entry)));
      if (name === "error") return all.some((one) => one.some((entry) => entry[0] === null));
      if (name === "judged") return all.some((one) => one.some((entry) => entry[2]?.remarks));
      const answered = all.filter((one) => one.length).map((one) => (one[0][0] ?? "").trim());
      return new Set(answered).size > 1;
    }

    loss(sample) {
      const scores = this.data.answers.flatMap((all) => all[sample].map((entry) => entry[1])).filter((one) => one !== null);
      if (!scores.length) return -Infinity;
      const sum = scores.reduce((a, b) => a + b, 0) / scores.length;
      return this.data.measure.higher ? -sum : sum;
    }

    filter() {
      const wanted = this.search.value.trim().toLowerCase();
      const field = this.field.value, kind = this.kind.value;
      this.shown = this.order.filter((sample) => {
        const one = this.data.samples[sample];
        if (field && `${one[CLASS]}/${one[FIELD]}` !== field) return false;
        return this.matches(sample, kind) && (!wanted || this.text(sample).includes(wanted));
      });
      if (this.sort.value === "worst") {
        const losses = new Map(this.shown.map((sample) => [sample, this.loss(sample)]));
        this.shown.sort((a, b) => losses.get(b) - losses.get(a) || a - b);
      }
      this.count.textContent = this.say.shown.replace("{shown}", this.shown.length).replace("{total}", this.order.length);
      this.list.scrollTop = 0;
      this.draw(true);
    }

    // ------------------------------------------------------------------------------------------ rows

    soon() {
      this.frame ??= requestAnimationFrame(() => {
        this.frame = null;
        this.draw(false);
      });
    }

    get height() {
      return this.phone.matches ? ROW_PHONE + LINE_PHONE * this.n : ROW;
    }

    draw(anew) {
      const height = this.height;
      if (anew) {
        this.rows = new Map();
        this.space.replaceChildren();
        this.root.style.setProperty("--row", `${height}px`);
        this.space.style.height = `${Math.max(1, this.shown.length) * height}px`;
        if (!this.shown.length) this.space.append(make("p", "soft nothing", this.say.nothing));
      }
      const first = Math.max(0, Math.floor(this.list.scrollTop / height) - SPARE);
      const last = Math.min(this.shown.length, Math.ceil((this.list.scrollTop + this.list.clientHeight) / height) + SPARE);
      for (const [place, row] of this.rows)
        if (place < first || place >= last) {
          row.remove();
          this.rows.delete(place);
        }
      for (let place = first; place < last; place++)
        if (!this.rows.has(place)) {
          const row = this.row(place);
          row.style.top = `${place * height}px`;
          this.rows.set(place, row);
          this.space.append(row);
        }
    }

    row(place) {
      const sample = this.shown[place], one = this.data.samples[sample];
      const row = make("div", "row");
      row.tabIndex = 0;
      row.setAttribute("role", "button");
      row.dataset.sample = one[ID];
      const picture = make("div", "cell picture");
      if (one[PICTURES].length) picture.append(this.thumbnail(one[PICTURES][0], one[PICTURES].length));
      const question = make("div", "cell question");
      const where = [this.name(sample, CLASS), this.name(sample, FIELD)].filter(Boolean).join(" / ");
      question.append(
        untrusted("div", "where soft", where || one[ID]),
        untrusted("div", "asked", this.name(sample, QUESTION).slice(0, LONGEST_IN_ROW)),
        untrusted("div", "reference", one[REFERENCES].join(" | ").slice(0, LONGEST_IN_ROW) || this.say.no_reference),
      );
      row.append(picture, question);
      for (let number = 0; number < this.n; number++) {
        const cell = make("div", "cell answer");
        cell.append(make("span", `dot c${number % 10}`));
        this.fill(cell, sample, number, LONGEST_IN_ROW);
        row.append(cell);
      }
      row.addEventListener("click", (event) => {
        if (!event.target.closest("img")) this.open(place);
      });
      row.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ") {
          event.preventDefault();
          this.open(place);
        }
      });
      return row;
    }

    thumbnail(number, count) {
      const holder = make("div", "thumbnail");
      const image = make("img");
      image.src = this.pictures[number];
      image.alt = this.say.picture;
      image.loading = "lazy";
      image.addEventListener("click", () => lightbox(this.pictures[number]));
      holder.append(image);
      if (count > 1) holder.append(make("span", "badge", `+${count - 1}`));
      return holder;
    }

    // One candidate's answers to one question: score, text with what differs marked, and how often.
    fill(cell, sample, number, longest) {
      const entries = this.entries(sample, number);
      if (!entries.length) cell.append(make("span", "soft", this.say.not_asked));
      entries.forEach((entry) => {
        const [text, , more] = entry;
        const line = make("div", "one");
        line.append(this.score(entry));
        if (text === null) line.append(untrusted("span", "failed", `${this.say.failed}: ${(more?.error ?? "").slice(0, longest)}`));
        else if (text === "") line.append(make("span", "soft", this.say.empty));
        else line.append(this.marked(sample, number, text.slice(0, longest), longest));
        if (more?.count) line.append(make("span", "badge", this.say.times.replace("{n}", more.count)));
        if (more?.truncated) line.append(make("span", "badge bad", this.say.truncated));
        cell.append(line);
      });
    }

    score(entry) {
      const measure = this.data.measure;
      if (measure === null || entry[0] === null) return make("span", "score", "");
      if (entry[1] === null) return make("span", "score soft", "–");
      if (entry[1] === measure.perfect) return make("span", "score met", "✓");
      const told = measure.percent ? `${Math.round(100 * entry[1])} %` : Number(entry[1].toPrecision(3));
      const only = measure.percent && measure.higher && entry[1] === 0;
      return make("span", `score${measure.perfect === null ? "" : " unmet"}`, only ? "✗" : measure.perfect === null ? told : `✗ ${told}`);
    }

    // Against the reference that it is most like; without references against the baseline's answer.
    marked(sample, number, text, longest) {
      const made = untrusted("span", "said", undefined);
      let against = this.data.samples[sample][REFERENCES];
      if (!against.length && number !== this.data.baseline) {
        const base = this.entries(sample, this.data.baseline);
        against = base.length && base[0][0] !== null ? [base[0][0]] : [];
      }
      if (!against.length) {
        made.textContent = text;
        return made;
      }
      const tried = against.slice(0, 8).map((reference) => window.difference(reference.slice(0, longest), text));
      const equal = (parts) => parts.reduce((sum, [kind, part]) => sum + (kind === 0 ? part.length : 0), 0);
      const parts = tried.reduce((best, one) => (equal(one) > equal(best) ? one : best));
      const all = parts.length === 2 && parts[0][0] === -1 && parts[1][0] === 1; // nothing in common: no need to repeat it
      if (all && text.length > LONGEST_WHOLLY_MARKED) {
        made.textContent = text; // marking every word would only make it harder to read
        return made;
      }
      for (const [kind, part] of parts)
        if (kind === 0) made.append(part);
        else if (kind === 1) made.append(make("mark", "", part));
        else if (!all) made.append(make("del", "", part));
      return made;
    }

    // ------------------------------------------------------------------------------------------ one sample, whole

    open(place) {
      const sample = this.shown[place], one = this.data.samples[sample];
      const box = dialog("detail", this.say.close);
      const step = (by) => {
        if (place + by < 0 || place + by >= this.shown.length) return;
        box.close();
        this.open(place + by);
      };
      const bar = make("div", "steps");
      for (const [by, text] of [[-1, `‹ ${this.say.previous}`], [1, `${this.say.next} ›`]]) {
        const button = make("button", "", text);
        button.type = "button";
        button.disabled = place + by < 0 || place + by >= this.shown.length;
        button.addEventListener("click", () => step(by));
        bar.append(button);
      }
      bar.append(make("span", "soft", `${place + 1} / ${this.shown.length}`));
      box.addEventListener("keydown", (event) => {
        if (event.key === "ArrowRight") step(1);
        if (event.key === "ArrowLeft") step(-1);
      });
      const where = [this.name(sample, CLASS), this.name(sample, FIELD)].filter(Boolean).join(" / ");
      const pictures = make("div", "pictures");
      for (const number of one[PICTURES]) pictures.append(this.thumbnail(number, 1));
      const told = make("div", "told");
      told.append(
        untrusted("p", "soft", `${where ? `${where} · ` : ""}${this.say.document} ${this.name(sample, DOCUMENT)} · ${one[ID]}`),
        untrusted("h3", "", this.name(sample, QUESTION)),
        make("p", "soft", this.say.reference),
        ...(one[REFERENCES].length
          ? one[REFERENCES].map((text) => untrusted("pre", "reference", text))
          : [make("p", "", this.say.no_reference)]),
      );
      for (let number = 0; number < this.n; number++) {
        const part = make("div", "part");
        part.append(this.label(number));
        this.fill(part, sample, number, Infinity);
        for (const [, , more] of this.entries(sample, number)) {
          if (more?.length) part.append(make("p", "soft", this.say.cut.replace("{length}", more.length)));
          if (more?.s !== undefined) part.append(make("p", "soft", `${this.say.latency}: ${more.s} ${this.say.seconds}`));
          for (const [name, value, detail] of more?.remarks ?? [])
            part.append(untrusted("p", "remark", `${name}${value === null ? "" : ` ${Number(value.toPrecision(4))}`}: ${detail}`));
        }
        told.append(part);
      }
      const body = make("div", "body");
      body.append(pictures, told);
      box.append(bar, body);
      box.showModal();
    }

    // ------------------------------------------------------------------------------------------ on paper

    print() {
      this.draw(true);
      const printed = this.shown.slice(0, PRINTED).map((_, place) => this.row(place));
      this.space.style.height = "auto";
      this.rows = new Map();
      this.space.replaceChildren(...printed);
      if (this.shown.length > PRINTED)
        this.space.append(make("p", "soft", this.say.printed.replace("{n}", PRINTED).replace("{total}", this.shown.length)));
    }
  }

  const dialog = (name, close) => {
    const box = make("dialog", name);
    const button = make("button", "close", "×");
    button.type = "button";
    button.setAttribute("aria-label", close);
    button.addEventListener("click", () => box.close());
    box.append(button);
    box.addEventListener("click", (event) => {
      if (event.target === box) box.close();
    });
    box.addEventListener("close", () => box.remove());
    document.body.append(box);
    return box;
  };

  const lightbox = (source) => {
    const box = dialog("lightbox", "×");
    const image = make("img");
    image.src = source;
    image.alt = "";
    image.addEventListener("click", () => box.close());
    box.append(image);
    box.showModal();
  };

  document.querySelectorAll(".viewer").forEach((root) => new Viewer(root));
})();
