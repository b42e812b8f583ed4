// Says so where a table is wider than its frame.
const mark = (table) => {
  const frame = table.closest(".scroll");
  frame.classList.toggle("wide", frame.scrollWidth > frame.clientWidth + 1);
};
const watcher = new ResizeObserver((entries) => {
  for (const entry of entries) mark(entry.target.querySelector("table") ?? entry.target);
});
for (const table of document.querySelectorAll(".scroll > table")) {
  watcher.observe(table);
  watcher.observe(table.parentElement);
}
