// Makes tables sortable by any column: numbers by value, text in the order of the language, missing values last.
"use strict";
(() => {
  const value = (row, column) => {
    const cell = row.cells[column];
    const text = cell.dataset.value === undefined ? cell.textContent.trim() : cell.dataset.value;
    if (text === "" || text === "–") return null;
    const number = Number(text);
    return Number.isNaN(number) ? text : number;
  };
  const compare = (a, b) =>
    typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), document.documentElement.lang);
  // A button that names the columns beyond the right edge and scrolls to them.
  for (const box of document.querySelectorAll(".scroll[data-more]")) {
    const hint = document.createElement("button");
    hint.type = "button";
    hint.className = "more noprint";
    box.before(hint);
    const cells = [...box.querySelectorAll("thead tr:first-child th")];
    const look = () => {
      const edge = box.scrollLeft + box.clientWidth;
      const out = cells.filter((cell) => cell.offsetLeft + 0.6 * cell.offsetWidth > edge);
      box.classList.toggle("beyond", box.scrollWidth - edge > 2);
      hint.hidden = !out.length;
      hint.textContent = box.dataset.more.replace("{names}", out.map((cell) => cell.textContent.trim()).join(", "));
    };
    hint.addEventListener("click", () => box.scrollBy({ left: 0.6 * box.clientWidth, behavior: "smooth" }));
    box.addEventListener("scroll", look, { passive: true });
    new ResizeObserver(look).observe(box);
    look();
  }
  for (const box of document.querySelectorAll(".across")) {
    const look = () => box.classList.toggle("beyond", box.scrollWidth - box.scrollLeft - box.clientWidth > 2);
    box.addEventListener("scroll", look, { passive: true });
    new ResizeObserver(look).observe(box);
  }
  for (const button of document.querySelectorAll("table.sortable button.sort")) {
    button.addEventListener("click", () => {
      const head = button.closest("th"), table = head.closest("table"), body = table.tBodies[0];
      const direction = head.getAttribute("aria-sort") === "descending" ? 1 : -1;
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
      const rows = [...body.rows].map((row) => [value(row, head.cellIndex), row]);
      rows.sort(([a], [b]) => (a === null || b === null ? (a === null) - (b === null) : direction * compare(a, b)));
      body.append(...rows.map(([, row]) => row));
    });
  }
})();
