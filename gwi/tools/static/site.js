// The keyboard scrolls what is wider than the page.
for (const box of document.querySelectorAll("pre, .table-wrapper, article table")) {
  if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
}

// Tables of sentences become cards where the page is narrow: each cell says its column, roles keep the table a table.
const words = cell => cell.textContent.trim();
for (const table of document.querySelectorAll("article table")) {
  const heads = table.tHead ? [...table.tHead.rows[0].cells].map(words) : [];
  const rows = [...table.tBodies].flatMap(body => [...body.rows]);
  const hasSentences = rows.some(row => [...row.cells].some(cell => words(cell).length > 36));
  if (heads.length < 3 || !hasSentences) continue;
  table.classList.add("cards");
  table.setAttribute("role", "table");
  for (const part of [table.tHead, ...table.tBodies]) part.setAttribute("role", "rowgroup");
  for (const row of table.rows) row.setAttribute("role", "row");
  for (const cell of table.tHead.rows[0].cells) cell.setAttribute("role", "columnheader");
  for (const row of rows) {
    [...row.cells].forEach((cell, k) => {
      cell.setAttribute("role", k ? "cell" : "rowheader");
      if (k && heads[k]) cell.dataset.label = heads[k];
      if (words(cell).length < 20) cell.classList.add("brief");
    });
  }
}
