// The icons of the colour themes, whose button does nothing without a script.
{
  const THEMES = [
    ["sun", "Light mode",
     '<path d="M7.5 12a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0-9 0M12 1v3M12 20v3M1 12h3M20 12h3M4.2 4.2l2.1 2.1'
     + 'M17.7 17.7l2.1 2.1M4.2 19.8l2.1-2.1M17.7 6.3l2.1-2.1"/>'],
    ["moon", "Dark mode",
     '<path d="M12 3a7 7 0 0 0 9 9a9 9 0 1 1-9-9z"/>'],
    ["sun-with-moon", "Auto light/dark, in light mode",
     '<path d="M11 10a4 4 0 1 0 8 0a4 4 0 1 0-8 0M15 1.5v2M15 16.5v2M6.5 10h2M21.5 10h2M9 4l1.4 1.4'
     + 'M19.6 14.6l1.4 1.4M9 16l1.4-1.4M19.6 5.4l1.4-1.4"/>'
     + '<path opacity=".5" d="M5 14a4 4 0 0 0 5 5a4.8 4.8 0 1 1-5-5z"/>'],
    ["moon-with-sun", "Auto light/dark, in dark mode",
     '<path d="M8.5 7a6 6 0 0 0 7 9.5a7.5 7.5 0 1 1-7-9.5z"/>'
     + '<path opacity=".5" d="M15.8 7.5a2.2 2.2 0 1 0 4.4 0a2.2 2.2 0 1 0-4.4 0M18 2.5v1.2M18 11.3v1.2'
     + 'M13 7.5h1.2M21.8 7.5h1.2M14.5 4l.8.8M20.7 10.2l.8.8M14.5 11l.8-.8M20.7 4.8l.8-.8"/>'],
  ];
  const symbol = ([name, title, paths]) => `<symbol id="svg-${name}" viewBox="0 0 24 24" fill="none"
    stroke="currentColor" stroke-linecap="round"><title>${title}</title>${paths}</symbol>`;
  document.querySelector("body > svg")?.insertAdjacentHTML("beforeend", THEMES.map(symbol).join(""));
}

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
