for (const table of document.querySelectorAll("table:has(thead button)")) {
  const body = table.tBodies[0], before = [...body.rows], heads = [...table.tHead.rows[0].cells];
  const key = (row, k) => {
    const text = row.cells[k].textContent.trim().replace(/\u2212/g, "-").replace(/,(?=\d{3})/g, "");
    const number = text.match(/^[+-]?\d+(\.\d+)?(?![\w.-])/);
    return text === "" ? [2, ""] : number ? [0, parseFloat(number[0])] : [1, text.toLowerCase()];
  };
  const compare = (a, b) => a[0] - b[0] || (a[0] ? a[1].localeCompare(b[1]) : a[1] - b[1]);
  heads.forEach((head, k) => head.querySelector("button").addEventListener("click", () => {
    const turn = {none: "ascending", ascending: "descending", descending: "none"}[head.getAttribute("aria-sort")];
    heads.forEach(other => other.setAttribute("aria-sort", other === head ? turn : "none"));
    const rows = turn === "none" ? before : [...before].sort((a, b) => {
      const x = key(a, k), y = key(b, k), last = (x[0] === 2) - (y[0] === 2);
      return last || (turn === "ascending" ? compare(x, y) : compare(y, x));
    });
    body.append(...rows);
  }));
}
