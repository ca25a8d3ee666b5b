// Shows all answers side by side. Only visible rows exist as elements, so that tens of thousands scroll smoothly.
// Answers are untrusted: they are set as text, never as markup.
"use strict";
(() => {
  const ROW = 96, ROW_PHONE = 106, MOST_IN_ROW = 3, OPEN_PROMPT = 600, LINE_PHONE = 25, SPARE = 6, PRINTED = 40, LONGEST_IN_ROW = 400, LONGEST_WHOLLY_MARKED = 80;
  const [ID, DOCUMENT, CLASS, FIELD, QUESTION, REFERENCES, PICTURES, FIRST] = [0, 1, 2, 3, 4, 5, 6, 7];

  const make = (tag, name, text) => {
    const made = document.createElement(tag);
    if (name) made.className = name;
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const language = document.documentElement.lang || "en";
  const written = (value, digits) => value.toLocaleString(language, { maximumSignificantDigits: digits, useGrouping: false });
  const untrusted = (tag, name, text) => {
    const made = make(tag, name, text);
    made.dir = "auto"; // right-to-left text keeps its direction without changing that of its neighbours
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
      this.filter(false);
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
      if (this.n > 1) kinds.push(["disagree", this.say.disagree]);
      kinds.push(["error", this.say.errors]);
      if (this.data.answers.some((all) => all.some((one) => one.some((entry) => entry[2]?.remarks))))
        kinds.push(["judged", this.say.judged]);
      this.kind = this.select(kinds, "kind");
      this.whose = this.select(this.groups(), "whose");
      this.whose.hidden = this.n < 2;
      this.sort = this.select([["order", this.say.order], ...(this.data.measure ? [["worst", this.say.worst]] : [])], "sort");
      this.count = make("output", "count");
      this.notice = make("output", "notice");
      this.aside = make("button", "more noprint");
      this.aside.type = "button";
      this.aside.addEventListener("click", () => this.list.scrollBy({ left: 0.8 * this.list.clientWidth, behavior: "smooth" }));
      bar.append(this.search, this.field, this.kind, this.whose, this.sort, this.count, this.notice, this.aside);
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
      for (const one of [this.field, this.kind, this.whose, this.sort]) one.addEventListener("change", () => this.filter());
      this.list.addEventListener("scroll", () => this.soon(), { passive: true });
      new ResizeObserver(() => {
        this.draw(true);
        this.hint();
      }).observe(this.list);
      this.phone.addEventListener("change", () => this.draw(true));
      addEventListener("beforeprint", () => this.print());
      addEventListener("afterprint", () => this.draw(true));
    }

    label(number) {
      const cell = make("div", "cell name");
      const name = make("span");
      // A long name breaks after its underscores, not within its words.
      this.data.candidates[number].split("_").forEach((part, place) => name.append(...(place ? ["_", make("wbr"), part] : [part])));
      cell.append(make("span", `dot c${number % 10}`), name);
      return cell;
    }

    // The candidates that a filter applies to: all, a single one, or all of a model.
    groups() {
      const found = [["", this.say.everyone]];
      const models = [...new Set(this.data.models)].filter((one) => one && this.data.models.filter((other) => other === one).length > 1);
      if (models.length > 1) for (const one of models) found.push([one, this.say.any_of.replace("{model}", one)]);
      return [...found, ...this.data.candidates.map((label) => [label, label])];
    }

    // The candidates that a name stands for: their label, their model, or a word of the label.
    among(name) {
      const all = this.data.candidates.map((_, place) => place);
      if (!name) return all;
      const tests = [(place) => this.data.candidates[place] === name, (place) => this.data.models[place] === name];
      return tests.map((test) => all.filter(test)).find((found) => found.length) ?? [];
    }

    // Names the candidates whose columns lie beyond the right edge.
    hint() {
      const edge = this.list.scrollLeft + this.list.clientWidth;
      const cells = [...this.head.querySelectorAll(".name")];
      const out = this.phone.matches ? [] : cells.filter((cell) => cell.offsetLeft + 0.5 * cell.offsetWidth > edge);
      this.aside.hidden = !out.length;
      this.aside.textContent = this.say.more_columns.replace("{names}", out.map((cell) => cell.textContent).join(", "));
      this.list.classList.toggle("beyond", out.length > 0);
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
      const classes = new Map();
      this.data.samples.forEach((sample, number) => {
        const key = `${sample[CLASS]}/${sample[FIELD]}`;
        if (found.has(key)) return;
        found.set(key, [this.name(number, CLASS), this.name(number, FIELD)].filter(Boolean).join(" / "));
        if (this.name(number, CLASS)) classes.set(sample[CLASS], (classes.get(sample[CLASS]) ?? 0) + 1);
      });
      for (const [one, count] of classes)
        if (count > 1) found.set(`${one}/`, this.say.whole_class.replace("{doc_class}", this.data.names[one]));
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

    matches(sample, name, places) {
      const all = places.map((place) => this.data.answers[place][sample]);
      if (name === "all") return places.length === this.n || all.some((one) => one.length);
      if (name === "wrong") return all.some((one) => one.some((entry) => this.isWrong(entry)));
      if (name === "error") return all.some((one) => one.some((entry) => entry[0] === null));
      if (name === "judged") return all.some((one) => one.some((entry) => entry[2]?.remarks));
      const said = (one) => (one[0][0] ?? "").trim();
      const everyone = new Set(this.data.answers.map((answers) => answers[sample]).filter((one) => one.length).map(said));
      return everyone.size > 1 && all.some((one) => one.length);
    }

    loss(sample) {
      const scores = this.data.answers.flatMap((all) => all[sample].map((entry) => entry[1])).filter((one) => one !== null);
      if (!scores.length) return -Infinity;
      const sum = scores.reduce((a, b) => a + b, 0) / scores.length;
      return this.data.measure.higher ? -sum : sum;
    }

    filter(told = true) {
      const places = this.among(this.whose.value);
      const wanted = this.search.value.trim().toLowerCase();
      const field = this.field.value, kind = this.kind.value;
      this.shown = this.order.filter((sample) => {
        const one = this.data.samples[sample];
        if (field && `${one[CLASS]}/${one[FIELD]}` !== field && `${one[CLASS]}/` !== field) return false;
        return this.matches(sample, kind, places) && (!wanted || this.text(sample).includes(wanted));
      });
      if (this.sort.value === "worst") {
        const losses = new Map(this.shown.map((sample) => [sample, this.loss(sample)]));
        this.shown.sort((a, b) => losses.get(b) - losses.get(a) || a - b);
      }
      this.count.textContent = this.say.shown.replace("{shown}", this.shown.length).replace("{total}", this.order.length);
      this.list.scrollTop = 0;
      this.draw(true);
      if (told) {
        this.notice.textContent = "";
        this.remember(null);
      }
    }

    // ------------------------------------------------------------------------------------------ the address

    // The chosen filters and the opened sample as the fragment of the page's address (behind "#").
    address(sample) {
      const told = new URLSearchParams();
      if (document.querySelectorAll(".viewer").length > 1) told.set("dataset", this.root.dataset.number);
      const single = sample !== null && !this.chosen();
      if (!single) {
        const [one, field] = this.field.value.split("/");
        if (this.whose.value) told.set("model", this.whose.value);
        if (one) told.set("doc_class", this.data.names[one]);
        if (field) told.set("field", this.data.names[field]);
        if (this.kind.value !== "all") told.set("only", this.kind.value);
        if (this.sort.value !== "order") told.set("sort", this.sort.value);
        if (this.search.value.trim()) told.set("search", this.search.value.trim());
      }
      if (sample !== null) told.set("sample", this.data.samples[sample][ID]);
      return single && !told.has("dataset") ? `#${told}` : `#answers?${told}`;
    }
    chosen() {
      return this.whose.value || this.field.value || this.kind.value !== "all" || this.sort.value !== "order" || this.search.value.trim();
    }

    // Updates the address bar, so that the address can be copied. A page in a frame may not be allowed to; that is fine.
    remember(sample) {
      if (sample === null && !this.chosen() && !asked(location.hash)) return;
      try {
        const told = sample === null && !this.chosen() ? "#answers" : this.address(sample);
        history.replaceState(null, "", told);
      } catch {
        // not allowed in a frame of another page
      }
    }

    // Restores the filters and the sample of an address; shows a notice about parts that don't exist on this page.
    restore(told) {
      const unknown = [];
      const choose = (select, value, name) => {
        const there = [...select.options].some((option) => option.value === value);
        select.value = there ? value : select.options[0].value;
        if (!there) unknown.push(`${name}=${told.get(name)}`);
      };
      const part = (name) => (told.get(name) ? this.data.names.indexOf(told.get(name)) : "");
      const [one, field] = [part("doc_class"), part("field")];
      let wanted = one === "" && field === "" ? "" : `${one}/${field}`;
      const options = [...this.field.options].map((option) => option.value);
      if (wanted && field === "") wanted = options.includes(wanted) ? wanted : options.find((value) => value.startsWith(wanted)) ?? wanted;
      if (wanted && one === "") wanted = options.find((value) => value.endsWith(wanted)) ?? wanted;
      choose(this.field, wanted, told.get("field") ? "field" : "doc_class");
      choose(this.kind, told.get("only") ?? "all", "only");
      choose(this.sort, told.get("sort") ?? "order", "sort");
      const model = told.get("model") ?? "";
      const named = this.among(model), exact = [...this.whose.options].some((option) => option.value === model);
      choose(this.whose, exact ? model : named.length === this.n ? "" : named.length === 1 ? this.data.candidates[named[0]] : model, "model");
      this.search.value = told.get("search") ?? "";
      this.filter(false);
      const id = told.get("sample");
      if (id !== null) {
        const sample = this.data.samples.findIndex((one) => one[ID] === id);
        if (sample < 0) unknown.push(`sample=${id}`);
        else {
          if (!this.shown.includes(sample)) this.reset();
          const place = this.shown.indexOf(sample);
          this.list.scrollTop = place * this.height;
          this.open(place);
        }
      }
      this.notice.textContent = unknown.length ? this.say.unknown.replace("{what}", unknown.join(", ")) : "";
      this.root.closest("section").scrollIntoView({ behavior: "instant" });
    }
    reset() {
      this.search.value = "";
      for (const one of [this.field, this.kind, this.whose, this.sort]) one.selectedIndex = 0;
      this.filter(false);
    }

    // ------------------------------------------------------------------------------------------ rows

    soon() {
      this.frame ??= requestAnimationFrame(() => {
        this.frame = null;
        this.draw(false);
        this.hint();
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
      question.title = `${where || one[ID]}\n${this.name(sample, QUESTION)}`.slice(0, LONGEST_IN_ROW);
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

    // A candidate's answers to a question: score, text with the differences marked, and count.
    fill(cell, sample, number, longest) {
      const entries = this.entries(sample, number);
      if (!entries.length) cell.append(make("span", "soft", this.say.not_asked));
      const whole = longest === Infinity;
      const shown = whole || entries.length <= MOST_IN_ROW ? entries : entries.slice(0, MOST_IN_ROW - 1);
      if (!whole) cell.classList.toggle("several", entries.length > 1);
      shown.forEach((entry) => {
        const [text, , more] = entry;
        const line = make("div", "one");
        line.append(this.score(entry));
        if (text === null) line.append(untrusted("span", "failed", `${this.say.failed}: ${(more?.error ?? "").slice(0, longest)}`));
        else if (text === "" && !more?.truncated) line.append(make("span", "soft", this.say.empty));
        else line.append(this.marked(sample, number, text.slice(0, longest), longest));
        if (more?.count) line.append(make("span", "badge", this.say.times.replace("{n}", more.count)));
        if (more?.truncated) line.append(make("span", "badge bad", this.say.truncated));
        cell.append(line);
      });
      if (shown.length < entries.length)
        cell.append(make("div", "soft", this.say.more_answers.replace("{n}", entries.length - shown.length)));
    }

    score(entry) {
      const measure = this.data.measure;
      if (measure === null || entry[0] === null) return make("span", "score", "");
      if (entry[1] === null) return make("span", "score soft", "–");
      if (entry[1] === measure.perfect) return make("span", "score met", "✓");
      const told = measure.percent ? `${Math.round(100 * entry[1])}\u202f%` : written(entry[1], 3);
      const only = measure.percent && measure.higher && entry[1] === 0;
      return make("span", `score${measure.perfect === null ? "" : " unmet"}`, only ? "✗" : measure.perfect === null ? told : `✗ ${told}`);
    }

    // Compares with the most similar reference; without references, with the baseline's answer.
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
      const all = parts.length === 2 && parts[0][0] === -1 && parts[1][0] === 1; // nothing in common, so the reference is not repeated
      if (all && text.length > LONGEST_WHOLLY_MARKED) {
        made.textContent = text; // marking every word would only make the text harder to read
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
      this.opened = box;
      this.remember(sample);
      box.addEventListener("close", () => {
        if (this.opened !== box) return; // another sample has been opened since
        this.opened = null;
        this.remember(null);
      });
      const step = (by) => {
        if (place + by < 0 || place + by >= this.shown.length) return;
        this.open(place + by);
        box.close();
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
      const link = make("a", "link", this.say.link);
      link.href = this.address(sample);
      link.addEventListener("click", (event) => event.preventDefault()); // the sample is already open; the link is for copying
      bar.append(link);
      box.addEventListener("keydown", (event) => {
        if (event.key === "ArrowRight") step(1);
        if (event.key === "ArrowLeft") step(-1);
      });
      const where = [this.name(sample, CLASS), this.name(sample, FIELD)].filter(Boolean).join(" / ");
      const pictures = make("div", "pictures");
      const layers = one[FIRST] === false ? [] : window.drawn.layers(this.data.answers.map((all) => all[sample]), this.data.candidates, this.say);
      one[PICTURES].forEach((number, place) => {
        if (place === 0 && layers.length) pictures.append(...this.withBoxes(number, layers));
        else pictures.append(this.thumbnail(number, 1));
      });
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
          if (more?.boxes) part.append(window.drawn.told(more.boxes, this.say));
          if (more?.undrawn) part.append(make("p", "soft", this.say.undrawn));
          if (more?.tables) part.append(...window.drawn.tables(more.tables, this.data.candidates[number], this.say));
        }
        if (this.entries(sample, number).length) part.append(...this.prompted(sample, number));
        for (const [, , more] of this.entries(sample, number)) {
          if (more?.length) part.append(make("p", "soft", this.say.cut.replace("{length}", more.length)));
          if (more?.s !== undefined) part.append(make("p", "soft", `${this.say.latency}: ${decimal(more.s)}\u202f${this.say.seconds}`));
          for (const [name, value, detail] of more?.remarks ?? [])
            part.append(untrusted("p", "remark", `${name}${value === null ? "" : ` ${written(value, 4)}`}: ${detail}`));
        }
        told.append(part);
      }
      const body = make("div", "body");
      body.append(pictures, told);
      box.append(bar, body);
      box.showModal();
    }

    // The picture with the boxes of the reference and of all answers, and a legend that hides and shows them.
    withBoxes(number, layers) {
      const holder = this.thumbnail(number, 1), image = holder.querySelector("img");
      const laid = window.drawn.overlay(image, layers);
      holder.append(laid.cover);
      const enlarge = (event) => {
        event.stopPropagation();
        lightbox(this.pictures[number], layers);
      };
      laid.cover.addEventListener("click", enlarge);
      return [holder, window.drawn.legend(layers, laid.fill)];
    }

    // The prompt of this candidate: the system text of its config, and the prompt as it was sent.
    prompted(sample, candidate) {
      const numbers = [...new Set(this.entries(sample, candidate).map((entry) => entry[2]?.p))];
      const made = this.data.systems[candidate] ? [this.prompt(this.say.system, this.data.systems[candidate])] : [];
      for (const one of numbers) {
        if (one === undefined) made.push(make("p", "soft prompted", this.say.prompt_is_question));
        else {
          const [text, length] = this.data.prompts[one];
          made.push(this.prompt(this.say.prompt, text));
          if (length > text.length) made.push(make("p", "soft", this.say.prompt_cut.replace("{length}", length)));
        }
      }
      return made;
    }
    prompt(title, text) {
      const made = make("details", "prompted");
      made.open = text.length <= OPEN_PROMPT;
      made.append(make("summary", "", title), untrusted("pre", "", text));
      return made;
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

  const decimal = (value) => value.toLocaleString(language, { maximumFractionDigits: 3, useGrouping: false });

  // The parameters of an address that refers to answers (#answers?model=…&only=wrong, #sample=ID); null for others.
  const asked = (hash) => {
    if (hash.startsWith("#sample=")) return new URLSearchParams(hash.slice(1));
    return hash === "#answers" || hash.startsWith("#answers?") ? new URLSearchParams(hash.slice("#answers?".length)) : null;
  };

  const lightbox = (source, layers) => {
    const box = dialog("lightbox", "×");
    const image = make("img");
    image.src = source;
    image.alt = "";
    image.addEventListener("click", () => box.close());
    const holder = make("div", "holder");
    holder.append(image);
    if (layers) {
      const { cover } = window.drawn.overlay(image, layers);
      cover.addEventListener("click", () => box.close());
      holder.append(cover);
    }
    box.append(holder);
    box.showModal();
  };

  const viewers = [...document.querySelectorAll(".viewer")].map((root) => new Viewer(root));
  const follow = () => {
    const told = asked(location.hash);
    if (!told || !viewers.length) return;
    document.querySelectorAll("dialog").forEach((box) => box.remove());
    const has = (one) => one.data.samples.some((sample) => sample[ID] === told.get("sample"));
    const named = viewers.find((one) => one.root.dataset.number === told.get("dataset"));
    (named ?? viewers.find((one) => told.has("sample") && has(one)) ?? viewers[0]).restore(told);
  };
  addEventListener("hashchange", follow);
  follow();
})();
