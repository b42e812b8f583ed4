"use strict";
const compare = (first, second) => {
  if (first === second) return 0;
  // What has no value stands last, whichever way the rest is sorted.
  if (first === null) return Infinity;
  if (second === null) return -Infinity;
  const numbers = [Number(first), Number(second)];
  return numbers.some(Number.isNaN) ? first.localeCompare(second, "en", { numeric: true }) : numbers[0] - numbers[1];
};
for (const button of document.querySelectorAll("table.sortable th button")) {
  button.addEventListener("click", () => {
    const heading = button.parentElement;
    const column = heading.cellIndex;
    const order = heading.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
    for (const other of heading.parentElement.children) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", order);
    const body = heading.closest("table").tBodies[0];
    const key = (row) => row.cells[column].getAttribute("data-value");
    const rows = [...body.rows].sort((a, b) => {
      const found = compare(key(a), key(b));
      return Number.isFinite(found) && order === "descending" ? -found : found;
    });
    body.append(...rows);
  });
}
