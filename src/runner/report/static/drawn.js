// Draws what metrics scored: boxes on the picture, tables side by side. Labels and cells are untrusted: set as text alone.
"use strict";
window.drawn = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  const DASHES = ["6 4", "2 3", "10 4", "10 3 2 3", "4 2", "1 4", "14 4", "8 2 2 2 2 2"];
  const CORNERS = 4, IOU = 4, PARTNER = 5, LABEL = 6, PROBLEM = 7;
  const MARKS = ["", "changed", "alone"];

  const make = (tag, name, text) => {
    const made = document.createElement(tag);
    if (name) made.className = name;
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const shape = (tag, attributes) => {
    const made = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  };
  const language = document.documentElement.lang || "en";
  const share = (value) => value.toLocaleString(language, { minimumFractionDigits: 2, maximumFractionDigits: 2 });

  const rectangle = (box, width, height, group, hint) => {
    const [left, top, right, bottom] = [box[0] * width, box[1] * height, box[2] * width, box[3] * height];
    const made = shape("rect", {
      x: Math.min(left, right), y: Math.min(top, bottom), width: Math.abs(right - left), height: Math.abs(bottom - top),
    });
    const title = shape("title", {});
    title.textContent = hint;
    made.append(title);
    group.append(made);
  };

  // What is to be drawn of one sample: the reference, then each candidate that gave boxes.
  const layers = (entries, labels, say) => {
    const of = entries.map((all) => all.map((entry) => entry[2]?.boxes).find(Boolean));
    const first = of.find((one) => one?.wanted.length);
    const made = [];
    if (first) made.push({ name: say.reference, style: "wanted", boxes: first.wanted.map((box, n) => [box, `${say.reference} ${n + 1}`]) });
    of.forEach((one, number) => {
      if (!one?.given.length) return;
      const boxes = one.given.map((box) => [box, hint(box, labels[number], say)]);
      made.push({ name: labels[number], style: `f${number % 10}`, dash: DASHES[number % DASHES.length], boxes });
    });
    return made;
  };
  const hint = (box, label, say) =>
    [label, box[LABEL], box[PROBLEM] ? say.box_outside.replace("{what}", box[PROBLEM]) : `IoU ${share(box[IOU])}`].filter(Boolean).join(" · ");

  // Lays an SVG over an image, in pixels of the image, scaled like it (object-fit: contain).
  const overlay = (image, all) => {
    const cover = shape("svg", { class: "boxes", preserveAspectRatio: "xMidYMid meet" });
    const fill = () => {
      const width = image.naturalWidth, height = image.naturalHeight;
      cover.setAttribute("viewBox", `0 0 ${width} ${height}`);
      cover.replaceChildren(
        ...all.map((layer) => {
          const group = shape("g", { class: layer.style, "stroke-dasharray": layer.dash ?? "none" });
          for (const [box, told] of layer.boxes) rectangle(box, width, height, group, told);
          group.style.display = layer.hidden ? "none" : "";
          return group;
        }),
      );
    };
    if (image.complete && image.naturalWidth) fill();
    else image.addEventListener("load", fill);
    return { cover, fill };
  };

  // A line for each layer with its style, which hides and shows it.
  const legend = (all, redraw) => {
    const list = make("div", "legend");
    for (const layer of all) {
      const line = make("label"), box = make("input");
      box.type = "checkbox";
      box.checked = true;
      box.addEventListener("change", () => {
        layer.hidden = !box.checked;
        redraw();
      });
      const sample = shape("svg", { class: "boxes key", viewBox: "0 0 34 10" });
      const group = shape("g", { class: layer.style, "stroke-dasharray": layer.dash ?? "none" });
      group.append(shape("line", { x1: 1, x2: 33, y1: 5, y2: 5 }));
      sample.append(group);
      const name = make("span", "", layer.name);
      name.dir = "auto";
      line.append(box, sample, name);
      list.append(line);
    }
    return list;
  };

  // What the boxes of an answer are worth, in words: an IoU for each, and which of them are not on the page.
  const told = (boxes, say) => {
    const made = make("div", "boxlist soft");
    if (boxes.problem) made.append(make("p", "failed", `${say.boxes}: ${boxes.problem}`));
    else if (!boxes.given.length) made.append(make("p", "", say.no_box));
    for (const box of boxes.given) {
      const corners = box.slice(0, CORNERS).map((one) => `${Math.round(1000 * one) / 10}`).join(", ");
      const line = make("p", box[PROBLEM] ? "failed" : "", `${box[LABEL] ? `${box[LABEL]} ` : ""}[${corners}] % · `);
      line.dir = "auto";
      line.append(box[PROBLEM] ? say.box_outside.replace("{what}", box[PROBLEM]) : `IoU ${share(box[IOU])}${box[PARTNER] < 0 ? "" : ` · ${say.reference} ${box[PARTNER] + 1}`}`);
      made.append(line);
    }
    if (boxes.more) made.append(make("p", "", say.boxes_more.replace("{n}", boxes.more)));
    return made;
  };

  const table = (rows, hints) => {
    const made = make("table", "cells"), body = make("tbody");
    for (const row of rows) {
      const line = make("tr");
      for (const [text, mark, columns, height] of row) {
        const cell = make("td", MARKS[mark], text);
        cell.dir = "auto";
        if (mark) cell.title = hints[mark];
        if (columns > 1) cell.colSpan = columns;
        if (height > 1) cell.rowSpan = height;
        line.append(cell);
      }
      body.append(line);
    }
    made.append(body);
    return made;
  };

  const side = (title, rows, hints, say) => {
    const made = make("div", "side");
    const across = make("div", "across");
    across.append(rows ? table(rows, hints) : make("p", "soft", say.no_table));
    made.append(make("p", "soft", title), across);
    return made;
  };
  // The reference's tables beside those of an answer.
  const tables = (pairs, label, say) =>
    pairs.map((pair) => {
      const made = make("div", "beside");
      made.append(
        side(say.reference, pair.wanted, ["", say.cell_changed, say.cell_missing], say),
        side(`${label} · TEDS ${share(pair.teds)}`, pair.given, ["", say.cell_changed, say.cell_extra], say),
      );
      if (pair.cut) made.append(make("p", "soft", say.tables_cut));
      return made;
    });

  return { layers, overlay, legend, told, tables };
})();
